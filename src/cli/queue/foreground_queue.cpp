#include "cli/queue/foreground_queue.hpp"

#include "cli/queue/submission.hpp"
#include "cli/session/batch_outcome.hpp"
#include "cli/session/output.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace autoexec::cli {

namespace {

// False: an engine would run commands with these flags in another way.
bool can_be_queued(const SessionFlags& flags)
{
    return !flags.external_agent && !flags.fail_on_input && !flags.max_cost && !flags.max_tokens &&
           !flags.total_timeout;
}

}  // namespace

ForegroundQueue::ForegroundQueue(std::filesystem::path project_root, const SessionFlags& flags,
                                 bool nested, std::function<void(const std::string& id)> cancel)
    : folder_(project_root),
      project_root_(std::move(project_root)),
      flags_(flags),
      cancel_(std::move(cancel)),
      has_queue_(!nested && can_be_queued(flags))
{
    folder_.sweep_kept();
}

void ForegroundQueue::add(CommandJob& job)
{
    unpublished_.emplace(job.request.execution_id, &job);
    if (!has_queue_) return;
    auto hooks = std::make_shared<CommandHooks>();
    hooks->on_wait = [this, &job] { submit(job); };
    hooks->on_start = [this, &job] { return start(job.request.execution_id); };
    job.request.hooks = std::move(hooks);
}

protocol::QueuedRequest ForegroundQueue::request_of(const CommandJob& job) const
{
    auto queued = queued_request(job.request, flags_);
    queued.rerun_of = job.rerun_of;
    queued.created_worktree = name_of_own_worktree(job);
    return queued;
}

void ForegroundQueue::submit(const CommandJob& job)
{
    if (has_failed_) return;
    error_code ec;
    if (!owner_) owner_ = queue::OwnerLock::create(project_root_, ec);
    if (!owner_) return report(ec);
    auto queued = request_of(job);
    queued.owner = owner_->id();
    ec = folder_.submit(queued, Durability::process);  // its id is not printed before it starts
    if (ec) return report(ec);
    requests_.emplace(queued.id(), State::waiting);
}

// The rename decides whether it starts, or another process has cancelled it.
bool ForegroundQueue::start(const std::string& id)
{
    const auto request = requests_.find(id);
    if (request == requests_.end()) return true;
    if (folder_.start(id)) {
        request->second = State::started;
        return true;
    }
    requests_.erase(request);
    return folder_.state_of(id) == queue::RequestState::absent;  // a user has removed it
}

void ForegroundQueue::publish(const Event& event)
{
    if (event.type != EventType::execution_started) return;
    if (const auto job = unpublished_.find(event.execution_id); job != unpublished_.end()) {
        (void)folder_.keep(request_of(*job->second));  // if not, the history has its text
        unpublished_.erase(job);
    }
    const auto request = requests_.find(event.execution_id);
    if (request == requests_.end()) return;
    requests_.erase(request);
    if (folder_.leave_started(event.execution_id)) cancel_(event.execution_id);
}

void ForegroundQueue::cancel_ended()
{
    if (requests_.empty()) return;
    const auto waiting = folder_.list_waiting_ids();
    for (const auto& [id, state] : requests_)
        if (state == State::waiting && !std::binary_search(waiting.begin(), waiting.end(), id) &&
            folder_.state_of(id) == queue::RequestState::ended)
            cancel_(id);
}

void ForegroundQueue::end(const ExecutionResult& result, const ModelPrices& prices)
{
    const auto job = unpublished_.extract(result.execution_id);
    const auto request = requests_.find(result.execution_id);
    if (request == requests_.end()) return;
    protocol::QueuedResult ended;
    ended.id = result.execution_id;
    ended.ended_at = ended.reported_at = std::chrono::system_clock::now();
    ended.result = json_of(result, prices);
    if (job) queue::keep_request(ended, request_of(*job.mapped()));
    if (request->second == State::waiting)
        (void)folder_.end_waiting(ended);
    else if (!folder_.put_result(ended))
        folder_.remove_started(ended.id);
    requests_.erase(request);
}

void ForegroundQueue::report(error_code ec)
{
    has_failed_ = true;
    print_message(
        "Commands that wait are lost if this process is killed: cannot write to the "
        "queue: {}\n",
        ec.message());
}

}  // namespace autoexec::cli
