#include "cli/session/slot_queue.hpp"

#include <iterator>

namespace autoexec::cli {

void SlotQueue::publish(const Event& event)
{
    if (event.type != EventType::waiting_for_slot) return erase(event.execution_id);
    const auto* const priority = event.details.if_contains("priority");
    const auto negated = priority != nullptr && priority->is_int64() ? -priority->get_int64() : 0;
    const auto [known, is_new] = keys_.try_emplace(event.execution_id, negated, count_);
    if (!is_new) return;
    ++count_;
    ids_.emplace(known->second, event.execution_id);
}

void SlotQueue::erase(const std::string& execution_id)
{
    const auto known = keys_.find(execution_id);
    if (known == keys_.end()) return;
    ids_.erase(known->second);
    keys_.erase(known);
}

std::size_t SlotQueue::place_of(const std::string& execution_id) const
{
    const auto known = keys_.find(execution_id);
    if (known == keys_.end()) return 0;
    const auto at = ids_.find(known->second);
    if (std::next(at) == ids_.end()) return ids_.size();  // most often asked when it has joined
    return static_cast<std::size_t>(std::distance(ids_.begin(), at)) + 1;
}

std::vector<std::string> SlotQueue::first(std::size_t count) const
{
    std::vector<std::string> ids;
    for (auto at = ids_.begin(); at != ids_.end() && ids.size() < count; ++at)
        ids.push_back(at->second);
    return ids;
}

}  // namespace autoexec::cli
