#include "cli/session/pause_scope.hpp"

#include "cli/session/agents.hpp"
#include "cli/session/output.hpp"
#include "records/pauses.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <utility>

namespace autoexec::cli {
namespace {

void change_in(protocol::StartPauses::ByName& pauses, const std::string& name,
               const std::function<void(std::optional<protocol::Pause>&)>& change)
{
    const auto found = pauses.find(name);
    auto pause = found == pauses.end() ? std::nullopt : std::optional(found->second);
    change(pause);
    if (!pause)
        pauses.erase(name);
    else if (found == pauses.end() && pauses.size() == protocol::max_paused_names)
        fail(exit_usage, "at most {} are paused by name", protocol::max_paused_names);
    else
        pauses.insert_or_assign(name, *std::move(pause));
}

// An agent that the file no longer has can still be resumed.
std::string paused_agent(const std::string& name, const std::filesystem::path& root,
                         bool must_exist)
{
    const Agents agents(root, false, true);
    std::string problem;
    auto agent = agents.agent_called(name, problem);
    if (problem.empty()) return agent;
    if (must_exist) fail(exit_usage, "{}", problem);
    return name;
}

}  // namespace

void define_pause_options(CLI::App& app, PauseOptions& options)
{
    auto* const agent =
        app.add_option("--agent", options.agent, "Only commands of this agent")->type_name("NAME");
    app.add_option("--workflow", options.workflow,
                   "Only steps of this workflow, by its id, or of this run")
        ->type_name("NAME")
        ->excludes(agent);
}

PauseScope pause_scope(const PauseOptions& options, const std::filesystem::path& root,
                       bool must_exist)
{
    PauseScope scope;
    if (!options.agent.empty()) scope = {"agent", paused_agent(options.agent, root, must_exist)};
    if (!options.workflow.empty()) scope = {"workflow", options.workflow};
    if (scope.name.size() > protocol::max_paused_name)
        fail(exit_usage, "the name has more than {} bytes", protocol::max_paused_name);
    return scope;
}

void change_pause(const std::filesystem::path& root, const PauseScope& scope,
                  const std::function<void(std::optional<protocol::Pause>&)>& change)
{
    const auto ec = records::change_pauses(root, [&](protocol::StartPauses& pauses) {
        if (scope.kind.empty())
            change(pauses.all);
        else
            change_in(scope.kind == "agent" ? pauses.agents : pauses.workflows, scope.name, change);
    });
    if (ec) fail(exit_internal, "cannot write which starts are paused: {}", ec.message());
}

void print_pause_state(const PauseScope& scope, bool as_json, std::string_view state,
                       std::string sentence)
{
    const auto name_if = [&scope](std::string_view kind) {
        return text::text_or_null(scope.kind == kind ? scope.name : "");
    };
    sentence.front() = 'S';
    if (as_json)
        print_json(
            {{"state", state}, {"agent", name_if("agent")}, {"workflow", name_if("workflow")}});
    else
        print_result("{}\n", sentence);
}

}  // namespace autoexec::cli
