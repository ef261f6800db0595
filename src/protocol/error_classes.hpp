#pragma once

#include <span>
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

// Classes by which a retry policy names failures. Most of them are the `code` of an error.

/// A failure of which the agent reported that a retry can help.
inline constexpr char temporary_failure[] = "temporary";
/// Any failure that the agent reported, except a time-out.
inline constexpr char any_failure[] = "failed";

/// All of them, except those below.
[[nodiscard]] std::span<const std::string_view> retry_classes();

/// Whether it is one of them, or the end of a program: `exit_2`, `signal_9`.
[[nodiscard]] bool is_retry_class(std::string_view word);

}  // namespace autoexec::protocol
