#include "autoexec/config.hpp"
#include "autoexec/redaction.hpp"
#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"
#include "cli/workflow/runs.hpp"
#include "executor/free_resources.hpp"
#include "handoff/file_handoff.hpp"
#include "protocol/question_format.hpp"
#include "records/agent_presence.hpp"
#include "records/health_file.hpp"
#include "records/running.hpp"
#include "text/json.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

struct AttemptState {
    std::string state;
    std::string message;
    double percentage = 0;
};

// The status file counts only if the agent of this attempt wrote it.
AttemptState read_state(Handoff& handoff, const records::RunningEntry& entry)
{
    AttemptState seen;
    seen.state = entry.alive ? "waiting" : "interrupted";
    error_code ec;
    std::string ignored;
    const auto mailbox = handoff.open(entry.record.worktree, ec, ignored);
    const auto check = mailbox ? handoff::read_status(*mailbox) : StatusCheck();
    if (!entry.other_host.empty())
        seen.message = fmt::format("on the host {}, if its executor lives", entry.other_host);
    if (!entry.alive || !check.status || check.status->attempt_id != entry.record.attempt_id)
        return seen;
    seen.state = std::string(to_string(check.status->status));
    if (check.status->progress) {
        seen.message = Redactor().redact(check.status->progress->message);
        seen.percentage = check.status->progress->percentage;
    }
    return seen;
}

std::chrono::milliseconds age_of(const protocol::RunningRecord& record)
{
    const auto start = record.started_at;
    if (!start) return {};
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now() - *start));
}

boost::json::object to_json(const records::RunningEntry& entry, const AttemptState& seen)
{
    const auto& r = entry.record;
    boost::json::object o;
    o["execution_id"] = r.execution_id;
    o["attempt_id"] = r.attempt_id;
    o["attempt"] = r.attempt;
    o["state"] = seen.state;
    o["workflow_id"] = text::or_null(r.workflow_id);
    o["step_id"] = text::or_null(r.step_id);
    o["command"] = r.command;
    o["worktree"] = r.worktree;
    o["started_at"] = text::iso_utc(r.started_at);
    o["age_seconds"] = std::chrono::duration<double>(age_of(r)).count();
    o["percentage"] = seen.percentage;
    o["message"] = seen.message;
    o["waiting_for"] = nullptr;
    if (r.waiting_for && entry.alive) o["waiting_for"] = protocol::to_json(*r.waiting_for);
    o["pid"] = r.pid;
    o["other_host"] = nullptr;
    if (!entry.other_host.empty()) o["other_host"] = entry.other_host;
    return o;
}

// Commands that are being worked on have an agent: that of their executor.
void print_agents(const std::filesystem::path& root, bool is_one_missed)
{
    bool any = false;
    for (const auto& [record, alive] : records::list_agents(root)) {
        if (!alive) continue;
        any = true;
        print_message("Agent running: {}, since {}\n", records::describe(record),
                      text::iso_utc(record.started_at));
    }
    if (!any && is_one_missed)
        print_message(
            "No agent process is running (start one with 'autoexec agent'; autoexec run "
            "uses its own).\n");
}

// Those to which commands are not given now.
void print_held_agents(const std::filesystem::path& root)
{
    const auto now = std::chrono::system_clock::now();
    const auto reading = records::read_agent_health(root, now);
    if (!reading.problem.empty()) print_message("{}\n", reading.problem);
    for (const auto& [name, health] : reading.agents) {
        const auto reason = protocol::reason_of(name, health, now);
        if (reason.empty()) continue;
        print_message("Held back: {}{}{}\n", reason, health.message.empty() ? "" : " – ",
                      text::printable(health.message));
    }
}

using WaitingStep = std::pair<workflow::RunRecord, workflow::StepRecord>;

std::vector<WaitingStep> manual_steps(const std::filesystem::path& root)
{
    std::vector<WaitingStep> waiting;
    for (const auto& run : live_runs(root))
        for (const auto& step : run.steps)
            if (step.state == StepState::waiting_manual) waiting.emplace_back(run, step);
    return waiting;
}

void print_step(const workflow::RunRecord& run, const workflow::StepRecord& step, bool as_json)
{
    if (as_json) return print_json(cli::to_json(run, step));
    print_result("{:11} {}  {}  waits for you; autoexec answer {}\n", "input",
                 text::printable(step.id), shown_path(step.worktree),
                 text::printable(text::quote_words(std::vector{run.run_id + "/" + step.id})));
}

void print_entry(const records::RunningEntry& entry, AttemptState seen)
{
    if (const auto& question = entry.record.waiting_for; question && entry.alive) {
        seen.state = "input";
        seen.message = waiting_sentence(*question, entry.record.execution_id);
    }
    print_result("{:11} {} {:>7} #{:<2} {}  {}  {}\n", seen.state,
                 short_id(entry.record.execution_id), text::format_duration(age_of(entry.record)),
                 entry.record.attempt, shown_path(entry.record.worktree),
                 text::printable(entry.record.command), text::printable(seen.message));
}

int status(const CommonOptions& options)
{
    const auto root = project_root(options);
    handoff::FileHandoffOptions where;
    where.project_root = root;
    const auto config = AutoExecutionConfigManager({}, root).load(false);
    where.status_file_name = config.executor.status_file_name;
    const auto handoff = handoff::file_handoff(std::move(where));

    error_code problem;
    const auto entries = records::list_running(root, &problem);
    if (problem) fail(exit_internal, "{}", records::unreadable_sentence(root, problem));
    const auto steps = manual_steps(root);
    if (entries.empty() && steps.empty() && !options.json)
        print_message("No commands are running or queued.\n");
    bool any_works = false;
    bool any_waits = false;
    for (const auto& entry : entries) {
        auto seen = read_state(*handoff, entry);
        if (entry.alive) (seen.state == "waiting" ? any_waits : any_works) = true;
        if (options.json)
            print_json(to_json(entry, seen));
        else
            print_entry(entry, std::move(seen));
    }
    for (const auto& [run, step] : steps) print_step(run, step, options.json);
    if (!options.json) print_held_agents(root);
    if (!options.json) print_agents(root, any_waits || !any_works);
    const auto shortage = executor::shortage_of(executor::free_resources(root), config.executor);
    if (!options.json && !shortage.empty())
        print_message("No command starts for now: {}.\n", shortage);
    return exit_completed;
}

}  // namespace

extern const Subcommand status_subcommand =
    subcommand("status", "Show running and queued commands", add_common, status);

}  // namespace autoexec::cli
