#include "cli/workflow/manual_step.hpp"

#include "autoexec/view.hpp"
#include "cli/session/project.hpp"
#include "cli/session/questions.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/setup.hpp"
#include "protocol/control_files.hpp"
#include "protocol/step_answer.hpp"
#include "records/decisions.hpp"
#include "text/json.hpp"
#include "workflow/journal/markers.hpp"

#include <fmt/ranges.h>
#include <boost/algorithm/string/replace.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using workflow::RunRecord;
using workflow::StepRecord;

constexpr std::chrono::seconds answer_timeout{5};
constexpr std::chrono::milliseconds answer_interval{50};

const StepRecord* find_step(const RunRecord& run, const std::string& id)
{
    const auto at = std::find_if(run.steps.begin(), run.steps.end(),
                                 [&](const StepRecord& step) { return step.id == id; });
    return at == run.steps.end() ? nullptr : &*at;
}

const StepRecord* find_waiting(const RunRecord& run, const std::string& id)
{
    const auto* const step = find_step(run, id);
    const bool waits = run.status == WorkflowStatus::running && step != nullptr &&
                       step->state == StepState::waiting_manual;
    return waits ? step : nullptr;
}

std::string mark_problem(const RunRecord& run, const std::string& id)
{
    const auto* const step = find_step(run, id);
    if (step == nullptr) return fmt::format("{} has no step '{}'", run.run_id, id);
    if (run.status != WorkflowStatus::running)
        return fmt::format("{} has ended: {}", run.run_id, to_string(run.status));
    return fmt::format("'{}' is not waiting for a person: {}", id, to_string(step->state));
}

// An active run takes precedence. Empty: it waits in none.
std::string find_only_run(const fs::path& root, const std::string& step_id)
{
    ProjectReaderOptions what;
    what.project_root = root;
    what.max_runs = max_waiting_runs;
    what.max_ended = 0;
    ProjectReader reader(std::move(what));
    reader.refresh();
    std::vector<std::string> active;
    std::vector<std::string> interrupted;
    for (const auto& run : reader.state().runs)
        for (const auto& step : run.steps)
            if (step.id == step_id && step.state == StepState::waiting_manual &&
                run.status == WorkflowStatus::running)
                (run.alive ? active : interrupted).push_back(run.run_id);
    const auto& found = active.empty() ? interrupted : active;
    if (found.size() > 1)
        fail(exit_usage, "'{}' is waiting in several runs; name one of them: {}", step_id,
             fmt::join(found, ", "));
    return found.empty() ? std::string() : found.front();
}

RunRecord find_target(const fs::path& root, const ManualStepOptions& options)
{
    if (options.words.size() == 2 && !options.run.empty())
        fail(exit_usage, "the run is given twice");
    auto wanted = options.words.size() == 2 ? options.words.front() : options.run;
    if (wanted.empty()) wanted = find_only_run(root, options.step());
    auto run = find_run(root, wanted);
    const auto* const step = find_waiting(run, options.step());
    if (step == nullptr) fail(exit_usage, "{}", mark_problem(run, options.step()));
    const bool is_other =
        (options.round && *options.round != step->round) ||
        (!options.question.empty() && !is_called(step->execution_id, options.question));
    if (is_other) fail(exit_usage, "'{}' is waiting in round {} now", step->id, step->round);
    return run;
}

workflow::Marker make_marker(const RunRecord& run, const StepRecord& step, bool done,
                             const std::string& reason)
{
    const auto now = std::chrono::system_clock::now();
    workflow::Marker marker;
    marker.workflow_id = run.run_id;
    marker.step_id = step.id;
    marker.agent = step.agent;
    marker.action = step.action;
    marker.done = done;
    marker.timestamp = text::iso_local(now);
    marker.worktree_path = step.worktree;
    marker.started_at = text::iso_utc(step.started_at);
    if (done)
        marker.completed_at = text::iso_utc(now);
    else
        marker.error = reason;
    return marker;
}

// People do all steps of the run: the answer is a marker, as scripts write it.
int put_marker(const fs::path& root, const RunRecord& run, const ManualStepOptions& options)
{
    const StepAnswer answer{options.decision.value_or(StepDecision::failed), {}, {}, {}};
    const bool done = answer.accepts();
    if (done && !options.reason.empty())
        fail(exit_usage, "people do all steps of {}: a reason is recorded only for failures",
             run.run_id);
    const auto& step = *find_waiting(run, options.step());
    if (const auto ec = workflow::write_marker(root, make_marker(run, step, done, options.reason)))
        fail(exit_internal, "cannot write the marker: {}", ec.message());
    if (options.json)
        print_json({{"run_id", run.run_id},
                    {"step_id", step.id},
                    {"state", done ? "completed" : "failed"}});
    else
        print_result("'{}' is marked as {}{}\n", text::printable(step.id), done ? "done" : "failed",
                     run.alive ? "." : "; its run was interrupted.");
    return exit_completed;
}

