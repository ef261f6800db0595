#include "cli/subcommand.hpp"
#include "config/describe.hpp"

namespace autoexec::cli {

extern const Subcommand config_reference_subcommand{
    "config reference", "Describe all settings, in Markdown", [](CLI::App&) -> SubcommandBody {
        return {[] {
            print_result(config::reference({}));
            return exit_completed;
        }};
    }};

}  // namespace autoexec::cli
