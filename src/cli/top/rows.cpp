#include "cli/top/rows.hpp"

#include "cli/session/project.hpp"
#include "cli/session/questions.hpp"
#include "cli/workflow/manual_step.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t min_wide_columns = 70;
constexpr std::size_t max_place_columns = 30;

Section section_of(ExecutionState state)
{
    switch (state) {
        case ExecutionState::needs_input:
            return Section::needs_you;
        case ExecutionState::interrupted:
            return Section::failing;
        case ExecutionState::queued:
            return Section::queued;
        default:
            return Section::running;
    }
}

Section section_of(ExecutionStatus status)
{
    const bool is_fine =
        status == ExecutionStatus::completed || status == ExecutionStatus::cancelled;
    return is_fine ? Section::ended : Section::failing;
}

std::string note_of(const ExecutionEntry& entry)
{
    if (entry.waiting_for) return line_of(*entry.waiting_for);
    if (!entry.other_host.empty())
        return fmt::format("on the host {}, if its executor lives", entry.other_host);
    if (!entry.progress) return {};
    if (entry.progress->percentage <= 0) return entry.progress->message;
    return fmt::format("{:.0f} % {}", entry.progress->percentage, entry.progress->message);
}

std::string claim_text(const std::optional<ReportedStatus>& reported)
{
    return reported ? std::string(to_string(*reported)) : "nothing";
}

TopRow row_of(const ExecutionEntry& entry)
{
    TopRow row;
    row.section = section_of(entry.state);
    row.id = entry.execution_id;
    row.attempt_id = entry.attempt_id;
    row.attempt = entry.attempt;
    row.state = entry.waiting_for ? "input" : std::string(to_string(entry.state));
    row.agent = entry.agent;
    row.command = entry.command;
    row.worktree = entry.worktree;
    row.note = note_of(entry);
    row.started_at = entry.started_at ? entry.started_at : entry.submitted_at;
    row.question = entry.waiting_for;
    row.exit = "not ended";
    row.claimed = claim_text(entry.reported);
    row.verified = "not yet";
    row.can_run_again = entry.state == ExecutionState::interrupted;
    row.can_be_cancelled = !row.can_run_again;
    return row;
}

TopRow row_of(const EndedExecutionEntry& entry)
{
    TopRow row;
    row.section = section_of(entry.status);
    row.id = entry.execution_id;
    row.attempt_id = entry.attempt_id;
    row.attempt = entry.attempt;
    row.state = to_string(entry.status);
    row.agent = entry.agent;
    row.command = entry.command;
    row.worktree = entry.worktree;
    row.note = entry.error_message;
    row.started_at = entry.started_at;
    row.ended_at = entry.ended_at;
    row.exit = exit_text(entry.exit_code, entry.signal);
    row.claimed = claim_text(entry.reported);
    row.verified = verified_text(entry.verified, entry.missing_artifacts);
    row.can_run_again = true;
    return row;
}

TopRow row_of(const RunEntry& run, const StepEntry& step)
{
    TopRow row;
    row.kind = TopRow::Kind::manual_step;
    row.section = Section::needs_you;
    row.id = run.run_id + "/" + step.id;
    row.state = "input";
    row.agent = step.agent;
    row.command = step.id;
    row.worktree = step.worktree;
    row.note = step.wait ? waiting_sentence(run, step) : "a step for you";
    row.wait = step.wait;
    if (step.wait) row.wait_id = step.execution_id;
    row.started_at = step.started_at;
    return row;
}

std::string step_line(const StepEntry& step)
{
    auto line = fmt::format("{:12} {}", to_string(step.state), step.id);
    if (!step.agent.empty()) line += "  " + step.agent;
    if (!step.execution_id.empty()) line += "  " + short_id(step.execution_id);
    if (!step.reason.empty()) line += "  " + step.reason;
    return line;
}

bool is_done(const StepEntry& step)
{
    return step.state == StepState::completed || step.state == StepState::skipped;
}

Section section_of(const RunEntry& run)
{
    if (run.status == WorkflowStatus::running)
        return run.alive ? Section::running : Section::failing;
    return run.status == WorkflowStatus::failed ? Section::failing : Section::ended;
}

TopRow row_of(const RunEntry& run)
{
    const bool is_interrupted = run.status == WorkflowStatus::running && !run.alive;
    TopRow row;
    row.kind = TopRow::Kind::run;
    row.section = section_of(run);
    row.id = run.run_id;
    row.state = is_interrupted ? "interrupted" : std::string(to_string(run.status));
    if (run.waits_for) row.state = "waiting";
    row.command = run.name.empty() ? run.workflow_id : run.name;
    row.note = fmt::format("{} of {}", std::ranges::count_if(run.steps, is_done),
                           text::counted(run.steps.size(), "step"));
    if (run.waits_for && !run.waits_for->run_id.empty())
        row.note += "; waits for " + run.waits_for->run_id;
    if (!run.error.empty()) row.note += ": " + run.error;
    row.started_at = run.started_at;
    row.ended_at = run.ended_at;
    row.can_be_cancelled = run.alive;
    std::ranges::transform(run.steps, std::back_inserter(row.steps), step_line);
    return row;
}

