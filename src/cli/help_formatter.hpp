#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace autoexec::cli {

/// Formats the help. Arguments are called as in the error messages, by their type name: `[ID]`.
/// What an option excludes is left out: it is an error to give both.
class HelpFormatter final : public CLI::Formatter {
public:
    std::string make_option(const CLI::Option* option, bool is_positional) const override;
    std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
    std::string make_option_opts(const CLI::Option* option) const override;
    std::string make_option_usage(const CLI::Option* option) const override;
};

}  // namespace autoexec::cli
