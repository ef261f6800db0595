#pragma once

#include "acp/permissions.hpp"
#include "autoexec/agent.hpp"
#include "autoexec/event.hpp"

namespace autoexec::agent {

/// Publishes the decisions about what a program asks permission for, to the sinks of its agent.
/// Only the first ones of an attempt, so that a program cannot fill the log; then their number.
class PermissionAudit {
public:
    /// `attempt` has what all events have in common. `options` must outlive it.
    PermissionAudit(const AgentOptions& options, Event attempt)
        : options_(options), attempt_(std::move(attempt))
    {}

    void record(const acp::ToolCall& call, bool allow, const std::string& rule);
    /// At the end of the attempt.
    void finish();

private:
    void publish(boost::json::object details);

    const AgentOptions& options_;
    const Event attempt_;
    std::size_t decisions_ = 0;
    std::size_t more_allowed_ = 0;  ///< Of those that were not published.
};

}  // namespace autoexec::agent
