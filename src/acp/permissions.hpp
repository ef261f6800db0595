#pragma once

#include "autoexec/agents_file.hpp"
#include "autoexec/question.hpp"

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
    bool has_input = false;  ///< Whatever its keys are.
    std::vector<std::string> paths;

    /// Replaces what a `ToolCall` or `ToolCallUpdate` of the protocol names, and adds its paths.
    void update(const boost::json::value& message);
};

/// Absolute.
struct Folders {
    std::filesystem::path worktree;
    std::filesystem::path working;  ///< Of the program.
};

/// What becomes of a request, and why: `rule 2` of those of the agent, `no rule` …
struct Decision {
    Permission permission = Permission::deny;
    std::string rule;
};

/// Paths are compared by their text alone: links are not resolved.
[[nodiscard]] Decision decide(const ToolCall& call, std::span<const PermissionRule> rules,
                              const Folders& folders);

/// The ids of a request's options that hold for it alone; empty: it has no such option.
struct RequestOptions {
    std::string allow_once;
    std::string reject_once;
};
[[nodiscard]] RequestOptions options_of(const boost::json::value& request);

/// The option of a question by which a person allows the request.
inline constexpr char allow_option[] = "allow";

/// What a person is asked about it. Has no id.
[[nodiscard]] Question question_about(const ToolCall& call);

}  // namespace autoexec::acp
