#include "cli/queue/foreground_queue.hpp"

#include "cli/queue/submission.hpp"
#include "cli/session/batch_outcome.hpp"
#include "cli/session/output.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace autoexec::cli {

ForegroundQueue::ForegroundQueue(std::filesystem::path project_root, const SessionFlags& flags,
                                 std::function<void(const std::string& id)> cancel)
    : folder_(project_root),
      project_root_(std::move(project_root)),
      flags_(flags),
      cancel_(std::move(cancel))
{}

bool ForegroundQueue::can_hold(const SessionFlags& flags)
{
    return !flags.external_agent && !flags.fail_on_input && !flags.max_cost && !flags.max_tokens &&
           !flags.total_timeout;
}

std::shared_ptr<const CommandHooks> ForegroundQueue::hooks_of(const CommandRequest& request)
{
    auto hooks = std::make_shared<CommandHooks>();
    hooks->on_wait = [this, &request] { submit(request); };
    hooks->on_start = [this, &request] { return start(request.execution_id); };
    return hooks;
}

void ForegroundQueue::submit(const CommandRequest& request)
{
    if (has_failed_) return;
    error_code ec;
    if (!owner_) owner_ = queue::OwnerLock::create(project_root_, ec);
    if (!owner_) return report(ec);
    auto queued = queued_request(request, flags_);
    queued.owner = owner_->id();
    ec = folder_.submit(queued, Durability::process);  // its id is not printed before it starts
    if (ec) return report(ec);
    requests_.emplace(request.execution_id, State::waiting);
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
    const auto request = requests_.find(result.execution_id);
    if (request == requests_.end()) return;
    protocol::QueuedResult ended;
    ended.id = result.execution_id;
    ended.ended_at = ended.reported_at = std::chrono::system_clock::now();
    ended.result = json_of(result, prices);
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
