#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/subcommand.hpp"
#include "config/describe.hpp"
#include "text/json.hpp"

#include <boost/json/object.hpp>

namespace autoexec::cli {
namespace {

int print_schema()
{
    print_result("{}\n", text::dump_indented(config::json_schema({})));
    return exit_completed;
}

SubcommandBody define_config_schema(CLI::App&)
{
    return {print_schema};
}

}  // namespace

extern const Subcommand config_schema_subcommand{"config schema", "Print a JSON Schema for editors",
                                                 define_config_schema};

}  // namespace autoexec::cli
