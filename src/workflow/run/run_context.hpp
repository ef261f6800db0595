#pragma once

#include "async/launch.hpp"
#include "autoexec/workflow_executor.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace autoexec::workflow {

/// Limits how many commands of one agent run at once, and lets commands of one worktree take turns.
/// On the executor's strand.
class CommandSlots {
public:
    /// While it lives, a command has its place.
    using Slot = std::shared_ptr<void>;

    explicit CommandSlots(const std::map<std::string, std::size_t, std::less<>>& limits)
        : limits_(limits)
    {}

    /// `turn` names what commands take turns in; empty: nothing.
    [[nodiscard]] bool has_room(const std::string& agent, const std::string& turn) const;
    [[nodiscard]] Slot take(std::string agent, std::string turn);

    /// While the result lives, the timer is woken when a slot gets free.
    [[nodiscard]] std::shared_ptr<void> wake(Timer& timer);

private:
    const std::map<std::string, std::size_t, std::less<>>& limits_;
    std::map<std::string, std::size_t, std::less<>> busy_agents_;
    std::set<std::string> busy_turns_;
    std::set<Timer*> waiting_;
};

/// Limits how many commands of a run, and of the child runs of its steps, run at once; or how many
/// child runs. On the executor's strand.
class CommandLimit : public std::enable_shared_from_this<CommandLimit> {
public:
    /// `max`: zero means no limit of its own. `outer`: that of the parent run, or null.
    CommandLimit(std::size_t max, std::shared_ptr<CommandLimit> outer)
        : max_(max), outer_(std::move(outer))
    {}

    [[nodiscard]] bool has_room() const
    {
        return (max_ == 0 || count_ < max_) && (!outer_ || outer_->has_room());
    }
    [[nodiscard]] bool is_empty() const { return count_ == 0; }
    /// While the result lives, a command counts.
    [[nodiscard]] std::shared_ptr<void> take();

private:
    void count(std::size_t change);

    std::size_t max_;
    std::size_t count_ = 0;
    std::shared_ptr<CommandLimit> outer_;
};

/// More child runs wait. Each needs a worktree and some memory, and lists of lists grow fast.
inline constexpr std::size_t max_open_child_runs = 1000;

/// What the runs of one executor share. On its strand.
struct RunContext : std::enable_shared_from_this<RunContext> {
    RunContext(BackgroundAgentAutoExecutor& e, WorkflowExecutorOptions o)
        : executor(e), options(std::move(o)), strand(e.get_executor()), slots(options.agent_limits)
    {}
    RunContext(const RunContext&) = delete;
    RunContext& operator=(const RunContext&) = delete;

    BackgroundAgentAutoExecutor& executor;
    WorkflowExecutorOptions options;
    async::Strand strand;
    CommandSlots slots;
    const std::shared_ptr<CommandLimit> child_runs =
        std::make_shared<CommandLimit>(max_open_child_runs, nullptr);
    std::set<std::string> child_ids;  ///< Of child runs, some of which have no journal yet.
};

}  // namespace autoexec::workflow
