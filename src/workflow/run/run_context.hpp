#pragma once

#include "async/launch.hpp"
#include "autoexec/workflow_executor.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

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

/// What the runs of one executor share. On its strand.
struct RunContext {
    RunContext(BackgroundAgentAutoExecutor& e, WorkflowExecutorOptions o)
        : executor(e), options(std::move(o)), strand(e.get_executor()), slots(options.agent_limits)
    {}
    RunContext(const RunContext&) = delete;
    RunContext& operator=(const RunContext&) = delete;

    BackgroundAgentAutoExecutor& executor;
    WorkflowExecutorOptions options;
    async::Strand strand;
    CommandSlots slots;
};

}  // namespace autoexec::workflow
