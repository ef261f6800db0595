#include "protocol/command_file.hpp"
#include "text/text.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>

/// Steps that people carry out: their files are published, and a marker says how they ended.
namespace autoexec::workflow {
namespace {

// No lock is kept and no attempt is named, so that no agent takes the command from the person.
PublishedFiles files_for(const CommandRequest& request, const std::string& created_at,
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

error_code Run::put_files(std::size_t i, std::string& why)
{
    auto& step = *steps_[i];
    error_code ec;
    const auto mailbox = context_->options.handoff->open(step.request.worktree, ec, why);
    if (mailbox) {
        ec = mailbox->try_lock();
        if (ec == errc::worktree_busy)
            why = fmt::format("Another engine runs a command in the worktree '{}'",
                              step.request.worktree.string());
        if (!ec) ec = mailbox->prepare();
        if (!ec)
            ec = mailbox->publish(
                files_for(step.request, step.result.started_at, *context_->options.redactor),
                context_->options.durability);
    }
    if (ec && why.empty()) why = "The command can't be published: " + ec.message();
    return ec;
}

void Run::publish_for_people(std::size_t i)
{
    auto& step = *steps_[i];
    std::string why;
    if (const auto ec = put_files(i, why)) {
        ended_.push_back({i, ec, {}, StepState::failed, std::move(why)});
        alarm_->wake();
        return;
    }
    // Published first: who sees that it waits finds the files.
    step.result.state = StepState::waiting_manual;
    record(protocol::StepWaiting{step.result.id, step.result.round});
    if (const auto& timeout = step.request.timeout) step.deadline = step.started + *timeout;
    tell_step(WorkflowEvent::Type::step_waiting, i,
              "autoexec workflow done " + text::quote_words(std::vector{step.result.id}));
}

void Run::look_at_manual_steps()
{
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        auto& step = *steps_[i];
        if (step.result.state != StepState::waiting_manual) continue;
        std::string problem;
        const auto marker = find_marker(context_->options.project_root, journal_->run_id(),
                                        step.result.id, problem);
        if (marker && marker->done)
            take_back(i, StepState::completed, {});
        else if (marker)
            take_back(i, StepState::failed,
                      marker->error.empty() ? "The marker says that it failed" : marker->error);
        else if (step.deadline && context_->options.clock->now() >= *step.deadline)
            take_back(i, StepState::timeout, "Nobody has said within its time that it is done");
    }
}

// What was published goes; what was to be made is looked for.
void Run::take_back(std::size_t i, StepState state, std::string reason)
{
    Ended ended;
    ended.step = i;
    ended.state = state;
    ended.reason = context_->options.redactor->redact(reason);
    const auto& request = steps_[i]->request;
    std::string why;
    error_code ec;
    if (const auto mailbox = context_->options.handoff->open(request.worktree, ec, why)) {
        for (const auto& path : request.expected_artifacts)
            if (!mailbox->artifact(path).present) ended.missing.push_back(path);
        // An engine that has come in between removes the files itself.
        if (!mailbox->try_lock()) {
            (void)mailbox->prepare();  // a mailbox that publishes nothing cleans only by attempt
            (void)mailbox->clean(request.execution_id, false);
        }
    }
    if (!ended.missing.empty() && state == StepState::completed && request.require_artifacts) {
        ended.state = StepState::failed;
        ended.reason = fmt::format("It was said to be done, but these artifacts are missing: {}",
                                   fmt::join(ended.missing, ", "));
    }
    steps_[i]->result.state = StepState::running;  // until its end is noted
    ended_.push_back(std::move(ended));
}

}  // namespace autoexec::workflow