protocol::StepAnswerFile make_answer(const StepRecord& step, const ManualStepOptions& options)
{
    if (options.reason.size() > protocol::max_step_reason)
        fail(exit_usage, "the reason has {} bytes; at most {} are allowed", options.reason.size(),
             protocol::max_step_reason);
    if (text::valid_utf8(options.reason) != options.reason)
        fail(exit_usage, "the reason is not UTF-8");
    const auto refusal = step.wait->is_approval ? StepDecision::rejected : StepDecision::failed;
    return {step.execution_id,
            {options.decision.value_or(refusal),
             std::string(text::head(user_at_host(), protocol::max_step_answerer)), options.reason,
             std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now())}};
}

/// The run once its executor has read the answer, or else after some seconds. Fails if its executor
/// has removed the answer and still waits for one.
RunRecord wait_until_read(const fs::path& root, RunRecord run, const StepRecord& answered)
{
    const auto deadline = std::chrono::steady_clock::now() + answer_timeout;
    while (run.alive && std::chrono::steady_clock::now() < deadline) {
        std::string problem;
        // First: an answer that counts is recorded before its file is removed.
        const bool is_removed = !records::read_decision(root, run.run_id, answered.execution_id);
        auto now = workflow::read_run(root, run.run_id, problem);
        if (!now) break;
        run = *std::move(now);
        const auto* const step = find_waiting(run, answered.id);
        if (step == nullptr || step->execution_id != answered.execution_id) break;
        if (is_removed)
            fail(exit_failed, "{} has refused the answer to '{}', and still waits; see its log",
                 run.run_id, answered.id);
        std::this_thread::sleep_for(answer_interval);
    }
    return run;
}

// Null: the step has another round, in which it has not been answered.
const StepRecord* find_answered(const RunRecord& run, const protocol::StepAnswerFile& file)
{
    for (const auto& step : run.steps)
        if (step.execution_id == file.execution_id) return &step;
    return nullptr;
}

// Its executor may have redacted the reason.
bool is_answered_by(const StepRecord& step, const StepAnswer& answer)
{
    return step.answer && step.answer->decision == answer.decision && step.answer->at == answer.at;
}

std::string_view note_on(const RunRecord& run, bool is_read)
{
    if (is_read) return ".";
    return run.alive
               ? "; its run has not read the answer yet."
               : "; the run that waits was interrupted, and continues with 'workflow resume'.";
}

int put_answer(const fs::path& root, const RunRecord& run, const ManualStepOptions& options)
{
    const auto step = *find_waiting(run, options.step());
    const auto file = make_answer(step, options);
    const auto ec = records::put_decision(root, run.run_id, file.execution_id,
                                          protocol::format_step_answer(file));
    if (ec == boost::system::errc::file_exists)
        fail(exit_usage, "'{}' has an answer already, which its run has not read yet", step.id);
    if (ec) fail(exit_internal, "cannot write the answer: {}", ec.message());
    const auto now = options.no_wait ? run : wait_until_read(root, run, step);
    const auto* const seen = find_answered(now, file);
    const bool still_waits = seen != nullptr && seen->state == StepState::waiting_manual &&
                             now.status == WorkflowStatus::running;
    const bool is_lost =
        seen == nullptr && records::read_decision(root, run.run_id, file.execution_id);
    if (is_lost) {
        (void)records::remove_decision(root, run.run_id, file.execution_id);
        fail(exit_failed, "'{}' has not got the answer: a gate has started another round of it",
             step.id);
    }
    // A gate may have started another round after it: then its answer was read, too.
    const bool is_read = !still_waits && (seen == nullptr || is_answered_by(*seen, file.answer));
    if (!still_waits && !is_read) {
        (void)records::remove_decision(root, run.run_id, file.execution_id);
        fail(exit_failed, "'{}' has ended before the answer: {}", step.id, to_string(seen->state));
    }
    const auto state = seen != nullptr ? seen->state : StepState::pending;
    if (options.json)
        print_json({{"run_id", run.run_id},
                    {"step_id", step.id},
                    {"state", to_string(state)},
                    {"decision", to_string(file.answer.decision)}});
    else
        print_result("'{}' is {}{}\n", text::printable(step.id), to_string(file.answer.decision),
                     note_on(now, is_read));
    return exit_completed;
}

