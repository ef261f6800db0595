#include "agent/shell_script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::agent {
namespace {

class ScriptCompiler {
public:
    ScriptCompiler(std::string_view text, TemplateProblem& problem) : rest_(text), problem_(problem)
    {}

    // The script's own text never changes; the arguments follow it.
    std::optional<CommandTemplate> run()
    {
        while (!rest_.empty())
            if (!step()) return std::nullopt;
        if (!open_.empty()) {
            problem_.message = open_.back() == '"' ? "A double quote is not closed"
                                                   : "A command substitution is not closed";
            return std::nullopt;
        }
        CommandTemplate command;
        for (std::string word :
             {std::string("/bin/sh"), std::string("-c"), script_, std::string("autoexec")})
            command.words.push_back({std::move(word)});
        for (const auto placeholder : arguments_) command.words.push_back({placeholder});
        return command;
    }

private:
    [[nodiscard]] bool quoted() const { return !open_.empty() && open_.back() == '"'; }

    void copy(std::size_t size)
    {
        size = std::min(size, rest_.size());
        script_ += rest_.substr(0, size);
        rest_.remove_prefix(size);
    }

    bool step()
    {
        const char c = rest_.front();
        if (c == '\'' && !quoted()) return single_quotes();
        if (c == '#' && !quoted() && at_word_start()) return comment();
        if (is_unclosed(rest_, problem_)) return false;
        if (c == '\\' || rest_.starts_with("${")) {
            copy(2);
        } else if (const auto known = placeholder_named(name_in_braces(rest_))) {
            return reference(*known);
        } else {
            nest(c);
        }
        return true;
    }

    // Processes one character, which may open or close a construct.
    void nest(char c)
    {
        const bool closes = !open_.empty() && open_.back() == (c == ')' ? '(' : c);
        const bool substitution = rest_.starts_with("$(");
        if (closes && (c == '"' || c == '`' || c == ')'))
            open_.pop_back();
        else if (c == '"' || c == '`')
            open_ += c;
        else if (substitution || (c == '(' && !quoted()))
            open_ += '(';
        copy(substitution ? 2 : 1);
    }

    bool single_quotes()
    {
        const auto end = rest_.find('\'', 1);
        if (end == rest_.npos) {
            problem_.message = "A single quote is not closed";
            return false;
        }
        for (std::size_t i = 1; i < end; ++i) {
            const auto name = name_in_braces(rest_.substr(i, end - i));
            if (!placeholder_named(name)) continue;
            problem_ = {fmt::format("'{{{}}}' is in single quotes, which prevent expansion", name),
                        "Use double quotes.", fmt::format("{{{}}}", name)};
            return false;
        }
        copy(end + 1);
        return true;
    }

    [[nodiscard]] bool at_word_start() const
    {
        return script_.empty() ||
               std::string_view(" \t\n;&|()").find(script_.back()) != std::string_view::npos;
    }

    bool comment()
    {
        copy(rest_.find('\n'));
        return true;
    }

    bool reference(Placeholder placeholder)
    {
        if (placeholder == Placeholder::resume || placeholder == Placeholder::budget) {
            const auto name = fmt::format("{{{}}}", name_in_braces(rest_));
            problem_ = {fmt::format("'{}' is several words, which a script cannot have", name),
                        "Remove `shell: true`.", name};
            return false;
        }
        auto at = std::find(arguments_.begin(), arguments_.end(), placeholder);
        if (at == arguments_.end()) at = arguments_.insert(at, placeholder);
        const auto number = at - arguments_.begin() + 1;
        script_ += fmt::format(fmt::runtime(quoted() ? "${{{}}}" : "\"${{{}}}\""), number);
        rest_.remove_prefix(name_in_braces(rest_).size() + 2);
        return true;
    }

    std::string_view rest_;
    TemplateProblem& problem_;
    std::string script_;                  // with `"${1}"` in place of the first argument
    std::vector<Placeholder> arguments_;  // `$1`, `$2` …, without duplicates
    std::string open_;  // open constructs, innermost last: `"`, `(` or a backquote
};

}  // namespace

std::optional<CommandTemplate> compile_script(std::string_view text, TemplateProblem& problem)
{
    return ScriptCompiler(text, problem).run();
}

}  // namespace autoexec::agent
