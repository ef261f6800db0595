#include "agent/agents_file_reader.hpp"

#include "agent/template.hpp"
#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "programs/known_programs.hpp"
#include "protocol/layout.hpp"
#include "yaml/fields.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace autoexec::agent {
namespace {

using yaml::Fields;
using yaml::Report;
using yaml::YamlNode;

constexpr std::size_t file_limit = 1024 * 1024;

constexpr std::array<std::string_view, 3> top_fields{"agents", "roles", "global"};
constexpr std::array<std::string_view, 8> global_fields{
    "max_parallel_agents", "timeout_seconds",    "accept_legacy",   "context7_cache",
    "output_directory",    "progress_reporting", "result_delivery", "worktree_base"};

// Only when all names are known.
void check_fallbacks(const std::vector<YamlNode>& items, const AgentsFile& file, Report& report)
{
    std::vector<std::string_view> names;
    for (const auto& agent : file.agents) names.emplace_back(agent.name);
    for (std::size_t i = 0, number = 0; i < items.size(); ++i) {
        if (items[i].kind != YamlNode::Kind::mapping) continue;
        const auto& agent = file.agents[number++];
        for (const auto& name : agent.fallback) {
            const auto* const node = items[i].find("fallback");
            if (name == agent.name)
                report.error(node->at, fmt::format("Agent {}: It is its own fallback", i + 1));
            else if (std::find(names.begin(), names.end(), name) == names.end())
                report.error(node->at,
                             fmt::format("Agent {}: 'fallback' names the agent '{}', which does "
                                         "not exist",
                                         i + 1, name),
                             yaml::did_you_mean(name, names));
        }
    }
}

void read_agents(const YamlNode& root, AgentsFile& file, Report& report)
{
    const auto* agents = root.find("agents");
    if (!agents) return report.error(root.at, "Missing required top-level field: 'agents'");
    Fields top(root, "", report);
    const auto* items = top.list("agents", "agent");
    if (!items) return;

    std::map<std::string, std::size_t, std::less<>> numbers;
    for (std::size_t i = 0; i < items->size(); ++i) {
        const auto& node = (*items)[i];
        if (node.kind != YamlNode::Kind::mapping) {
            report.error(node.at, fmt::format("Agent {}: Must be a YAML object/dictionary", i + 1));
            continue;
        }
        auto agent = read_agent(node, i + 1, report);
        const auto [first, fresh] = numbers.emplace(agent.name, i + 1);
        if (!fresh && !agent.name.empty())
            report.error(node.find("name")->at,
                         fmt::format("Agent {}: The name '{}' is already used by agent {}", i + 1,
                                     agent.name, first->second));
        file.agents.push_back(std::move(agent));
    }
    check_fallbacks(*items, file, report);
}

void read_global(const YamlNode& root, AgentsFile& file, Report& report)
{
    const auto* node = root.find("global");
    if (!node) return;
    if (node->kind != YamlNode::Kind::mapping)
        return report.error(node->at, "Field 'global' must be a mapping");
    Fields fields(*node, "global: ", report);
    fields.warn_unknown(global_fields);
    file.accept_legacy = fields.boolean("accept_legacy").value_or(false);
    file.max_parallel_agents = static_cast<int>(
        fields.integer("max_parallel_agents", 0, 10'000, "a non-negative integer").value_or(0));
    const auto seconds =
        fields.integer("timeout_seconds", 1, max_timeout_seconds, "a positive integer");
    if (!seconds) return;
    for (auto& agent : file.agents)
        if (!agent.timeout) agent.timeout = std::chrono::seconds(*seconds);
}

void read_role(const yaml::YamlEntry& entry, AgentsFile& file, Report& report)
{
    std::vector<std::string_view> names;
    for (const auto& agent : file.agents) names.emplace_back(agent.name);
    const auto is_agent = [&names](std::string_view name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    const auto text = entry.value.as_string();
    const bool is_open = entry.value.kind == YamlNode::Kind::null;
    if (entry.key.empty())
        report.error(entry.at, "roles: A role needs a name");
    else if (!is_open && !text)
        report.error(entry.value.at,
                     fmt::format("roles: '{}' must be the name of an agent", entry.key),
                     yaml::type_hint(entry.value, "text"));
    else if (!is_open && !is_agent(*text))
        report.error(
            entry.value.at,
            fmt::format("roles: '{}' names the agent '{}', which does not exist", entry.key, *text),
            yaml::did_you_mean(*text, names));
    else if (is_agent(entry.key) && text.value_or(entry.key) != entry.key)
        report.error(entry.at, fmt::format("roles: '{}' is the name of an agent", entry.key),
                     "Give the role or the agent another name.");
    else
        file.roles.emplace(entry.key, text.value_or(""));
}

void read_roles(const YamlNode& root, AgentsFile& file, Report& report)
{
    const auto* const node = root.find("roles");
    if (node == nullptr || node->kind == YamlNode::Kind::null) return;
    if (node->kind != YamlNode::Kind::mapping)
        return report.error(node->at, "Field 'roles' must be a mapping",
                            "Write 'ROLE: AGENT' on each line below it.");
    for (const auto& entry : node->entries) read_role(entry, file, report);
}

LoadedAgents failed(const std::string& path, std::string message, bool missing = false)
{
    Report report(path, {});
    report.error({}, std::move(message));
    return {{}, report.take_errors(), missing};
}

const AgentDefinition* select_by_name(const AgentsFile& file, std::string_view name,
                                      std::string& problem)
{
    const auto found = std::find_if(file.agents.begin(), file.agents.end(),
                                    [&](const auto& agent) { return agent.name == name; });
    if (found == file.agents.end())
        problem = fmt::format("The agent '{}' does not exist.{}", name,
                              alternatives(name, accepting_names(file)));
    else if (!found->enabled)
        problem = fmt::format("The agent '{}' is disabled.", name);
    else if (!accepts_commands(*found))
        problem = fmt::format(
            "The agent '{}' accepts no commands: none of its own contains {{command}} or "
            "{{command_file_path}}.",
            name);
    return problem.empty() ? &*found : nullptr;
}

}  // namespace

void check(const AgentsFile& file)
{
    const auto fail = [](std::string sentence) {
        throw system_error(errc::invalid_agents_file, sentence);
    };
    for (const auto& agent : file.agents) {
        if (agent.name.empty()) fail("an agent has no name");
        for (const auto& command : agent.commands) {
            TemplateProblem problem;
            if (!compile_template(command, agent.shell, problem))
                fail(fmt::format("agent '{}': {}: '{}'{}{}", agent.name, problem.message, command,
                                 problem.hint.empty() ? "" : ". ", problem.hint));
        }
    }
}

bool accepts_commands(const AgentDefinition& agent)
{
    if (!agent.enabled) return false;
    for (std::size_t i = 0; i < agent.commands.size(); ++i)
        if (takes_command(agent, i)) return true;
    return false;
}

std::vector<std::string_view> accepting_names(const AgentsFile& file)
{
    std::vector<std::string_view> names;
    for (const auto& agent : file.agents)
        if (accepts_commands(agent)) names.emplace_back(agent.name);
    return names;
}

std::string alternatives(std::string_view name, std::span<const std::string_view> names)
{
    const auto guess = yaml::did_you_mean(name, names);
    return (guess.empty() ? "" : " " + guess) +
           (names.empty() ? "" : fmt::format(" Available: '{}'.", fmt::join(names, "', '")));
}

const AgentDefinition* select_agent(const AgentsFile& file, std::string_view wanted_name,
                                    std::string& problem)
{
    problem.clear();
    if (!wanted_name.empty()) return select_by_name(file, wanted_name, problem);

    const auto names = accepting_names(file);
    if (names.size() == 1) return select_by_name(file, names.front(), problem);
    problem =
        names.empty()
            ? "No enabled agent accepts commands: none has {command} or {command_file_path} "
              "in its own commands."
            : fmt::format(
                  "several agents match; choose one with --agent ('{}'), or set agents.default",
                  fmt::join(names, "', '"));
    return nullptr;
}

std::map<std::string, std::size_t, std::less<>> limits_of(const AgentsFile& file)
{
    std::map<std::string, std::size_t, std::less<>> limits;
    for (const auto& agent : file.agents)
        if (agent.max_parallel > 0)
            limits[agent.name] = static_cast<std::size_t>(agent.max_parallel);
    return limits;
}

void complete_request(const AgentsFile& file, const AgentDefinition& definition,
                      CommandRequest& request)
{
    if (definition.retry_count && !request.max_attempts && !request.retry)
        request.max_attempts = *definition.retry_count + 1;
    if (!request.fallback.empty()) return;
    for (const auto& name : definition.fallback) {
        std::string ignored;
        if (select_by_name(file, name, ignored) != nullptr) request.fallback.push_back(name);
    }
}

}  // namespace autoexec::agent

namespace autoexec::inline v1 {

LoadedAgents parse_agents(std::string_view text, const std::string& path)
{
    yaml::Report report(path, text);
    AgentsFile file;
    if (const auto root = yaml::parse_yaml(text, report)) {
        if (root->kind == yaml::YamlNode::Kind::mapping) {
            yaml::Fields(*root, "", report).warn_unknown(agent::top_fields);
            agent::read_agents(*root, file, report);
            agent::read_roles(*root, file, report);
            agent::read_global(*root, file, report);
        } else {
            report.error(root->at, "Configuration must be a YAML object/dictionary");
        }
    }

    LoadedAgents loaded;
    loaded.errors = report.take_errors();
    std::stable_sort(loaded.errors.begin(), loaded.errors.end(),
                     [](const auto& a, const auto& b) { return a.line < b.line; });
    if (loaded.errors.empty()) loaded.file = std::move(file);
    loaded.file.warnings = report.take_warnings();
    return loaded;
}

LoadedAgents load_agents(const std::filesystem::path& project_root)
{
    const auto path = (project_root / layout::agents_file).string();
    const files::UniqueFd root(::open(project_root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!root || ::fstat(root.get(), &info) != 0)
        return agent::failed(path, "The agents file does not exist", true);

    const auto folder = std::filesystem::path(path).parent_path();
    const auto problem = files::distrust_folder(root.get(), folder.filename().string(),
                                                {folder.string(), info.st_uid});
    if (!problem.empty())
        return agent::failed(folder.string(),
                             "The folder of the agents file cannot be used: " + problem);

    const auto found = files::read_trusted(root.get(), layout::agents_file, agent::file_limit,
                                           {path, info.st_uid});
    switch (found.state) {
        case FoundFile::State::present:
            return parse_agents(found.text, path);
        case FoundFile::State::absent:
            return agent::failed(path, "The agents file does not exist", true);
        case FoundFile::State::unsafe:
            if (found.reason)
                return agent::failed(path, "The agents file cannot be used: " + found.problem);
            return agent::failed(path, fmt::format("Configuration path is not a file: {} ({})",
                                                   path, found.problem));
        case FoundFile::State::too_large:
            return agent::failed(path, "The agents file cannot be read: " + found.problem);
        case FoundFile::State::unreadable:
            break;
    }
    return agent::failed(path, fmt::format("Permission denied reading configuration file: {} ({})",
                                           path, found.problem));
}

OutputRules output_rules(std::string_view program)
{
    if (const auto* const rules = programs::find_output_rules(program)) return *rules;
    throw std::invalid_argument("no rules for the output of '" + std::string(program) + "'");
}

AgentsFile shell_agents()
{
    const auto& program = *programs::find_program(agent::shell_name);
    AgentDefinition shell;
    shell.name = program.name;
    shell.commands.push_back(program.command);
    shell.accept_argv = program.accept_argv;
    AgentsFile file;
    file.agents.push_back(std::move(shell));
    return file;
}

}  // namespace autoexec::inline v1
