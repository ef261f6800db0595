#include "workflow/run/manual_steps.hpp"

#include "logging/log.hpp"
#include "protocol/command_file.hpp"
#include "protocol/question_format.hpp"
#include "protocol/step_answer.hpp"
#include "records/decisions.hpp"
#include "text/json.hpp"
#include "text/text.hpp"
#include "workflow/journal/markers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::workflow {
namespace {

// No lock is kept and no attempt is named, so that no agent takes the command from the person.
PublishedFiles files_for(const CommandRequest& request,
                         const std::optional<std::chrono::system_clock::time_point>& created_at,
                         const Redactor& redactor)
{
    protocol::CommandFile file;
    file.command = request.command;
    file.workflow_id = request.workflow_id;
    file.step_id = request.step_id;
    file.created_at = created_at;
    file.expected_artifacts = request.expected_artifacts;
    file.worktree_path = request.worktree.string();
    file.agent = request.agent;
    file.argv = request.argv;
    file.env_refs = request.env_refs;
    if (request.environment) {
        file.env = request.environment->variables;
        file.working_directory = request.environment->working_directory;
        file.model = request.environment->model;
    }
    const auto redacted = redactor.redact(request.command);
    PublishedFiles files;
    files.command = protocol::format_command(file);
    files.simple = redacted;
    files.metadata = protocol::format_metadata(file, redacted);
    return files;
}

/// What a person is to decide or to do. A block of YAML ends with a newline.
std::string words_for_person(const WorkflowStep& definition, const CommandRequest& request)
{
    auto words = !request.command.empty()    ? request.command
                 : !definition.notes.empty() ? definition.notes
                                             : definition.name;
    words.erase(words.find_last_not_of(" \t\r\n") + 1);
    return words;
}

Question question_of(const std::string& id, const ManualWait& wait)
{
    Question question;
    question.id = id;
    question.text = wait.text;
    if (wait.is_approval)
        question.options = {{"approve", "Approve"}, {"reject", "Reject"}};
    else
        question.options = {{"done", "It is done"}, {"fail", "It cannot be done"}};
    return question;
}

}  // namespace

std::string sentence_of(const StepAnswer& answer)
{
    const bool is_rejection = answer.decision == StepDecision::rejected;
    auto text = fmt::format("It was {}", is_rejection ? "rejected" : "marked as failed");
    if (!answer.by.empty()) text += " by " + answer.by;
    return answer.reason.empty() ? text : text + ": " + answer.reason;
}

bool is_rejected(const StepResult& result)
{
    return result.answer && result.answer->decision == StepDecision::rejected;
}

void ManualSteps::wait(std::size_t i)
{
    auto& step = state_.step(i);
    const auto& definition = inputs_.workflow.steps[i];
    const auto& options = context_.options;
    ManualWait wait;
    wait.text = options.redactor->redact(words_for_person(definition, step.command.request));
    wait.by = options.redactor->redact(definition.manual->by);
    if (const auto& limit = definition.manual->until)
        wait.until = options.clock->system_now() + *limit;
    wait.is_approval = step.command.request.expected_artifacts.empty();
    step.phase = WaitingForPerson{{}, wait};
    step.result.state = StepState::waiting_manual;
    const protocol::StepWaiting waiting{step.result.id, step.result.round, std::move(wait)};
    if (log_.record(waiting)) wait_again(i);
}

void ManualSteps::wait_again(std::size_t i) const
{
    const auto& step = state_.step(i);
    const auto& wait = std::get<WaitingForPerson>(step.phase).wait;
    const auto question = question_of(step.command.request.execution_id, *wait);
    audit(i, EventType::input_needed, {{"waiting_for", protocol::to_json(question)}});
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::step_waiting;
    event.step_id = step.result.id;
    event.round = step.result.round;
    event.state = step.result.state;
    event.message = fmt::format("autoexec workflow {} {}", question.options.front().id,
                                text::quote_words(std::vector{log_.run_id(), step.result.id}));
    event.worktree = step.worktree();
    event.result = &step.result;
    event.wait = wait;
    log_.notify(std::move(event));
}

std::optional<StepAnswer> ManualSteps::find_answer(std::size_t i) const
{
    const auto& id = state_.step(i).command.request.execution_id;
    const auto& root = context_.options.project_root;
    const auto found = records::read_decision(root, log_.run_id(), id);
    if (!found) return std::nullopt;
    auto file = protocol::parse_step_answer(found->text);
    if (file && file->execution_id == id) return std::move(file->answer);
    // What cannot be removed is not reported again and again.
    if (!records::remove_decision(root, log_.run_id(), id))
        logging::log(
            logging::LogLevel::warning, "An answer to the step '{}' was ignored and removed: {}.",
            state_.step(i).result.id, found->problem.empty() ? "it is damaged" : found->problem);
    return std::nullopt;
}

std::optional<StepOutcome> ManualSteps::poll_answer(std::size_t i, const ManualWait& wait)
{
    if (auto answer = find_answer(i)) return finish_by(i, *std::move(answer));
    const auto now = context_.options.clock->system_now();
    if (!wait.until || now < *wait.until) return std::nullopt;
    const auto& manual = inputs_.workflow.steps[i].manual;
    if (manual && manual->approved_at_deadline)
        return finish_by(i, {StepDecision::approved, {}, "Its deadline has passed", now});
    audit_end(i, {});
    return finish(i, StepState::timeout,
                  "It was not answered until " + text::shown_time(*wait.until));
}

