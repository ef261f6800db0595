#include "cli/help_formatter.hpp"

#include <algorithm>
#include <sstream>

namespace autoexec::cli {

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const
{
    if (!is_positional) return CLI::Formatter::make_option(option, false);
    std::stringstream out;
    CLI::detail::format_help(out, make_option_name(option, true), make_option_desc(option),
                             get_column_width());
    return out.str();
}

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool is_positional) const
{
    const auto type = option->get_type_name();
    return is_positional && !type.empty() ? type
                                          : CLI::Formatter::make_option_name(option, is_positional);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const
{
    auto opts = CLI::Formatter::make_option_opts(option);
    opts.erase(std::min(opts.size(), opts.find(" " + get_label("Excludes") + ":")));
    return opts;
}

std::string HelpFormatter::make_option_usage(const CLI::Option* option) const
{
    auto usage = make_option_name(option, true);
    if (option->get_expected_max() >= CLI::detail::expected_max_vector_size) usage += "...";
    return option->get_required() ? usage : "[" + usage + "]";
}

}  // namespace autoexec::cli
