#include "protocol/error_classes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace autoexec::protocol {
namespace {

constexpr int max_exit_code = 255;
constexpr int max_signal = 64;

struct ErrorClass {
    std::string_view code;
    AgentReaction reaction;
    std::string_view words;
};

constexpr std::array<ErrorClass, 6> error_classes{{
    {"rate_limited", AgentReaction::pause, "is rate limited"},
    {"overloaded", AgentReaction::breaker, "is overloaded"},
    {"network", AgentReaction::breaker, "has no network"},
    {"auth", AgentReaction::stop, "is not signed in"},
    {"quota", AgentReaction::stop, "has used up its quota"},
    {"model_not_found", AgentReaction::stop, "has an unknown model"},
}};

// What waits for a person, and what is a limit or a cancellation, cannot be retried.
constexpr std::array<std::string_view, 21> all_retry_classes{
    temporary_failure, any_failure,       "timeout",      "stalled",
    "agent_lost",      "not_started",     "no_resources", "artifact_missing",
    "rate_limited",    "overloaded",      "network",      "auth",
    "quota",           "model_not_found", "context",      "refused",
    "max_turns",       "no_session",      "agent_error",  "no_result",
    "spawn_failed"};

bool is_number_after(std::string_view word, std::string_view prefix, int max)
{
    if (!word.starts_with(prefix)) return false;
    word.remove_prefix(prefix.size());
    int number = -1;
    const auto* const end = word.data() + word.size();
    const auto [stop, ec] = std::from_chars(word.data(), end, number);
    return ec == std::errc{} && stop == end && number >= 0 && number <= max;
}

const ErrorClass* class_of(std::string_view code)
{
    const auto* const found =
        std::find_if(error_classes.begin(), error_classes.end(),
                     [code](const ErrorClass& known) { return known.code == code; });
    return found == error_classes.end() ? nullptr : found;
}

}  // namespace

AgentReaction reaction_to(std::string_view code)
{
    const auto* const known = class_of(code);
    return known == nullptr ? AgentReaction::none : known->reaction;
}

std::string_view words_of_class(std::string_view code)
{
    const auto* const known = class_of(code);
    return known == nullptr ? "has failed" : known->words;
}

std::span<const std::string_view> retry_classes()
{
    return all_retry_classes;
}

bool is_retry_class(std::string_view word)
{
    return std::ranges::find(all_retry_classes, word) != all_retry_classes.end() ||
           is_number_after(word, "exit_", max_exit_code) ||
           is_number_after(word, "signal_", max_signal);
}

}  // namespace autoexec::protocol
