#include "workflow/run/run_context.hpp"

#include <utility>

namespace autoexec::workflow {

bool CommandSlots::has_room(const std::string& agent, const std::string& turn) const
{
    if (!turn.empty() && busy_turns_.contains(turn)) return false;
    const auto limit = limits_.find(agent);
    if (limit == limits_.end() || limit->second == 0) return true;
    const auto busy = busy_agents_.find(agent);
    return busy == busy_agents_.end() || busy->second < limit->second;
}

CommandSlots::Slot CommandSlots::take(std::string agent, std::string turn)
{
    ++busy_agents_[agent];
    busy_turns_.insert(turn);
    return {this, [agent = std::move(agent), turn = std::move(turn)](CommandSlots* slots) {
                slots->busy_turns_.erase(turn);
                --slots->busy_agents_[agent];
                for (auto* const timer : slots->waiting_) timer->wake();
            }};
}

std::shared_ptr<void> CommandSlots::wake(Timer& timer)
{
    waiting_.insert(&timer);
    return {&timer, [this](Timer* woken) { waiting_.erase(woken); }};
}

std::shared_ptr<void> CommandLimit::take()
{
    count(1);
    return {this, [keep = shared_from_this()](CommandLimit* limit) {
                limit->count(static_cast<std::size_t>(-1));
            }};
}

void CommandLimit::count(std::size_t change)
{
    count_ += change;
    if (outer_) outer_->count(change);
}

}  // namespace autoexec::workflow
