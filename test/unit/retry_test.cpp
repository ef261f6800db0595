#include "executor/retry.hpp"
#include "protocol/error_classes.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace autoexec;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("retry");

TEST_CASE("which ends may be tried again")
{
    struct Row {
        const char* name;
        Cause cause;
        std::optional<bool> retryable;
        bool names_attempt;
        bool plain;       // may be retried
        bool idempotent;  // may be retried when the command is idempotent
    };
    const Row rows[] = {
        {"nobody took it", Cause::not_started, {}, false, true, true},
        {"failed, says yes", Cause::reported, true, true, true, true},
        {"failed, says yes, of an unknown attempt", Cause::reported, true, false, false, true},
        {"failed, says no", Cause::reported, false, true, false, false},
        {"failed, says nothing", Cause::reported, {}, true, false, true},
        {"failed, says nothing, of an unknown attempt", Cause::reported, {}, false, false, true},
        {"time-out", Cause::deadline, {}, true, false, true},
        {"time-out, retryable means nothing", Cause::deadline, true, true, false, true},
        {"stalled", Cause::stalled, {}, true, false, true},
        {"agent lost", Cause::agent_lost, {}, true, false, true},
        {"cancelled", Cause::cancelled, true, true, false, false},
        {"artifacts", Cause::artifacts, {}, false, false, false},
        {"worktree lost", Cause::broken, {}, true, false, false},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.name));
        AttemptFacts facts;
        facts.cause = row.cause;
        facts.retryable = row.retryable;
        facts.names_attempt = row.names_attempt;
        CHECK(may_retry(facts, false) == row.plain);
        CHECK(may_retry(facts, true) == row.idempotent);
        // Never while an agent may still be at work, and never after a success.
        facts.stop_confirmed = false;
        CHECK_FALSE(may_retry(facts, true));
        facts.stop_confirmed = true;
        facts.completed = true;
        CHECK_FALSE(may_retry(facts, true));
    }
}

TEST_CASE("a policy that names classes of failures retries these, and no others")
{
    struct Row {
        const char* name;
        Cause cause;
        const char* code;
        std::optional<bool> retryable;
        std::vector<std::string> on;
        bool again;
    };
    const Row rows[] = {
        {"time-out, named", Cause::deadline, "timeout", {}, {"timeout"}, true},
        {"time-out, not named", Cause::deadline, "timeout", {}, {"temporary", "failed"}, false},
        {"the agent's own time-out", Cause::reported, "timeout", {}, {"timeout"}, true},
        {"the agent's own time-out is no failure",
         Cause::reported,
         "timeout",
         {},
         {"failed"},
         false},
        {"stalled", Cause::stalled, "stalled", {}, {"timeout", "stalled"}, true},
        {"agent lost", Cause::agent_lost, "agent_lost", {}, {"agent_lost"}, true},
        {"not started, named", Cause::not_started, "not_started", {}, {"not_started"}, true},
        {"not started, not named", Cause::not_started, "not_started", {}, {"timeout"}, false},
        {"an error of a model", Cause::reported, "rate_limited", {}, {"rate_limited"}, true},
        {"another error", Cause::reported, "auth", {}, {"rate_limited"}, false},
        {"an exit code", Cause::reported, "exit_2", {}, {"exit_2"}, true},
        {"another exit code", Cause::reported, "exit_1", {}, {"exit_2"}, false},
        {"any failure", Cause::reported, "exit_1", {}, {"failed"}, true},
        {"temporary", Cause::reported, "exit_75", true, {"temporary"}, true},
        {"temporary, not named", Cause::reported, "exit_75", true, {"timeout"}, false},
        {"not temporary", Cause::reported, "exit_1", {}, {"temporary"}, false},
        {"the agent says no", Cause::reported, "no_agent", false, {"failed"}, false},
        {"an artifact is missing",
         Cause::reported,
         "artifact_missing",
         {},
         {"artifact_missing"},
         true},
        {"cancelled", Cause::cancelled, "cancelled", {}, {"failed", "timeout"}, false},
        {"worktree lost", Cause::broken, "timeout", {}, {"timeout"}, false},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.name));
        AttemptFacts facts;
        facts.cause = row.cause;
        facts.code = row.code;
        facts.retryable = row.retryable;
        facts.names_attempt = true;
        CHECK(may_retry(facts, false, row.on) == row.again);
        CHECK(may_retry(facts, true, row.on) == row.again);
        facts.stop_confirmed = false;
        CHECK_FALSE(may_retry(facts, true, row.on));
        facts.stop_confirmed = true;
        facts.completed = true;
        CHECK_FALSE(may_retry(facts, true, row.on));
    }
    AttemptFacts of_another;
    of_another.retryable = true;
    CHECK_FALSE(may_retry(of_another, false, std::vector<std::string>{"temporary"}));
}

