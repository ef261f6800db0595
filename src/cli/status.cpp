#include "cli/what_runs.hpp"

#include "autoexec/config.hpp"
#include "autoexec/view.hpp"
#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"
#include "cli/workflow/runs.hpp"
#include "executor/free_resources.hpp"
#include "protocol/question_format.hpp"
#include "records/agent_presence.hpp"
#include "text/json.hpp"

#include <algorithm>
#include <map>

namespace autoexec::cli {
namespace {

constexpr std::size_t state_width = 11;

/// Empty: all.
struct StatusOptions : CommonOptions {
    std::string worktree;
    std::string agent;
    std::string run;
    std::string step;
    std::string state;

    [[nodiscard]] bool has_filter() const
    {
        return !(worktree.empty() && agent.empty() && run.empty() && step.empty() && state.empty());
    }
};

std::string_view state_of(const ExecutionEntry& entry)
{
    if (entry.reported) return to_string(*entry.reported);
    return entry.state == ExecutionState::needs_input ? "waiting" : to_string(entry.state);
}

// As the list shows it, and `--state` names it.
std::string_view shown_state(const ExecutionEntry& entry)
{
    return entry.waiting_for ? "input" : state_of(entry);
}

std::string message_of(const ExecutionEntry& entry)
{
    if (entry.progress) return entry.progress->message;
    if (!entry.other_host.empty())
        return fmt::format("on the host {}, if its executor lives", entry.other_host);
    return {};
}

std::chrono::milliseconds age_of(const ExecutionEntry& entry)
{
    const auto start = entry.started_at ? entry.started_at : entry.submitted_at;
    if (!start) return {};
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now() - *start));
}

boost::json::object to_json(const ExecutionEntry& entry)
{
    boost::json::object o;
    o["execution_id"] = entry.execution_id;
    o["attempt_id"] = entry.attempt_id;
    o["attempt"] = entry.attempt;
    o["state"] = state_of(entry);
    o["workflow_id"] = text::or_null(entry.workflow_id);
    o["step_id"] = text::or_null(entry.step_id);
    o["agent"] = text::text_or_null(entry.agent);
    o["command"] = entry.command;
    o["worktree"] = entry.worktree.string();
    o["started_at"] = text::text_or_null(text::iso_utc(entry.started_at));
    o["age_seconds"] = std::chrono::duration<double>(age_of(entry)).count();
    o["percentage"] = entry.progress ? entry.progress->percentage : 0;
    o["message"] = message_of(entry);
    o["waiting_for"] = nullptr;
    if (entry.waiting_for) o["waiting_for"] = protocol::to_json(*entry.waiting_for);
    o["pid"] = entry.pid;
    o["other_host"] = text::text_or_null(entry.other_host);
    return o;
}

// `place`: in the queue.
void print_queued(const ExecutionEntry& entry, std::size_t place)
{
    print_state_line("", state_of(entry), state_width,
                     fmt::format(" {} {:>7}  place {}  {}  {}", short_id(entry.execution_id),
                                 text::format_duration(age_of(entry)), place,
                                 shown_path(entry.worktree), text::printable(entry.command)));
}

void print(const ExecutionEntry& entry)
{
    const auto& question = entry.waiting_for;
    print_state_line(
        "", shown_state(entry), state_width,
        fmt::format(" {} {:>7} #{:<2} {}  {}  {}", short_id(entry.execution_id),
                    text::format_duration(age_of(entry)), entry.attempt, shown_path(entry.worktree),
                    text::printable(entry.command),
                    text::printable(question ? waiting_sentence(*question, entry.execution_id)
                                             : message_of(entry))));
}

void print(const RunEntry& run, const StepEntry& step)
{
    print_state_line(
        "", "input", state_width,
        fmt::format(" {}  {}  {}; autoexec answer {}", text::printable(step.id),
                    shown_path(step.worktree), text::printable(waiting_sentence(run, step)),
                    text::printable(text::quote_words(std::vector{run.run_id + "/" + step.id}))));
}

