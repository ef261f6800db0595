#include "workflow/run/manual_steps.hpp"

#include "protocol/command_file.hpp"
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
    const auto redacted = redactor.redact(request.command);
    PublishedFiles files;
    files.command = protocol::format_command(file);
    files.simple = redacted;
    files.metadata = protocol::format_metadata(file, redacted);
    return files;
}

}  // namespace

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
    const auto& request = step.command.request;
    std::string why;
    error_code ec;
    if (const auto mailbox = context_.options.handoff->open(request.worktree, ec, why)) {
        for (const auto& path : request.expected_artifacts)
            if (!mailbox->artifact(path).present) outcome.missing.push_back(path);
        // An executor that has locked the worktree in between removes the files itself.
        if (!mailbox->try_lock()) {
            (void)mailbox->prepare();  // a mailbox that publishes nothing cleans only by attempt
            (void)mailbox->clean(request.execution_id, false);
        }
    }
    if (!outcome.missing.empty() && state == StepState::completed && request.require_artifacts) {
        outcome.state = StepState::failed;
        outcome.reason = fmt::format("It was marked as done, but these artifacts are missing: {}",
                                     fmt::join(outcome.missing, ", "));
    }
    step.phase = Running{};  // until the outcome is handled
    step.result.state = StepState::running;
    return outcome;
}

}  // namespace autoexec::workflow
