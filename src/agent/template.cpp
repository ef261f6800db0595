#include "agent/template.hpp"

#include "agent/shell_script.hpp"
#include "process/run_program.hpp"
#include "text/text.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace autoexec::agent {
namespace {

constexpr std::size_t max_total = 1024 * 1024;  // half of the usual ARG_MAX; bounds the memory

// In the order of the enumeration.
constexpr std::array<std::string_view, 14> placeholder_names{"command",        "command_file_path",
                                                             "worktree",       "workflow_id",
                                                             "step_id",        "git_dir",
                                                             "git_common_dir", "attempt_id",
                                                             "session",        "max_cost",
                                                             "max_tokens",     "model",
                                                             "resume",         "budget"};

constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyz_";

const std::string* literal(const CommandTemplate::Word& word)
{
    return word.size() == 1 ? std::get_if<std::string>(&word.front()) : nullptr;
}

void append(CommandTemplate::Word& word, std::string_view text)
{
    if (text.empty()) return;
    if (!word.empty()) {
        if (auto* last = std::get_if<std::string>(&word.back())) {
            last->append(text);
            return;
        }
    }
    word.emplace_back(std::string(text));
}

std::optional<CommandTemplate::Word> compile_word(std::string_view text, TemplateProblem& problem)
{
    CommandTemplate::Word word;
    char before = '\0';
    while (!text.empty()) {
        const auto name = name_in_braces(text);
        const auto known = placeholder_named(name);
        if (before == '$' && known) {
            problem = {fmt::format("'${{{}}}' is not expanded without a shell", name),
                       fmt::format("Write {{{}}}.", name), fmt::format("${{{}}}", name)};
            return std::nullopt;
        }
        if (!name.empty() && !known && before != '$') {
            const auto guess = yaml::nearest(name, placeholder_names);
            problem = {fmt::format("Unknown placeholder '{{{}}}'", name),
                       guess.empty()
                           ? fmt::format("Known placeholders: {{{}}}. Literal braces need "
                                         "`shell: true`.",
                                         fmt::join(placeholder_names, "}, {"))
                           : fmt::format("Did you mean '{{{}}}'?", guess),
                       fmt::format("{{{}}}", name)};
            return std::nullopt;
        }
        if (before != '$' && is_unclosed(text, problem)) return std::nullopt;
        const auto taken = known ? name.size() + 2 : 1;
        if (known)
            word.emplace_back(*known);
        else
            append(word, text.substr(0, 1));
        before = text[taken - 1];
        text.remove_prefix(taken);
    }
    if (word.empty()) word.emplace_back(std::string{});
    return word;
}

bool is_shell(std::string_view program)
{
    static constexpr std::array<std::string_view, 6> shells{"sh",  "bash", "dash",
                                                            "zsh", "ksh",  "ash"};
    program.remove_prefix(std::min(program.size(), program.rfind('/') + 1));
    return std::find(shells.begin(), shells.end(), program) != shells.end();
}

// `sh -c "echo {command}"`, or `sh -c -- …`: the value would be part of a script.
bool puts_value_into_script(const std::vector<CommandTemplate::Word>& words)
{
    bool after_shell = false;
    bool before_script = false;
    for (const auto& word : words) {
        const auto* text = literal(word);
        const bool is_option = text && text->starts_with('-');
        if (before_script && !is_option) {
            if (word.size() > 1) return true;
            before_script = false;
        }
        if (!text) continue;
        before_script = before_script || (after_shell && is_option && text->ends_with('c'));
        after_shell = after_shell || is_shell(*text);
    }
    return false;
}

std::optional<CommandTemplate> compile_words(std::string_view text, TemplateProblem& problem)
{
    const auto words = text::split_words(text, problem.message);
    if (!words) return std::nullopt;
    CommandTemplate result;
    for (const auto& text_word : *words) {
        auto word = compile_word(text_word, problem);
        if (!word) return std::nullopt;
        result.words.push_back(*std::move(word));
    }
    if (puts_value_into_script(result.words)) {
        problem = {"The value would become part of a shell script",
                   "Use `shell: true`, which passes values as arguments.", "-c"};
        return std::nullopt;
    }
    return result;
}

bool begins_with_command(std::string_view text)
{
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\n\"'")));
    return text.starts_with("{command}");
}

const std::string& value_of(const TemplateValues& values, Placeholder placeholder)
{
    switch (placeholder) {
        case Placeholder::command:
            return values.command;
        case Placeholder::command_file_path:
            return values.command_file_path;
        case Placeholder::worktree:
            return values.worktree;
        case Placeholder::workflow_id:
            return values.workflow_id;
        case Placeholder::step_id:
            return values.step_id;
        case Placeholder::git_dir:
            return values.git_dir;
        case Placeholder::git_common_dir:
            return values.git_common_dir;
        case Placeholder::attempt_id:
            return values.attempt_id;
        case Placeholder::session:
            return values.session;
        case Placeholder::max_cost:
            return values.max_cost;
        case Placeholder::max_tokens:
            return values.max_tokens;
        case Placeholder::model:
            return values.model;
        case Placeholder::resume:
        case Placeholder::budget:
            break;
    }
    static const std::string no_text;  // a whole word
    return no_text;
}

std::string expand_word(const CommandTemplate::Word& word, const TemplateValues& values,
                        std::size_t limit)
{
    std::string text;
    for (const auto& piece : word) {
        const auto* fixed = std::get_if<std::string>(&piece);
        text += fixed ? *fixed : value_of(values, std::get<Placeholder>(piece));
        if (text.size() > limit) break;
    }
    return text;
}

