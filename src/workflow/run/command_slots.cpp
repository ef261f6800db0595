#include "workflow/run/run_context.hpp"

#include <utility>

namespace autoexec::workflow {

CommandSlots::Slot::Slot(CommandSlots& slots, std::string agent, std::string turn)
    : slots_(&slots), agent_(std::move(agent)), turn_(std::move(turn))
{
    ++slots.busy_agents_[agent_];
    if (!turn_.empty()) slots.busy_turns_.insert(turn_);
}

CommandSlots::Slot::Slot(Slot&& other) noexcept
    : slots_(std::exchange(other.slots_, nullptr)),
      agent_(std::move(other.agent_)),
      turn_(std::move(other.turn_))
{}

CommandSlots::Slot& CommandSlots::Slot::operator=(Slot&& other) noexcept
{
    release();
    slots_ = std::exchange(other.slots_, nullptr);
    agent_ = std::move(other.agent_);
    turn_ = std::move(other.turn_);
    return *this;
}

void CommandSlots::Slot::release()
{
    auto* const slots = std::exchange(slots_, nullptr);
    if (slots == nullptr) return;
    if (!turn_.empty()) slots->busy_turns_.erase(turn_);
    --slots->busy_agents_[agent_];
    for (auto* const timer : slots->waiting) timer->wake();
}

bool CommandSlots::has_room(const std::string& agent, const std::string& turn) const
{
    if (!turn.empty() && busy_turns_.contains(turn)) return false;
    const auto limit = limits_.find(agent);
    if (limit == limits_.end() || limit->second == 0) return true;
    const auto busy = busy_agents_.find(agent);
    return busy == busy_agents_.end() || busy->second < limit->second;
}

}  // namespace autoexec::workflow
