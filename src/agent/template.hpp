#pragma once

#include "autoexec/agents_file.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Commands with placeholders ↔ the words of a program's start. Pure.
namespace autoexec::agent {

struct TemplateProblem {
    std::string message;
    std::string hint;   ///< May be empty.
    std::string where;  ///< The part of the text that is meant; may be empty.
};

/// Without a shell the text is split into words by a shell's quoting rules, and placeholders count
/// inside quotes, too. A lower-case word in braces that is no placeholder is an error.
///
/// With a shell the text is a fixed script: `{command}` becomes `"${1}"`, and the value an argument
/// of the shell. Unknown words in braces are the shell's.
std::optional<CommandTemplate> compile_template(std::string_view text, bool shell,
                                                TemplateProblem& problem);

[[nodiscard]] bool uses(const CommandTemplate& command, Placeholder placeholder);

struct TemplateValues {
    std::string command;
    std::string command_file_path;
    std::string worktree;
    std::string workflow_id;
    std::string step_id;
};

/// The words to start. A value that begins with `-` stays one word, but the program may take it
/// for an option: templates for such programs have `-- {command}`. Nothing if a word is longer
/// than the kernel takes (128 KiB; 1 MiB in all) or has a NUL character; `problem` says so.
std::optional<std::vector<std::string>> expand(const CommandTemplate& command,
                                               const TemplateValues& values, std::string& problem);

}  // namespace autoexec::agent
