#include "cli/subcommand.hpp"

#include <cctype>

/// For developers: prints the table of `doc/cli.md`. Hidden from the help.
namespace autoexec::cli {
namespace {

// The first word is the heading in the document.
void print_rows(const CLI::App& app, const std::string& group)
{
    for (const auto* const one : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (one->get_group().empty()) continue;
        if (!one->get_subcommands([](const CLI::App*) { return true; }).empty()) {
            print_rows(*one, one->get_name() + " ");
            continue;
        }
        const auto words = group + one->get_name();
        auto help = one->get_description();
        help.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(help.front())));
        print_result("| [`{}`](#{}) | {} |\n", words, words.substr(0, words.find(' ')), help);
    }
}

SubcommandBody define_command_table(CLI::App& app)
{
    app.group("");
    return {[&app] {
        print_result("| command | description |\n|---|---|\n");
        print_rows(*app.get_parent(), "");
        return exit_completed;
    }};
}

}  // namespace

extern const Subcommand command_table_subcommand{
    "command-table", "Print the table of all subcommands, in Markdown", define_command_table};

}  // namespace autoexec::cli
