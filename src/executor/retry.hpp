#pragma once

#include "autoexec/execution_options.hpp"

#include <chrono>

namespace autoexec {

/// Why an attempt ended.
enum class Cause {
    reported,     ///< A final status.
    artifacts,    ///< All expected artifacts are there.
    not_started,  ///< Provably no agent took the command.
    deadline,
    stalled,
    agent_lost,
    cancelled,
    broken,  ///< Worktree lost, status too large …: no agent can do better.
};

struct AttemptFacts {
    Cause cause = Cause::reported;
    bool completed = false;
    bool echoes = false;  ///< The agent echoed this attempt's id.
    std::optional<bool> retryable;
    bool stop_confirmed = true;  ///< No agent can still be at work on it.
};

/// Whether the protocol allows another attempt, were there one left.
bool may_retry(const AttemptFacts& facts, bool idempotent);

/// `initial_delay × multiplier^(attempt−1)`, capped, with full jitter: `random` is in [0, 1).
std::chrono::milliseconds retry_delay(const RetryPolicy& policy, int attempt, double random);

/// One execution's own rhythm of looking.
class PollingInterval {
public:
    PollingInterval(std::chrono::milliseconds initial, std::chrono::milliseconds longest,
                    bool adaptive);

    /// The wait before the next look; later ones get longer. `random` is in [0, 1).
    std::chrono::nanoseconds next(double random);
    void reset() noexcept { current_ = initial_; }

private:
    std::chrono::duration<double> initial_;
    std::chrono::duration<double> longest_;
    std::chrono::duration<double> current_;
    bool adaptive_;
};

}  // namespace autoexec
