#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/subcommand.hpp"
#include "config/describe.hpp"

#include <fmt/format.h>

namespace autoexec::cli {
namespace {

int print_reference()
{
    print_result(config::reference({}));
    return exit_completed;
}

SubcommandBody define_config_reference(CLI::App&)
{
    return {print_reference};
}

}  // namespace

extern const Subcommand config_reference_subcommand{
    "config reference", "Describe all settings, in Markdown", define_config_reference};

}  // namespace autoexec::cli
