#include "view/queued_executions.hpp"

#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "view/stamps.hpp"

#include <utility>

namespace autoexec::view {
namespace {

constexpr int requests_of_step = 32;

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
    entry.priority = queued.request.priority;
    return entry;
}

}  // namespace

QueuedExecutions::QueuedExecutions(std::filesystem::path project_root, LazyRedactor& redactor)
    : project_root_(std::move(project_root)),
      queue_(project_root_),
      redactor_(redactor),
      waiting_{layout::queue, ExecutionState::queued},
      started_{layout::started_requests, ExecutionState::starting}
{}

// In the order in which requests move, so that none is missed.
void QueuedExecutions::begin_sweep()
{
    listed_ = &waiting_;
    list(waiting_);
}

bool QueuedExecutions::step()
{
    if (listed_ == nullptr || look_at_next(*listed_)) return listed_ != nullptr;
    if (std::exchange(listed_, listed_ == &waiting_ ? &started_ : nullptr) == &waiting_)
        list(started_);
    return listed_ != nullptr;
}

void QueuedExecutions::list(Requests& requests)
{
    id_.clear();
    error_code ec;
    std::set<std::string> ids;
    if (const auto folder = records::Folder{project_root_, requests.path}.open(ec))
        for (auto& id : queue::list_requests(folder.get())) ids.insert(std::move(id));
    for (const auto& [id, known] : requests.known)
        if (!ids.contains(id)) changed_.insert(id);
    (void)keep_only(requests.known, ids);
}

// False: there is none.
bool QueuedExecutions::look_at_next(Requests& requests)
{
    error_code ec;
    const auto folder = records::Folder{project_root_, requests.path}.open(ec);
    for (int count = 0; count < requests_of_step; ++count) {
        const auto next = requests.known.upper_bound(id_);
        if (next == requests.known.end()) return false;
        id_ = next->first;
        look_at(folder.get(), requests, id_);
    }
    return true;
}

void QueuedExecutions::look_at(const std::string& id)
{
    if (!protocol::is_queue_id(id)) return;
    changed_.insert(id);  // it may have ended
    for (auto* const requests : {&waiting_, &started_}) {
        error_code ec;
        const auto folder = records::Folder{project_root_, requests->path}.open(ec);
        look_at(folder.get(), *requests, id);
    }
}

void QueuedExecutions::look_at(int folder, Requests& requests, const std::string& id)
{
    const auto stamp = folder < 0 ? FileStamp{} : stamp_at(folder, id + ".json");
    if (stamp == FileStamp{}) {
        if (requests.known.erase(id) > 0) changed_.insert(id);
        return;
    }
    auto& known = requests.known[id];
    // An executor that has ended leaves no other trace of that here.
    if (requests.state == ExecutionState::starting) changed_.insert(id);
    if (known.stamp == stamp) return;
    known.stamp = stamp;
    const auto request = queue_.read(requests.path, id);
    known.entry =
        request
            ? std::make_shared<const ExecutionEntry>(entry_of(*request, requests.state, redactor_))
            : nullptr;
    changed_.insert(id);
}

std::shared_ptr<const ExecutionEntry> QueuedExecutions::find_waiting(const std::string& id) const
{
    const auto known = waiting_.known.find(id);
    return known == waiting_.known.end() ? nullptr : known->second.entry;
}

// A result is written before the record of the attempt is removed, and then the request.
std::shared_ptr<const ExecutionEntry> QueuedExecutions::find_started(const std::string& id) const
{
    const auto known = started_.known.find(id);
    return known == started_.known.end() || queue_.state_of(id) != queue::RequestState::started
               ? nullptr
               : known->second.entry;
}

}  // namespace autoexec::view