// Calls `visit` with each step that waits for a person.
template <class Visit>
void for_each_manual_step(const ProjectState& project, Visit visit)
{
    for (const auto& run : project.runs)
        for (const auto& step : run.steps)
            if (waits_for_person(run, step)) visit(run, step);
}

boost::json::object to_json(const PauseEntry& pause)
{
    const auto name_if = [&pause](PauseEntry::Scope scope) {
        return text::text_or_null(pause.scope == scope ? pause.name : "");
    };
    return {{"state", "starts_paused"},
            {"agent", name_if(PauseEntry::Scope::agent)},
            {"workflow", name_if(PauseEntry::Scope::workflow)},
            {"since", text::text_or_null(text::iso_utc(pause.since))},
            {"by", pause.by}};
}

void print_as_json(const ProjectState& project)
{
    for (const auto& entry : project.executions) print_json(to_json(entry));
    for_each_manual_step(project, [](const RunEntry& run, const StepEntry& step) {
        print_json(cli::to_json(run, step));
    });
    for (const auto& pause : project.pauses) print_json(to_json(pause));
}

// Those to which commands are not given now.
void print_held_agents(const ProjectState& project)
{
    if (!project.held_agents_problem.empty()) print_message("{}\n", project.held_agents_problem);
    for (const auto& agent : project.held_agents)
        print_message("Held back: {}{}{}\n", agent.reason, agent.message.empty() ? "" : " – ",
                      text::printable(agent.message));
}

void print_pauses(const ProjectState& project)
{
    for (auto pause : project.pauses) {
        pause.reason.front() = 'S';
        print_message("{} (see autoexec resume)\n", pause.reason);
    }
    if (!project.pauses_problem.empty()) print_message("{}\n", project.pauses_problem);
}

// Commands that are being worked on have an agent, that of their executor; so have those of the
// queue.
bool is_agent_missed(const ProjectState& project)
{
    const auto& all = project.executions;
    const auto has_agent = [](const auto& e) {
        return e.reported || e.state == ExecutionState::queued ||
               e.state == ExecutionState::starting;
    };
    const auto lacks_report = [](const auto& e) {
        return !e.reported &&
               (e.state == ExecutionState::waiting || e.state == ExecutionState::needs_input);
    };
    return std::ranges::any_of(all, lacks_report) || std::ranges::none_of(all, has_agent);
}

void print_agents(const ProjectState& project)
{
    for (const auto& process : project.agent_processes)
        print_message("Agent running: {}, since {}\n", records::describe(process),
                      text::shown_time(process.started_at));
    if (project.agent_processes.empty() && is_agent_missed(project))
        print_message(
            "No agent process is running (start one with 'autoexec agent'; autoexec run "
            "uses its own).\n");
}

bool matches(const std::filesystem::path& worktree, const std::string& wanted)
{
    std::error_code ec;
    return wanted.empty() || worktree == wanted ||
           worktree == std::filesystem::weakly_canonical(wanted, ec);
}

bool matches(const ExecutionEntry& entry, const StatusOptions& options)
{
    const auto run = entry.workflow_id.value_or("");
    return (options.agent.empty() || entry.agent == options.agent) &&
           (options.run.empty() || is_run_called(run, options.run)) &&
           (options.step.empty() || entry.step_id == options.step) &&
           (options.state.empty() || shown_state(entry) == options.state) &&
           matches(entry.worktree, options.worktree);
}

bool matches(const RunEntry& run, const StepEntry& step, const StatusOptions& options)
{
    return (options.agent.empty() || step.agent == options.agent) &&
           (options.run.empty() || is_run_called(run.run_id, options.run)) &&
           (options.step.empty() || step.id == options.step) &&
           (options.state.empty() || options.state == "input") &&
           matches(step.worktree, options.worktree);
}

