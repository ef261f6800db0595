#include "agent/agents_file_reader.hpp"
#include "agent/programs.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "records/health_file.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct Program {
    std::string name;
    fs::path found;
};

std::vector<Program> programs_in(const AgentDefinition& definition, const fs::path& root)
{
    std::vector<Program> programs;
    for (auto& name : agent::programs_of(definition)) {
        auto found = agent::find_program(name, definition, root).found;
        programs.push_back({std::move(name), std::move(found)});
    }
    return programs;
}

// Empty: the role names no agent, and not exactly one could be selected.
std::string taker_of(const AgentsFile& file, const std::string& agent_of_role)
{
    std::string problem;
    const auto* const definition =
        agent_of_role.empty() ? agent::select_agent(file, {}, problem) : nullptr;
    return definition == nullptr ? agent_of_role : definition->name;
}

json::array roles_of(const AgentsFile& file, const std::string& agent)
{
    json::array names;
    for (const auto& [role, agent_of_role] : file.roles)
        if (taker_of(file, agent_of_role) == agent) names.push_back(json::string(role));
    return names;
}

json::object to_json(const AgentDefinition& definition, const std::vector<Program>& programs,
                     json::array roles, const protocol::AgentHealthMap& states)
{
    const auto now = std::chrono::system_clock::now();
    const auto found = states.find(definition.name);
    const auto state = found == states.end() ? protocol::AgentHealth{} : found->second;
    json::array all;
    for (const auto& program : programs)
        all.push_back({{"name", program.name},
                       {"path", program.found.empty() ? json::value(nullptr)
                                                      : json::value(program.found.string())}});
    return {{"name", definition.name},
            {"description", definition.description},
            {"enabled", definition.enabled},
            {"takes_commands", agent::accepts_commands(definition)},
            {"outcome", definition.outcome.name},
            {"programs", std::move(all)},
            {"roles", std::move(roles)},
            {"state", to_string(protocol::phase_of(state, now))},
            {"held_back", text::text_or_null(protocol::reason_of(definition.name, state, now))}};
}

void print_roles(const AgentsFile& file)
{
    for (const auto& [role, agent_of_role] : file.roles) {
        const auto taker = taker_of(file, agent_of_role);
        print_result("{}  {}  {}\n", cell(role, 16), cell("role", 14),
                     taker.empty() ? "any agent" : "agent " + taker);
    }
}

void print(const AgentDefinition& definition, const std::vector<Program>& programs)
{
    std::string places;
    for (const auto& program : programs)
        places += fmt::format(
            "{}{}", places.empty() ? "" : ", ",
            program.found.empty() ? program.name + " (not found)" : program.found.string());
    print_result("{}  {}  {}  {}\n", cell(definition.name, 16),
                 cell(!definition.enabled                   ? "disabled"
                      : agent::accepts_commands(definition) ? "accepts commands"
                                                            : "no commands",
                      16),
                 cell(definition.outcome.name, 9), cell(places, places.size()));
}

int list_agents(const CommonOptions& options)
{
    const auto root = project_root(options);
    const auto reading = load_agents(root);
    print_problems(reading.errors);
    if (reading.missing) print_message(init_hint);
    if (!reading.errors.empty()) return exit_invalid;
    const auto states = records::read_agent_health(root, std::chrono::system_clock::now()).agents;
    for (const auto& definition : reading.file.agents) {
        const auto programs = programs_in(definition, root);
        if (options.json)
            print_json(
                to_json(definition, programs, roles_of(reading.file, definition.name), states));
        else
            print(definition, programs);
    }
    if (!options.json) print_roles(reading.file);
    return exit_completed;
}

}  // namespace

extern const Subcommand agents_list_subcommand =
    subcommand("agents list", "List the agents and their programs", add_common, list_agents);

}  // namespace autoexec::cli
