#include "cli/session/agents.hpp"
#include "cli/subcommand.hpp"
#include "protocol/pause_file.hpp"
#include "records/pauses.hpp"
#include "text/json.hpp"

#include <functional>
#include <utility>

/// `autoexec pause` and `autoexec resume`.
namespace autoexec::cli {
namespace {

struct PauseOptions : CommonOptions {
    std::string agent;
    std::string workflow;
};

/// Starts of which commands.
struct PauseScope {
    std::string kind;  ///< `agent` or `workflow`; empty: of all.
    std::string name;
};

using PauseChange = std::function<void(std::optional<protocol::Pause>&)>;

void change_in(protocol::StartPauses::ByName& pauses, const std::string& name,
               const PauseChange& change)
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

// Nullopt: starts are not paused.
void change_pause(const std::filesystem::path& root, const PauseScope& scope,
                  const PauseChange& change)
{
    const auto ec = records::change_pauses(root, [&](protocol::StartPauses& pauses) {
        if (scope.kind.empty())
            change(pauses.all);
        else
            change_in(scope.kind == "agent" ? pauses.agents : pauses.workflows, scope.name, change);
    });
    if (ec) fail(exit_internal, "cannot write which starts are paused: {}", ec.message());
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

// `must_exist`: throws `Failure` if there is no such agent.
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

int pause(const PauseOptions& options)
{
    const auto root = project_root(options);
    const auto scope = pause_scope(options, root, true);
    protocol::Pause now;
    change_pause(root, scope, [&now](std::optional<protocol::Pause>& pause) {
        if (!pause) pause = protocol::Pause{std::chrono::system_clock::now(), user_at_host()};
        now = *pause;
    });
    print_pause_state(scope, options.json, "paused",
                      protocol::words_of_pause(now, scope.kind, scope.name));
    return exit_completed;
}

std::string words_of_resumption(const PauseScope& scope, bool was_paused)
{
    const auto what = scope.kind.empty()
                          ? "starts"
                          : fmt::format("starts of {} {}", scope.kind, text::printable(scope.name));
    return fmt::format("{} {}", what, was_paused ? "are resumed" : "were not paused");
}

void print_others(const std::filesystem::path& root)
{
    const auto left = records::read_pauses(root).pauses;
    const auto print = [](const protocol::Pause& pause, std::string_view kind,
                          std::string_view name) {
        print_message("Still: {}\n", protocol::words_of_pause(pause, kind, name));
    };
    if (left.all) print(*left.all, {}, {});
    for (const auto& [name, pause] : left.agents) print(pause, "agent", name);
    for (const auto& [name, pause] : left.workflows) print(pause, "workflow", name);
}

int resume(const PauseOptions& options)
{
    const auto root = project_root(options);
    const auto scope = pause_scope(options, root, false);
    bool was_paused = false;
    // Nothing is created where nothing is paused.
    if (records::pauses_stamp(root) != FileStamp{})
        change_pause(root, scope, [&was_paused](std::optional<protocol::Pause>& pause) {
            was_paused = std::exchange(pause, std::nullopt).has_value();
        });
    print_pause_state(scope, options.json, was_paused ? "resumed" : "not_paused",
                      words_of_resumption(scope, was_paused));
    print_others(root);
    return exit_completed;
}

void define_scope(CLI::App& app, PauseOptions& options)
{
    add_common(app, options);
    auto* const agent =
        app.add_option("--agent", options.agent, "Only commands of this agent")->type_name("NAME");
    app.add_option("--workflow", options.workflow,
                   "Only steps of this workflow, by its id, or of this run")
        ->type_name("NAME")
        ->excludes(agent);
}

constexpr char pause_footer[] = R"(
Running commands continue. All others of the project wait, in all its processes, until
'autoexec resume' with the same option.
)";

void define_pause(CLI::App& app, PauseOptions& o)
{
    app.footer(pause_footer);
    define_scope(app, o);
}

}  // namespace

extern const Subcommand pause_subcommand =
    subcommand("pause", "Start no more commands for now", define_pause, pause);
extern const Subcommand resume_subcommand =
    subcommand("resume", "End a pause of starts", define_scope, resume);

}  // namespace autoexec::cli
