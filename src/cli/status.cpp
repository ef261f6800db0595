#include "autoexec/config.hpp"
#include "autoexec/view.hpp"
#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"
#include "executor/free_resources.hpp"
#include "protocol/question_format.hpp"
#include "records/agent_presence.hpp"
#include "text/json.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

std::string_view state_of(const ExecutionEntry& entry)
{
    if (entry.reported) return to_string(*entry.reported);
    return entry.state == ExecutionState::needs_input ? "waiting" : to_string(entry.state);
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
    print_result("{:11} {} {:>7}  place {}  {}  {}\n", state_of(entry),
                 short_id(entry.execution_id), text::format_duration(age_of(entry)), place,
                 shown_path(entry.worktree), text::printable(entry.command));
}

void print(const ExecutionEntry& entry)
{
    const auto& question = entry.waiting_for;
    print_result("{:11} {} {:>7} #{:<2} {}  {}  {}\n", question ? "input" : state_of(entry),
                 short_id(entry.execution_id), text::format_duration(age_of(entry)), entry.attempt,
                 shown_path(entry.worktree), text::printable(entry.command),
                 text::printable(question ? waiting_sentence(*question, entry.execution_id)
                                          : message_of(entry)));
}

void print(const RunEntry& run, const StepEntry& step)
{
    print_result("{:11} {}  {}  {}; autoexec answer {}\n", "input", text::printable(step.id),
                 shown_path(step.worktree), text::printable(waiting_sentence(run, step)),
                 text::printable(text::quote_words(std::vector{run.run_id + "/" + step.id})));
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
                      text::iso_utc(process.started_at));
    if (project.agent_processes.empty() && is_agent_missed(project))
        print_message(
            "No agent process is running (start one with 'autoexec agent'; autoexec run "
            "uses its own).\n");
}

void print(const ProjectState& project)
{
    bool is_idle = project.executions.empty();
    for_each_manual_step(project, [&](const auto&, const auto&) { is_idle = false; });
    if (is_idle) print_message("No commands are running or queued.\n");
    std::size_t place = 0;
    for (const auto& entry : project.executions)
        if (entry.state == ExecutionState::queued)
            print_queued(entry, ++place);
        else
            print(entry);
    for_each_manual_step(project,
                         [](const RunEntry& run, const StepEntry& step) { print(run, step); });
    print_pauses(project);
    print_held_agents(project);
    print_agents(project);
}

int status(const CommonOptions& options)
{
    const auto root = project_root(options);
    const auto config = AutoExecutionConfigManager({}, root).load(false);
    ProjectReaderOptions what;
    what.project_root = root;
    what.status_file_name = config.executor.status_file_name;
    what.max_runs = max_waiting_runs;
    what.max_ended = 0;
    ProjectReader reader(std::move(what));
    reader.refresh();
    const auto project = reader.state();
    if (!project.executions_problem.empty()) fail(exit_internal, "{}", project.executions_problem);
    if (options.json) {
        print_as_json(project);
        return exit_completed;
    }
    print(project);
    const auto shortage = executor::shortage_of(executor::free_resources(root), config.executor);
    if (!shortage.empty()) print_message("No command starts for now: {}.\n", shortage);
    return exit_completed;
}

}  // namespace

extern const Subcommand status_subcommand =
    subcommand("status", "Show running and queued commands", add_common, status);

}  // namespace autoexec::cli