void keep_matching(ProjectState& project, const StatusOptions& options)
{
    std::erase_if(project.executions,
                  [&](const ExecutionEntry& entry) { return !matches(entry, options); });
    for (auto& run : project.runs)
        std::erase_if(run.steps,
                      [&](const StepEntry& step) { return !matches(run, step, options); });
    project.pauses.clear();
}

// The place of an entry in the queue is that among all of them.
std::map<std::string, std::size_t> places_in_queue(const ProjectState& project)
{
    std::map<std::string, std::size_t> places;
    for (const auto& entry : project.executions)
        if (entry.state == ExecutionState::queued)
            places.emplace(entry.execution_id, places.size() + 1);
    return places;
}

bool is_idle(const ProjectState& project)
{
    bool idle = project.executions.empty();
    for_each_manual_step(project, [&](const auto&, const auto&) { idle = false; });
    return idle;
}

void print_executions(const ProjectState& project, const std::map<std::string, std::size_t>& places)
{
    for (const auto& entry : project.executions)
        if (const auto place = places.find(entry.execution_id); place != places.end())
            print_queued(entry, place->second);
        else
            print(entry);
    for_each_manual_step(project,
                         [](const RunEntry& run, const StepEntry& step) { print(run, step); });
}

ProjectState read_project(const std::filesystem::path& root, const AutoExecutionConfig& config)
{
    ProjectReaderOptions what;
    what.project_root = root;
    what.status_file_name = config.executor.status_file_name;
    what.max_runs = max_waiting_runs;
    what.max_ended = 0;
    ProjectReader reader(std::move(what));
    reader.refresh();
    return reader.state();
}

int status(const StatusOptions& options)
{
    const auto root = project_root(options);
    const auto config = AutoExecutionConfigManager({}, root).load(false);
    auto project = read_project(root, config);
    if (!project.executions_problem.empty()) fail(exit_internal, "{}", project.executions_problem);
    const auto places = places_in_queue(project);
    if (options.has_filter()) keep_matching(project, options);
    if (options.json) {
        print_as_json(project);
        return exit_completed;
    }
    if (is_idle(project))
        print_message(options.has_filter() ? "No running or queued command matches.\n"
                                           : "No commands are running or queued.\n");
    print_executions(project, places);
    if (options.has_filter()) return exit_completed;
    print_pauses(project);
    print_held_agents(project);
    print_agents(project);
    const auto shortage = executor::shortage_of(executor::free_resources(root), config.executor);
    if (!shortage.empty()) print_message("No command starts for now: {}.\n", shortage);
    return exit_completed;
}

void define_status(CLI::App& app, StatusOptions& o)
{
    add_common(app, o);
    app.add_option("--worktree", o.worktree, "Only commands in this worktree")->type_name("DIR");
    app.add_option("--agent", o.agent, "Only commands of this agent")->type_name("NAME");
    app.add_option("--run", o.run, "Only steps of this run of a workflow")->type_name("ID");
    app.add_option("--step", o.step, "Only commands of this step")->type_name("ID");
    add_choice(
        app, "--state",
        {"queued", "starting", "waiting", "running", "input", "completed", "failed", "interrupted"},
        [&o](const std::string& word) { o.state = word; },
        "Only commands in this state, such as queued, running or input")
        ->type_name("STATE");
}

}  // namespace

void print_what_runs(const CommonOptions& common)
{
    const auto root = project_root(common);
    const auto project = read_project(root, AutoExecutionConfigManager({}, root).load(false));
    const auto& problem = project.executions_problem;
    if (common.json && !problem.empty()) fail(exit_internal, "{}", problem);
    if (common.json) return print_as_json(project);
    if (!problem.empty() || is_idle(project)) return;
    print_result("\nRunning and queued commands (autoexec status):\n");
    print_executions(project, places_in_queue(project));
}

extern const Subcommand status_subcommand =
    subcommand("status", "Show running and queued commands", define_status, status);

}  // namespace autoexec::cli
