#include "view/queued_executions.hpp"

#include <set>
#include <string_view>
#include <utility>

namespace autoexec::view {
namespace {

ExecutionEntry entry_of(const protocol::QueuedRequest& queued, ExecutionState state,
                        LazyRedactor& redactor)
{
    const auto& request = queued.request;
    ExecutionEntry entry;
    static_cast<ExecutionIds&>(entry) = request.ids();
    entry.state = state;
    entry.command = redactor.redact(request.command);
    entry.worktree = request.worktree;
    if (queued.new_worktree && entry.worktree.empty()) entry.worktree = queued.new_worktree->name;
    entry.agent = request.agent;
    entry.submitted_at = queued.submitted_at;
    entry.priority = queued.priority;
    return entry;
}

}  // namespace

// In the order in which requests move.
void QueuedExecutions::refresh()
{
    update(waiting_, folder_.list_waiting(), ExecutionState::queued);
    update(started_, folder_.list_started(), ExecutionState::starting);
}

void QueuedExecutions::update(ById& known, const std::vector<queue::Request>& requests,
                              ExecutionState state)
{
    ById now;
    for (const auto& request : requests) {
        const auto before = known.find(request->id());
        const bool is_same = before != known.end() && before->second.request == request;
        now.emplace(request->id(), is_same
                                       ? std::move(before->second)
                                       : Known{request, std::make_shared<const ExecutionEntry>(
                                                            entry_of(*request, state, redactor_))});
    }
    known = std::move(now);
}

void QueuedExecutions::add_to(EntryList<ExecutionEntry>& published) const
{
    std::set<std::string_view> ids;
    if (!started_.empty())
        for (const auto& entry : published) ids.insert(entry->execution_id);
    for (const auto& [id, known] : waiting_) published.push_back(known.entry);
    // Its result is written before its record is removed.
    for (const auto& [id, known] : started_)
        if (!ids.contains(id) && folder_.state_of(id) == queue::RequestState::started)
            published.push_back(known.entry);
}

}  // namespace autoexec::view
