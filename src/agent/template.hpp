#pragma once

#include "autoexec/agents_file.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// Compiles commands with placeholders and expands them to a program's arguments. Pure.
namespace autoexec::agent {

/// What a command may leave open: `{command}`, `{worktree}` and so on.
enum class Placeholder {
    command,            ///< The text of the command.
    command_file_path,  ///< The path of its file: for texts that are too long for an argument.
    worktree,
    workflow_id,  ///< Empty where there is none; so are the following ones.
    step_id,
    git_dir,         ///< Of the worktree.
    git_common_dir,  ///< Of its repository.
    attempt_id,
    session,  ///< Only in `resume`.
    max_cost,
    max_tokens,
    model,
    resume,  ///< A whole word, which becomes those of an option, or none; so does the next.
    budget,
};

/// A command as words, so that a value stays within its word whatever is in it.
struct CommandTemplate {
    using Piece = std::variant<std::string, Placeholder>;
    using Word = std::vector<Piece>;

    std::vector<Word> words;
};

struct TemplateProblem {
    std::string message;
    std::string hint;   ///< May be empty.
    std::string where;  ///< The affected part of the text; may be empty.
};

/// Without a shell, the text is split into words by a shell's quoting rules; placeholders are also
/// expanded in quotes. An unknown lower-case word in braces is an error.
///
/// With a shell, the text is a fixed script: `{command}` becomes `"${1}"`, and its value an
/// argument of the shell. Unknown words in braces are left to the shell.
std::optional<CommandTemplate> compile_template(std::string_view text, bool shell,
                                                TemplateProblem& problem);

/// One for each of an agent's commands; those that do not compile are left out.
std::vector<CommandTemplate> templates_of(const AgentDefinition& definition);

/// True if one of the agent's commands gets the text or the path of a command: as an argument or,
/// the first, as input or by a protocol.
[[nodiscard]] bool takes_command(const AgentDefinition& definition, std::size_t index);

/// True if the agent can use the model that a command names.
[[nodiscard]] bool takes_model(const AgentDefinition& definition);

struct TemplateValues {
    std::string command;
    std::string command_file_path;
    std::string worktree;
    std::string workflow_id;
    std::string step_id;
    std::string git_dir{};
    std::string git_common_dir{};
    std::string attempt_id{};
    std::string session{};
    std::string max_cost{};
    std::string max_tokens{};
    std::string model{};
    std::vector<std::string> resume{};
    std::vector<std::string> budget{};
};

/// The words that replace `{resume}` or `{budget}`.
std::optional<CommandTemplate> compile_option(std::string_view text, TemplateProblem& problem);

/// None if one of its placeholders has no value.
std::vector<std::string> expand_option(const CommandTemplate& option, const TemplateValues& values);

[[nodiscard]] bool uses(const CommandTemplate& command, Placeholder placeholder);

/// The text of a program's input: one word, in which quotes have no meaning.
std::optional<CommandTemplate::Word> compile_input(std::string_view text, TemplateProblem& problem);

/// The word with its values, however long they are.
std::string expand_input(const CommandTemplate::Word& word, const TemplateValues& values);

/// The program and its arguments. A value that begins with `-` stays one argument, but the program
/// may take it for an option: templates for such programs have `-- {command}`. Returns nullopt, and
/// sets `problem`, if an argument exceeds the kernel's limits (128 KiB; 1 MiB in total) or contains
/// a NUL character.
std::optional<std::vector<std::string>> expand(const CommandTemplate& command,
                                               const TemplateValues& values, std::string& problem);

}  // namespace autoexec::agent