// Null: it is one word.
const std::vector<std::string>* words_of(const CommandTemplate::Word& word,
                                         const TemplateValues& values)
{
    if (word.size() != 1) return nullptr;
    if (word.front() == CommandTemplate::Piece(Placeholder::resume)) return &values.resume;
    return word.front() == CommandTemplate::Piece(Placeholder::budget) ? &values.budget : nullptr;
}

bool uses_command(const CommandTemplate& command)
{
    return uses(command, Placeholder::command) || uses(command, Placeholder::command_file_path);
}

}  // namespace

std::string_view name_in_braces(std::string_view text)
{
    if (!text.starts_with('{')) return {};
    const auto end = text.find_first_not_of(name_characters, 1);
    if (end == text.npos || text[end] != '}') return {};
    return text.substr(1, end - 1);
}

bool is_unclosed(std::string_view text, TemplateProblem& problem)
{
    if (!text.starts_with('{') || !name_in_braces(text).empty()) return false;
    const auto name = text.substr(1, text.find_first_not_of(name_characters, 1) - 1);
    if (!placeholder_named(name) && (name.empty() || name.size() + 1 != text.size())) return false;
    problem = {fmt::format("Placeholder '{{{}' is not closed", name),
               fmt::format("Write {{{}}}.", name), fmt::format("{{{}", name)};
    return true;
}

std::optional<Placeholder> placeholder_named(std::string_view name)
{
    const auto found = std::find(placeholder_names.begin(), placeholder_names.end(), name);
    if (found == placeholder_names.end()) return std::nullopt;
    return static_cast<Placeholder>(found - placeholder_names.begin());
}

std::optional<CommandTemplate> compile_template(std::string_view text, bool shell,
                                                TemplateProblem& problem)
{
    problem = {};
    if (text.find_first_not_of(" \t\r\n") == text.npos || text.find('\0') != text.npos) {
        problem.message = text.find('\0') == text.npos ? "A command is empty"
                                                       : "A command contains a NUL character";
        return std::nullopt;
    }
    if (begins_with_command(text)) {
        problem = {"The whole command would be used as a program name",
                   "Add the program that receives it, as in 'my-agent {command}'; to run the "
                   "command itself, write 'sh -c -- {command}'.",
                   "{command}"};
        return std::nullopt;
    }
    return shell ? compile_script(text, problem) : compile_words(text, problem);
}

std::vector<CommandTemplate> templates_of(const AgentDefinition& definition)
{
    std::vector<CommandTemplate> templates;
    TemplateProblem ignored;
    for (const auto& text : definition.commands)
        if (auto compiled = compile_template(text, definition.shell, ignored))
            templates.push_back(*std::move(compiled));
    return templates;
}

bool takes_command(const AgentDefinition& definition, std::size_t index)
{
    if (index == 0 && definition.driver == AgentDriver::acp) return true;
    TemplateProblem ignored;
    if (index == 0 && !definition.input.empty())
        if (const auto word = compile_input(definition.input, ignored))
            if (uses_command(CommandTemplate{{*word}})) return true;
    const auto command = compile_template(definition.commands[index], definition.shell, ignored);
    return command && uses_command(*command);
}

bool takes_model(const AgentDefinition& definition)
{
    return definition.driver == AgentDriver::acp ||
           std::ranges::any_of(templates_of(definition), [](const CommandTemplate& command) {
               return uses(command, Placeholder::model);
           });
}

std::optional<CommandTemplate> compile_option(std::string_view text, TemplateProblem& problem)
{
    problem = {};
    return compile_words(text, problem);
}

std::vector<std::string> expand_option(const CommandTemplate& option, const TemplateValues& values)
{
    std::vector<std::string> words;
    for (const auto& word : option.words) {
        for (const auto& piece : word)
            if (const auto* const known = std::get_if<Placeholder>(&piece);
                known && value_of(values, *known).empty())
                return {};
        words.push_back(expand_word(word, values, max_total));
    }
    return words;
}

bool uses(const CommandTemplate& command, Placeholder placeholder)
{
    return std::ranges::any_of(command.words, [placeholder](const auto& word) {
        return std::ranges::find(word, CommandTemplate::Piece(placeholder)) != word.end();
    });
}

std::optional<CommandTemplate::Word> compile_input(std::string_view text, TemplateProblem& problem)
{
    problem = {};
    return compile_word(text, problem);
}

std::string expand_input(const CommandTemplate::Word& word, const TemplateValues& values)
{
    return expand_word(word, values, std::string::npos);
}

std::optional<std::vector<std::string>> expand(const CommandTemplate& command,
                                               const TemplateValues& values, std::string& problem)
{
    std::vector<std::string> argv;
    std::size_t total = 0;
    for (const auto& word : command.words) {
        if (const auto* const words = words_of(word, values)) {
            argv.insert(argv.end(), words->begin(), words->end());
            continue;
        }
        argv.push_back(expand_word(word, values, max_total));
        total += argv.back().size();
        if (total <= max_total) continue;
        problem =
            "The arguments are too long for a program (limit: 1 MiB in total); use "
            "stdin: \"{command}\" instead of {command} in the agent's command";
        return std::nullopt;
    }
    if (process::check_arguments(argv, problem)) return std::nullopt;
    return argv;
}

}  // namespace autoexec::agent