// Those that have ended, newest first; the others as they are.
bool is_shown_before(const TopRow& a, const TopRow& b)
{
    if (a.section != b.section) return a.section < b.section;
    const bool may_have_ended = a.section == Section::failing || a.section == Section::ended;
    return may_have_ended && a.ended_at.value_or(TopRow::Time::value_type::max()) >
                                 b.ended_at.value_or(TopRow::Time::value_type::max());
}

// The end of a path says more than its beginning.
std::string place_of(const std::filesystem::path& worktree, std::size_t columns)
{
    const auto path = shown_path(worktree);
    return cell(path.size() > columns ? worktree.filename().string() : path, columns);
}

std::string queue_engine_text(const QueueEngineEntry& engine)
{
    if (!engine.alive) return "no engine of the queue";
    auto text = engine.pid == 0 ? std::string("engine of the queue: starts")
                                : fmt::format("engine of the queue: process {}", engine.pid);
    if (engine.draining) text += ", ends after what runs";
    return text;
}

}  // namespace

std::string_view title_of(Section section)
{
    switch (section) {
        case Section::needs_you:
            return "Needs you";
        case Section::failing:
            return "Failing";
        case Section::running:
            return "Running";
        case Section::queued:
            return "Queued";
        case Section::ended:
            break;
    }
    return "Ended";
}

Style style_of(Section section)
{
    if (section == Section::needs_you) return Style::attention;
    if (section == Section::failing) return Style::failure;
    return section == Section::running ? Style::plain : Style::faint;
}

std::chrono::milliseconds TopRow::age(std::chrono::system_clock::time_point now) const
{
    if (!started_at) return {};
    const auto age = ended_at.value_or(now) - *started_at;
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::duration_cast<std::chrono::milliseconds>(age));
}

std::vector<TopRow> rows_of(const ProjectState& project)
{
    std::vector<TopRow> rows;
    for (const auto& run : project.runs)
        for (const auto& step : run.steps)
            if (waits_for_person(run, step)) rows.push_back(row_of(run, step));
    for (const auto& run : project.runs) rows.push_back(row_of(run));
    for (const auto& entry : project.executions) rows.push_back(row_of(entry));
    for (const auto& entry : project.ended) rows.push_back(row_of(entry));
    std::stable_sort(rows.begin(), rows.end(), is_shown_before);
    return rows;
}

std::string line_of(const TopRow& row, std::size_t columns,
                    std::chrono::system_clock::time_point now)
{
    const bool is_wide = columns >= min_wide_columns;
    const auto age = text::format_duration(row.age(now));
    const auto id = row.kind == TopRow::Kind::execution ? short_id(row.id)
                    : row.kind == TopRow::Kind::run     ? "run"
                                                        : "step";
    auto line = cell(row.state, is_wide ? 11 : 9);
    line += fmt::format(" {} {:>7} ", cell(id, 8), age);
    if (is_wide) {
        line += row.attempt > 1 ? fmt::format("#{:<2} ", row.attempt) : "    ";
        line += place_of(row.worktree, std::min((columns - 40) / 3, max_place_columns)) + "  ";
    }
    const bool note_first = row.section == Section::needs_you;
    const auto& first = note_first ? row.note : row.command;
    const auto& second = note_first ? row.command : row.note;
    line += first;
    if (!second.empty()) line += "  " + second;
    return line;
}

std::string engine_line(const ProjectState& project)
{
    std::vector<std::string> parts;
    for (const auto& problem :
         {project.executions_problem, project.held_agents_problem, project.pauses_problem})
        if (!problem.empty()) parts.push_back(problem);
    for (const auto& pause : project.pauses) parts.push_back(pause.reason);
    for (const auto& agent : project.held_agents) parts.push_back("held back: " + agent.reason);
    if (project.queue_engine) parts.push_back(queue_engine_text(*project.queue_engine));
    if (!project.agent_processes.empty())
        parts.push_back(
            text::counted(project.agent_processes.size(), "agent process", "agent processes"));
    return fmt::format("{}", fmt::join(parts, " · "));
}

std::string exit_text(const std::optional<int>& exit_code, const std::optional<int>& signal)
{
    if (signal) return fmt::format("signal {}", *signal);
    return exit_code ? fmt::format("exit code {}", *exit_code) : "not known";
}

std::string verified_text(const std::optional<Verification>& verified,
                          const std::vector<std::string>& missing)
{
    if (!verified) return "no artifacts were expected";
    auto text = fmt::format("{} of the expected artifacts", to_string(*verified));
    if (!missing.empty()) text += fmt::format("; missing: {}", fmt::join(missing, ", "));
    return text;
}

}  // namespace autoexec::cli
