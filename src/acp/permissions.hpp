#pragma once

#include "autoexec/agents_file.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace autoexec::acp {

/// What is known of a tool call, from all messages about it.
struct ToolCall {
    std::string kind;   ///< `edit`, `execute` …
    std::string title;  ///< For people.
    std::string command;
    std::vector<std::string> paths;

    /// Replaces what a `ToolCall` or `ToolCallUpdate` of the protocol names, and adds its paths.
    void update(const boost::json::value& message);
};

/// Absolute.
struct Folders {
    std::filesystem::path worktree;
    std::filesystem::path working;  ///< Of the program.
};

/// Whether the rules allow it. Paths are compared by their text alone: links are not resolved.
[[nodiscard]] bool is_allowed(const ToolCall& call, std::span<const PermissionRule> rules,
                              const Folders& folders);

/// The id of the option for a decision: `allow_once` or `reject_once`. Without the former, the
/// latter; empty if there is neither, and never an option that holds for later requests.
[[nodiscard]] std::string option_for(const boost::json::value& request, bool& allow);

}  // namespace autoexec::acp
