#include "autoexec/workflow_executor.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace json = boost::json;

/// A command of a well-known agent. `value` belongs to `flag`; empty: a bare flag.
struct BuiltIn {
    std::string_view agent;
    std::string_view action;
    std::string_view command;
    std::string_view prompt_flag = {};
    std::string_view flag = {};
    std::string_view value = {};
};

constexpr BuiltIn built_in[] = {
    {"analyst", "gather-requirements", "gather-requirements", "description", "output-file",
     "requirements.md"},
    {"planner", "plan", "plan", "description"},
    {"planner", "create-stories", "plan", "description"},
    {"architect", "design-system", "design-system", "description", "output-file",
     "architecture.md"},
    {"designer", "design-api", "design-api"},
    {"designer", "api-design", "design-api"},
    {"implementer", "implement", "implement", "specification"},
    {"implementer", "write-code", "implement", "specification"},
    {"implementer", "refactor", "refactor"},
    {"reviewer", "review", "review"},
    {"reviewer", "review-code", "review"},
    {"tester", "test", "test"},
    {"tester", "write-tests", "test"},
    {"debugger", "analyze-error", "analyze-error", "error-message"},
    {"documenter", "document", "document", "", "output-dir", "docs"},
    {"documenter", "generate-docs", "document", "", "output-dir", "docs"},
    {"documenter", "update-docstrings", "update-docstrings", "", "write-file"},
    {"ops", "security-scan", "security-scan", "", "type", "code"},
    {"improver", "improve", "improve"},
    {"improver", "refactor", "refactor", "instruction"},
    {"enhancer", "enhance", "enhance", "prompt", "format", "markdown"},
    {"enhancer", "enhance-prompt", "enhance", "prompt", "format", "markdown"},
    {"quality", "analyze", "quality-analyze"},
    {"quality", "quality-check", "quality-analyze"},
    {"testing", "run-tests", "testing-run", "", "coverage"},
    {"testing", "test", "testing-run", "", "coverage"},
};

std::string dashed(std::string_view text)
{
    std::string out(text);
    std::replace(out.begin(), out.end(), '_', '-');
    return out;
}

std::string key_of(std::string_view agent, std::string_view action)
{
    return dashed(text::lower_case(agent)) + '\0' + dashed(text::lower_case(action));
}

std::string quoted(const std::string& word)
{
    return text::quote_words({&word, 1});
}

std::string text_of(const json::value& value)
{
    return value.is_string() ? std::string(value.get_string()) : text::dump_line(value);
}

/// The flag with a space before it; empty for null and false.
std::string flag_text(std::string_view name, const json::value& value)
{
    const auto flag = "--" + std::string(name);
    if (value.is_null() || name.empty()) return {};  // `--` alone would end the flags
    if (const auto* const on = value.if_bool()) return *on ? ' ' + quoted(flag) : "";
    const auto text = text_of(value);
    // As a separate word, it would be read as a flag.
    if (text.starts_with('-')) return ' ' + quoted(flag + '=' + text);
    return ' ' + quoted(flag) + ' ' + quoted(text);
}

/// A flag that exists keeps its position.
void put_all(json::object& flags, const json::object& params)
{
    for (const auto& param : params) flags.insert_or_assign(dashed(param.key()), param.value());
}

}  // namespace

CommandTable::CommandTable()
{
    for (const auto& entry : built_in) {
        AgentCommand command{std::string(entry.command), {}, std::string(entry.prompt_flag)};
        if (!entry.flag.empty())
            command.params[entry.flag] =
                entry.value.empty() ? json::value(true) : json::value(entry.value);
        set(entry.agent, entry.action, std::move(command));
    }
}

void CommandTable::set(std::string_view agent, std::string_view action, AgentCommand command)
{
    commands_.insert_or_assign(key_of(agent, action), std::move(command));
}

const AgentCommand* CommandTable::find(std::string_view agent, std::string_view action) const
{
    const auto at = commands_.find(key_of(agent, action));
    return at == commands_.end() ? nullptr : &at->second;
}

std::string CommandTable::build(std::string_view agent, std::string_view action,
                                const json::object& params, const json::object& more) const
{
    const auto* const known = find(agent, action);
    json::object flags;
    if (known != nullptr) put_all(flags, known->params);
    put_all(flags, params);
    for (const auto& param : more) flags.emplace(dashed(param.key()), param.value());

    auto line = quoted('@' + text::lower_case(agent)) + ' ';
    line += known != nullptr ? known->command : quoted(dashed(text::lower_case(action)));
    for (const auto& flag : flags) line += flag_text(flag.key(), flag.value());
    return line;
}

}  // namespace autoexec::inline v1