std::string addressee(const StepEntry& step)
{
    if (!step.wait) return "you";
    auto words = step.wait->by.empty() ? std::string("you") : step.wait->by;
    if (step.wait->until) words += " until " + text::shown_time(*step.wait->until);
    return words;
}

void print_wait(const StepRecord& step, const std::string& id)
{
    print_result("{} waits for {}:\n", text::printable(id), text::printable(addressee(step)));
    // Marked, so that no line of it looks like those below.
    auto words = text::printable(step.wait->text, true);
    boost::algorithm::replace_all(words, "\n", "\n  | ");
    print_result("  | {}\n  in {}\n", words, shown_path(step.worktree));
    const auto name = text::printable(text::quote_words(std::vector{id})) + " --question " +
                      short_id(step.execution_id);
    if (step.wait->is_approval)
        print_message("Answer with: autoexec answer {0} --option approve, or --deny REASON\n",
                      name);
    else
        print_message(
            "When done: autoexec answer {0} --option done; if it cannot be done: autoexec "
            "answer {0} --deny REASON\n",
            name);
}

}  // namespace

void add_manual_step(CLI::App& app, ManualStepOptions& options)
{
    add_common(app, options);
    app.add_option("step", options.words, "The step's id, after the id of its run if that is given")
        ->type_name("[RUN] STEP")
        ->expected(1, 2)
        ->required();
    add_run_id(app, "--run", options.run,
               "The step's run (default: the run in which it is waiting)");
    app.add_option("--round", options.round, "Answer only this round of the step")->type_name("N");
    app.add_option("--reason", options.reason, "Record why")->type_name("TEXT");
    app.add_flag("--no-wait", options.no_wait, "Do not wait until the run has read the answer");
}

int mark_step(const ManualStepOptions& options)
{
    const auto root = project_root(options);
    const auto run = find_target(root, options);
    if (!find_waiting(run, options.step())->wait) return put_marker(root, run, options);
    // Against accidents: a program can remove the variable.
    const char* const attempt = std::getenv("AUTOEXEC_ATTEMPT_ID");
    if (attempt != nullptr && *attempt != '\0')
        fail(exit_usage, "a program of an attempt cannot answer a manual step; a person must");
    return put_answer(root, run, options);
}

int show_step(const ManualStepOptions& options)
{
    const auto run = find_target(project_root(options), options);
    const auto& step = *find_waiting(run, options.step());
    if (options.json) {
        print_json(to_json(run, step));
        return exit_completed;
    }
    const auto id = run.run_id + "/" + step.id;
    if (step.wait) {
        print_wait(step, id);
        return exit_completed;
    }
    print_result("{} waits for you. Instructions: {}\n", text::printable(id),
                 shown_path(fs::path(step.worktree) / control_files::simple));
    print_message(
        "When done: autoexec answer {0} --option done; if it cannot be done: autoexec "
        "answer {0} --deny REASON\n",
        text::printable(text::quote_words(std::vector{id})));
    return exit_completed;
}

std::string waiting_sentence(const StepEntry& step)
{
    const auto words = step.wait ? line_of(step.wait->text) : std::string();
    return fmt::format("waits for {}{}{}", addressee(step), words.empty() ? "" : ": ", words);
}

std::string waiting_sentence(const RunEntry& run, const StepEntry& step)
{
    const std::string_view note = run.alive ? "" : " (its run was interrupted)";
    return fmt::format("{}{}", waiting_sentence(step), note);
}

bool waits_for_person(const RunEntry& run, const StepEntry& step)
{
    return step.state == StepState::waiting_manual && run.status == WorkflowStatus::running &&
           (run.alive || step.wait);
}

std::string words_of(const StepAnswer& answer)
{
    std::string words(to_string(answer.decision));
    if (!answer.by.empty()) words += " by " + answer.by;
    return answer.reason.empty() ? words : words + ": " + line_of(answer.reason);
}

json::object to_json(const RunEntry& run, const StepEntry& step)
{
    json::object o;
    o["state"] = to_string(step.state);
    o["workflow_id"] = run.run_id;
    o["run_state"] = state_of(run);
    o["step_id"] = step.id;
    o["execution_id"] = step.execution_id;
    o["worktree"] = step.worktree;
    o["started_at"] = text::text_or_null(text::iso_utc(step.started_at));
    o["waiting_for"] = nullptr;
    if (step.wait) o["waiting_for"] = protocol::to_json(*step.wait);
    return o;
}

}  // namespace autoexec::cli
