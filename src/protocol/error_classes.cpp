#include "protocol/error_classes.hpp"

#include <algorithm>
#include <array>

namespace autoexec::protocol {
namespace {

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

bool is_number_after(std::string_view word, std::string_view prefix)
{
    if (!word.starts_with(prefix)) return false;
    word.remove_prefix(prefix.size());
    constexpr std::size_t max_digits = 3;
    return !word.empty() && word.size() <= max_digits &&
           word.find_first_not_of("0123456789") == word.npos;
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
           is_number_after(word, "exit_") || is_number_after(word, "signal_");
}

}  // namespace autoexec::protocol
