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

}  // namespace autoexec::protocol