StepOutcome ManualSteps::finish_by(std::size_t i, StepAnswer answer)
{
    answer.by = context_.options.redactor->redact(answer.by);
    answer.reason = context_.options.redactor->redact(answer.reason);
    audit_end(i, answer);
    const bool is_judged = answer.accepts() || (answer.decision == StepDecision::rejected &&
                                                inputs_.plan.steps[i].has_gate);
    auto reason = is_judged ? std::string() : sentence_of(answer);
    state_.step(i).result.answer = std::move(answer);
    return finish(i, is_judged ? StepState::completed : StepState::failed, std::move(reason));
}

void ManualSteps::remove_answer(std::size_t i) const
{
    (void)records::remove_decision(context_.options.project_root, log_.run_id(),
                                   state_.step(i).command.request.execution_id);
}

StepOutcome ManualSteps::cancel(std::size_t i)
{
    if (std::get<WaitingForPerson>(state_.step(i).phase).wait) audit_end(i, {});
    return finish(i, StepState::cancelled, "It was cancelled");
}

void ManualSteps::audit_end(std::size_t i, const std::optional<StepAnswer>& answer) const
{
    boost::json::object details{{"question_id", state_.step(i).command.request.execution_id},
                                {"outcome", !answer             ? "unanswered"
                                            : answer->accepts() ? "answered"
                                                                : "denied"}};
    if (answer) {
        details["option"] = to_string(answer->decision);
        details["by"] = text::text_or_null(answer->by);
    }
    if (answer && !answer->reason.empty()) details["text"] = answer->reason;
    audit(i, EventType::input_ended, std::move(details));
}

void ManualSteps::audit(std::size_t i, EventType type, boost::json::object details) const
{
    if (!context_.options.audit) return;
    const auto& step = state_.step(i);
    const auto& wait = std::get<WaitingForPerson>(step.phase).wait;
    Event event;
    event.type = type;
    event.time = context_.options.clock->system_now();
    event.execution_id = step.command.request.execution_id;
    event.workflow_id = log_.run_id();
    event.step_id = step.result.id;
    event.command = wait->text;
    event.worktree = step.worktree();
    event.question = question_of(event.execution_id, *wait);
    event.details = std::move(details);
    context_.options.audit->publish(event);
}

error_code ManualSteps::put_files(std::size_t i, std::string& why) const
{
    const auto& step = state_.step(i);
    const auto& options = context_.options;
    error_code ec;
    const auto mailbox = options.handoff->open(step.worktree(), ec, why);
    if (mailbox) {
        ec = mailbox->try_lock();
        if (ec == errc::worktree_busy)
            why = fmt::format("Another executor runs a command in the worktree '{}'",
                              step.worktree().string());
        if (!ec) ec = mailbox->prepare();
        if (!ec)
            ec = mailbox->publish(
                files_for(step.command.request, step.result.started_at, *options.redactor),
                options.durability);
    }
    if (ec && why.empty()) why = "The command cannot be published: " + ec.message();
    return ec;
}

std::optional<StepOutcome> ManualSteps::publish(std::size_t i, bool is_recorded)
{
    std::string why;
    if (put_files(i, why)) return finish(i, StepState::failed, std::move(why));
    // Published first: a reader who sees that it waits finds the files.
    auto& step = state_.step(i);
    WaitingForPerson waiting;
    if (const auto& timeout = step.command.request.timeout)
        waiting.deadline = step.since + *timeout;
    step.phase = waiting;
    step.result.state = StepState::waiting_manual;
    if (is_recorded) return std::nullopt;
    log_.record(protocol::StepWaiting{step.result.id, step.result.round});
    log_.notify(WorkflowEvent::Type::step_waiting, step,
                "autoexec workflow done " + text::quote_words(std::vector{step.result.id}));
    return std::nullopt;
}

std::optional<StepOutcome> ManualSteps::poll(std::size_t i)
{
    const auto* const waiting = std::get_if<WaitingForPerson>(&state_.step(i).phase);
    if (waiting == nullptr) return std::nullopt;
    if (waiting->wait) return poll_answer(i, *waiting->wait);
    std::string problem;
    const auto marker = find_marker(context_.options.project_root, log_.run_id(),
                                    state_.step(i).result.id, problem);
    if (marker && marker->done) return finish(i, StepState::completed, {});
    if (marker)
        return finish(i, StepState::failed,
                      marker->error.empty() ? "It was marked as failed" : marker->error);
    if (waiting->deadline && context_.options.clock->now() >= *waiting->deadline)
        return finish(i, StepState::timeout, "It was not marked as done within its time limit");
    return std::nullopt;
}

StepOutcome ManualSteps::finish(std::size_t i, StepState state, std::string reason)
{
    auto& step = state_.step(i);
    StepOutcome outcome{i, state, context_.options.redactor->redact(reason)};
    const bool is_published = !std::get<WaitingForPerson>(step.phase).wait;
    const auto& request = step.command.request;
    std::string why;
    error_code ec;
    if (const auto mailbox = context_.options.handoff->open(request.worktree, ec, why)) {
        for (const auto& path : request.expected_artifacts)
            if (!mailbox->artifact(path).present) outcome.missing.push_back(path);
        // An executor that has locked the worktree in between removes the files itself.
        if (is_published && !mailbox->try_lock()) {
            (void)mailbox->prepare();  // a mailbox that publishes nothing cleans only by attempt
            (void)mailbox->clean(request.execution_id, false);
        }
    }
    const bool is_rejected = workflow::is_rejected(step.result);
    if (!outcome.missing.empty() && state == StepState::completed && !is_rejected &&
        request.require_artifacts) {
        outcome.state = StepState::failed;
        outcome.reason = fmt::format("It was marked as done, but these artifacts are missing: {}",
                                     fmt::join(outcome.missing, ", "));
    }
    step.phase = Running{};  // until the outcome is handled
    step.result.state = StepState::running;
    return outcome;
}

}  // namespace autoexec::workflow
