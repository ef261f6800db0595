#include "executor/retry.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace autoexec {

bool may_retry(const AttemptFacts& facts, bool idempotent)
{
    if (facts.completed || !facts.stop_confirmed) return false;
    switch (facts.cause) {
        case Cause::not_started:
            return true;
        case Cause::reported:
            if (facts.retryable && !*facts.retryable) return false;
            // Who doesn't echo the attempt may still be at work on an older one, and who doesn't
            // say whether a retry is safe leaves that to whoever wrote the command.
            return idempotent || (facts.retryable.value_or(false) && facts.echoes);
        case Cause::deadline:
        case Cause::stalled:
        case Cause::agent_lost:
            return idempotent;
        case Cause::artifacts:
        case Cause::cancelled:
        case Cause::broken:
            return false;
    }
    return false;
}

std::chrono::milliseconds retry_delay(const RetryPolicy& policy, int attempt, double random)
{
    using Ms = std::chrono::duration<double, std::milli>;
    // Finite, so that a delay of zero stays zero.
    const double factor = std::min(std::pow(policy.backoff_multiplier, attempt - 1),
                                   std::numeric_limits<double>::max());
    const auto longest = Ms(policy.max_delay).count();
    const double base = std::min(Ms(policy.initial_delay).count() * factor, longest);
    return std::chrono::milliseconds(std::llround(base * random));
}

PollingInterval::PollingInterval(std::chrono::milliseconds initial,
                                 std::chrono::milliseconds longest, bool adaptive)
    : initial_(initial),
      longest_(std::max(initial, longest)),
      current_(initial),
      adaptive_(adaptive)
{}

std::chrono::nanoseconds PollingInterval::next(double random)
{
    using std::chrono::nanoseconds;
    if (!adaptive_) return std::chrono::duration_cast<nanoseconds>(initial_);
    const auto wait = current_ * (0.9 + 0.2 * random);
    current_ = std::min(current_ * 1.5, longest_);
    return std::chrono::duration_cast<nanoseconds>(wait);
}

}  // namespace autoexec