TEST_CASE("the classes of failures are known words, and ends of programs")
{
    for (const auto* const word : {"temporary", "timeout", "no_resources", "exit_1", "signal_11"})
        CHECK(protocol::is_retry_class(word));
    for (const auto* const word : {"", "time_out", "exit_", "exit_1x", "exit_256", "exit_-1",
                                   "signal_65", "budget", "cancelled", "permission_needed"})
        CHECK_FALSE(protocol::is_retry_class(word));
}

TEST_CASE("the delay grows by the multiplier, up to the longest, times the jitter")
{
    RetryPolicy policy;
    policy.initial_delay = 1s;
    policy.backoff_multiplier = 3;
    policy.max_delay = 20s;
    CHECK(retry_delay(policy, 1, 1.0) == 1s);
    CHECK(retry_delay(policy, 2, 1.0) == 3s);
    CHECK(retry_delay(policy, 3, 1.0) == 9s);
    CHECK(retry_delay(policy, 4, 1.0) == 20s);
    CHECK(retry_delay(policy, 4, 0.5) == 10s);
    CHECK(retry_delay(policy, 4, 0.0) == 0s);
    CHECK(retry_delay(policy, 1, 0.0004) == 0ms);
    CHECK(retry_delay(policy, 1, 0.0005) == 1ms);
}

TEST_CASE("no policy makes a delay negative, endless, or longer than the longest")
{
    const double multipliers[] = {1, 1.0000001, 2, 1e300, std::numeric_limits<double>::infinity()};
    for (const double multiplier : multipliers)
        for (const auto initial : {0ms, 1ms, 60'000ms})
            for (const auto longest : {0ms, 1ms, 60'000ms})
                for (const int attempt : {1, 2, 100, 1'000'000'000}) {
                    RetryPolicy policy;
                    policy.initial_delay = initial;
                    policy.backoff_multiplier = multiplier;
                    policy.max_delay = longest;
                    const auto delay = retry_delay(policy, attempt, 0.999999);
                    CHECK(delay >= 0ms);
                    CHECK(delay <= longest);
                    if (initial == 0ms) CHECK(delay == 0ms);
                }
}

namespace {

ExecutionOptions polled(std::chrono::milliseconds initial, bool adaptive)
{
    ExecutionOptions options;
    options.polling_interval = initial;
    options.max_polling_interval = 10s;
    options.adaptive_polling = adaptive;
    return options;
}

}  // namespace

TEST_CASE("polling slows down by half up to the longest interval, with a tenth of jitter")
{
    const auto options = polled(4s, true);
    PollingInterval interval;
    CHECK(interval.next(options, 0.5) == 4s);
    CHECK(interval.next(options, 0.5) == 6s);
    CHECK(interval.next(options, 0.5) == 9s);
    CHECK(interval.next(options, 0.5) == 10s);
    CHECK(interval.next(options, 0.0) == 9s);
    CHECK(interval.next(options, 1.0) == 11s);
    interval.reset();
    CHECK(interval.next(options, 0.5) == 4s);
}

TEST_CASE("polling that does not adapt is exact")
{
    PollingInterval interval;
    for (const double random : {0.0, 0.3, 0.999})
        CHECK(interval.next(polled(4s, false), random) == 4s);
}

TEST_CASE("an interval longer than the maximum is not changed")
{
    PollingInterval interval;
    CHECK(interval.next(polled(40s, true), 0.5) == 40s);
    CHECK(interval.next(polled(40s, true), 0.5) == 40s);
}

TEST_SUITE_END();
