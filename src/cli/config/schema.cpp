#include "cli/subcommand.hpp"
#include "config/describe.hpp"
#include "text/json.hpp"

namespace autoexec::cli {

extern const Subcommand config_schema_subcommand{
    "config schema", "Print a JSON Schema for editors", [](CLI::App&) -> SubcommandBody {
        return {[] {
            print_result("{}\n", text::dump_indented(config::json_schema({})));
            return exit_completed;
        }};
    }};

}  // namespace autoexec::cli
