#include "cli/command_line.hpp"
#include "cli/subcommand.hpp"

namespace autoexec::cli {
namespace {

struct HelpOptions {
    std::vector<std::string> words;  ///< Of the command; empty: of the program.
};

SubcommandBody define_help(CLI::App& app)
{
    const auto options = std::make_shared<HelpOptions>();
    app.add_option("command", options->words, "The command, such as run or workflow run")
        ->type_name("COMMAND");
    return {[&app, options] {
        const auto& command = find_command(*app.get_parent(), options->words);
        print_result(help_of(command));
        return exit_completed;
    }};
}

}  // namespace

extern const Subcommand help_subcommand{"help", "Show the help of a command", define_help};

}  // namespace autoexec::cli
