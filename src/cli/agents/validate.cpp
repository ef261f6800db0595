#include "agent/agents_file_reader.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "protocol/layout.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct AgentsValidateOptions : CommonOptions {
    std::string path;  ///< Empty: the project's.
};

LoadedAgents read_named(const fs::path& path)
{
    std::string problem;
    if (const auto text = read_text(path, problem)) return parse_agents(*text, path.string());
    LoadedAgents reading;
    Diagnostic error;
    error.path = path.string();
    error.message = "The file cannot be read: " + problem;
    reading.errors.push_back(std::move(error));
    return reading;
}

int validate_agents(const AgentsValidateOptions& options)
{
    const auto root = options.path.empty() ? project_root(options) : fs::path{};
    const auto path = options.path.empty() ? root / layout::agents_file : fs::path(options.path);
    const auto reading = options.path.empty() ? load_agents(root) : read_named(path);
    if (options.json) {
        print_json(json::object{{"valid", reading.errors.empty()},
                                {"config_path", path.string()},
                                {"errors", to_json_array(reading.errors)},
                                {"warnings", to_json_array(reading.file.warnings)}});
        return reading.errors.empty() ? exit_completed : exit_invalid;
    }
    print_problems(reading.errors);
    print_problems(reading.file.warnings);
    if (reading.missing) print_message(init_hint);
    if (!reading.errors.empty()) return exit_invalid;
    const auto& agents = reading.file.agents;
    const auto accepting = std::count_if(agents.begin(), agents.end(), agent::accepts_commands);
    print_result("{} is valid: {}, of which {} {} commands.\n", shown_path(path),
                 text::counted(agents.size(), "agent"), accepting,
                 accepting == 1 ? "accepts" : "accept");
    return exit_completed;
}

void define_agents_validate(CLI::App& app, AgentsValidateOptions& o)
{
    add_common(app, o);
    app.add_option("path", o.path, "Check FILE instead of the project's file")->type_name("FILE");
    app.footer("Exit codes: 0 valid, 3 invalid or missing.");
}

}  // namespace

extern const Subcommand agents_validate_subcommand =
    subcommand("agents validate", "Check the agents file and report every problem",
               define_agents_validate, validate_agents);

}  // namespace autoexec::cli
