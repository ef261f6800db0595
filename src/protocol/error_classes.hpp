#pragma once

#include <string_view>

/// What the class of an error says about the agent that reported it. Pure.
namespace autoexec::protocol {

enum class AgentReaction {
    none,     ///< It is about the command: the agent works.
    pause,    ///< The agent gets no commands for a while; without a time to wait, as `breaker`.
    breaker,  ///< Counts against the agent; further commands wait.
    stop,     ///< The same, but waiting does not help: further commands are not started.
};

/// By the `code` of an error. The only table of this kind.
[[nodiscard]] AgentReaction reaction_to(std::string_view code);

/// What is wrong with an agent whose last error has this code: `is overloaded`.
[[nodiscard]] std::string_view words_of_class(std::string_view code);

}  // namespace autoexec::protocol
