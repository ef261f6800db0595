#include "executor/retry.hpp"

#include "protocol/error_classes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace autoexec::inline v1 {
namespace {

bool is_of_class(const AttemptFacts& facts, std::string_view name)
{
    const bool is_reported = facts.cause == Cause::reported;
    if (name == protocol::temporary_failure)
        return is_reported && facts.retryable.value_or(false) && facts.names_attempt;
    if (name == protocol::any_failure) return is_reported && facts.code != "timeout";
    return name == facts.code;
}

// An agent knows if a retry cannot help: its command was stopped, for example.
bool may_be_named(const AttemptFacts& facts)
{
    switch (facts.cause) {
        case Cause::reported:
            return facts.retryable.value_or(true);
        case Cause::not_started:
        case Cause::deadline:
        case Cause::stalled:
        case Cause::agent_lost:
            return true;
        case Cause::artifacts:
        case Cause::cancelled:
        case Cause::broken:
            return false;
    }
    return false;
}

}  // namespace

bool may_retry(const AttemptFacts& facts, bool idempotent, std::span<const std::string> on)
{
    if (facts.completed || !facts.stop_confirmed) return false;
    if (!on.empty())
        return may_be_named(facts) && std::ranges::any_of(on, [&facts](const auto& name) {
                   return is_of_class(facts, name);
               });
    switch (facts.cause) {
        case Cause::not_started:
            return true;
        case Cause::reported:
            if (facts.retryable && !*facts.retryable) return false;
            // An agent that does not echo the attempt's id may still be running an older one; one
            // that does not report `retryable` leaves the decision to the command's author.
            return idempotent || (facts.retryable.value_or(false) && facts.names_attempt);
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
    // Finite, because zero times infinity is NaN.
    const double factor = std::min(std::pow(policy.backoff_multiplier, attempt - 1),
                                   std::numeric_limits<double>::max());
    const auto max_delay = Ms(policy.max_delay).count();
    const double base = std::min(Ms(policy.initial_delay).count() * factor, max_delay);
    return std::chrono::milliseconds(std::llround(base * random));
}

std::chrono::nanoseconds PollingInterval::next(const ExecutionOptions& options, double random)
{
    using std::chrono::nanoseconds;
    const auto initial = options.polling_interval;
    if (!options.adaptive_polling) return initial;
    current_ = std::max<std::chrono::duration<double>>(current_, initial);
    const auto wait = current_ * (0.9 + 0.2 * random);
    current_ = std::min<std::chrono::duration<double>>(
        current_ * 1.5, std::max(initial, options.max_polling_interval));
    return std::chrono::duration_cast<nanoseconds>(wait);
}

}  // namespace autoexec::inline v1
