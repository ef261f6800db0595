#pragma once

#include "autoexec/execution_options.hpp"

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace autoexec::inline v1 {

/// Why an attempt ended.
enum class Cause {
    reported,     ///< A final status.
    artifacts,    ///< All expected artifacts are there.
    not_started,  ///< Provably no agent took the command.
    deadline,
    stalled,
    agent_lost,
    cancelled,
    broken,  ///< Worktree lost, status too large …: a retry cannot succeed.
};

struct AttemptFacts {
    Cause cause = Cause::reported;
    bool completed = false;
    bool names_attempt = false;  ///< The agent reported this attempt's id.
    std::optional<bool> retryable;
    std::string_view code = {};  ///< Of the error.
    bool stop_confirmed = true;  ///< No agent can still be running it.
};

/// True if the protocol allows a retry, regardless of the number of attempts. `on`: the classes of
/// failures that are retried; empty: as `idempotent` allows.
bool may_retry(const AttemptFacts& facts, bool idempotent, std::span<const std::string> on = {});

/// `initial_delay × multiplier^(attempt−1)`, capped, with full jitter: `random` is in [0, 1).
std::chrono::milliseconds retry_delay(const RetryPolicy& policy, int attempt, double random);

/// The polling interval of one execution.
class PollingInterval {
public:
    /// The delay before the next poll; it grows. `random` is in [0, 1).
    std::chrono::nanoseconds next(const ExecutionOptions& options, double random);
    void reset() noexcept { current_ = {}; }

private:
    std::chrono::duration<double> current_{};  ///< Zero: that of the options.
};

}  // namespace autoexec::inline v1
