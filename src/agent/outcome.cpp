#include "agent/outcome.hpp"

#include "text/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <array>

namespace autoexec::agent {
namespace {

namespace json = boost::json;

constexpr std::size_t max_line_length = 4 * 1024 * 1024;

constexpr std::array<std::string_view, 3> rule_names{"exit_code", "claude", "codex"};

std::string_view text_at(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view{};
}

const json::object& object_at(const json::object& object, std::string_view key)
{
    static const json::object none;
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : none;
}

const json::array& array_at(const json::object& object, std::string_view key)
{
    static const json::array none;
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

AgentVerdict failure(std::string code, std::string message)
{
    return {false, std::move(code), std::move(message)};
}

AgentVerdict ended_with_error(std::string_view who, std::string_view reason, std::string_view words)
{
    return failure("agent_error", fmt::format("{} ended with an error{}{}{}", who,
                                              reason.empty() ? "" : fmt::format(" ({})", reason),
                                              words.empty() ? "" : ": ", words));
}

AgentVerdict claude_needs_permission(std::string_view tool)
{
    // These two wait for a person's answer even if everything is allowed.
    if (tool == "AskUserQuestion" || tool == "ExitPlanMode")
        return failure("question_asked",
                       "Claude asked a question, but no person is present to answer it. Describe "
                       "in the command what Claude must decide itself.");
    return failure("permission_needed",
                   fmt::format("Claude needed permission for {}, but no person is present to give "
                               "it. Allow it by --allowedTools or --permission-mode in the agent's "
                               "command, or in the project's .claude/settings.json.",
                               tool.empty() ? "a tool" : tool));
}

AgentVerdict codex_needs_permission(std::string_view what)
{
    return failure("permission_needed",
                   fmt::format("Codex needed permission for {}, but no person is present to give "
                               "it. Allow it by --sandbox or --add-dir in the agent's command.",
                               what.empty() ? "a command" : what));
}

std::string claude_text(const json::object& result)
{
    std::string words(text_at(result, "result"));
    for (const auto& error : array_at(result, "errors"))
        if (words.empty() && error.is_string()) words = error.get_string();
    return words;
}

// Not the subtype or the exit code: both have reported "success" for failures.
std::optional<AgentVerdict> claude_outcome(const json::object& result)
{
    const auto* const is_error = result.if_contains("is_error");
    if (is_error == nullptr || !is_error->is_bool()) return std::nullopt;
    const auto reason = text_at(result, "terminal_reason");
    const bool usual = reason.empty() || reason == "completed";
    if (is_error->get_bool() || !usual)
        return ended_with_error("Claude", usual ? "" : reason, claude_text(result));
    const auto& denials = array_at(result, "permission_denials");
    if (denials.empty()) return AgentVerdict{true, {}, {}};
    const auto& first = denials.front();
    return claude_needs_permission(first.is_object() ? text_at(first.get_object(), "tool_name")
                                                     : std::string_view{});
}

bool is_codex_prompt(std::string_view type)
{
    static constexpr std::array<std::string_view, 5> prompts{
        "exec_approval_request", "apply_patch_approval_request", "request_permissions",
        "request_user_input", "elicitation_request"};
    return std::find(prompts.begin(), prompts.end(), type) != prompts.end();
}

AgentVerdict codex_prompt(std::string_view type)
{
    if (type == "request_user_input" || type == "elicitation_request")
        return failure("question_asked",
                       "Codex asked a question, but no person is present to answer it. Describe in "
                       "the command what Codex must decide itself.");
    return codex_needs_permission({});
}

AgentVerdict no_result(OutcomeRule rule, bool skipped_a_line)
{
    const bool claude = rule == OutcomeRule::claude;
    return failure(
        "no_result",
        fmt::format("{} exited with code 0, but reported no result{}. 'outcome: {}' needs {} "
                    "in the agent's command.",
                    claude ? "Claude" : "Codex",
                    skipped_a_line ? " (a line of more than 4 MiB was not read)" : "",
                    name_of(rule), claude ? "--output-format stream-json --verbose" : "--json"));
}

}  // namespace

std::span<const std::string_view> outcome_rule_names()
{
    return rule_names;
}

std::optional<OutcomeRule> outcome_rule_named(std::string_view name)
{
    const auto found = std::find(rule_names.begin(), rule_names.end(), name);
    if (found == rule_names.end()) return std::nullopt;
    return static_cast<OutcomeRule>(found - rule_names.begin());
}

std::string_view name_of(OutcomeRule rule)
{
    return rule_names.at(static_cast<std::size_t>(rule));
}

void OutcomeParser::feed(OutputStream stream, std::string_view chunk)
{
    if (rule_ == OutcomeRule::exit_code || stream != OutputStream::standard_output) return;
    while (!chunk.empty()) {
        const auto end = chunk.find('\n');
        const auto part = chunk.substr(0, end);
        if (!skips_line_ && line_.size() + part.size() > max_line_length) {
            skips_line_ = skipped_a_line_ = true;
            line_ = {};
        }
        if (!skips_line_) line_.append(part);
        if (end == chunk.npos) return;
        parse_line();
        chunk.remove_prefix(end + 1);
    }
}

void OutcomeParser::parse_line()
{
    skips_line_ = false;
    const auto line = std::exchange(line_, {});
    const auto reading = text::read_json_object(line);
    if (reading.kind != text::JsonReading::Kind::valid) return;
    if (rule_ == OutcomeRule::claude)
        read_claude(reading.object);
    else
        read_codex(reading.object);
}

void OutcomeParser::read_claude(const json::object& event)
{
    const auto type = text_at(event, "type");
    if (type == "result") {
        if (auto outcome = claude_outcome(event)) conclude(*std::move(outcome));
    } else if (type == "control_request") {
        const auto& request = object_at(event, "request");
        if (text_at(request, "subtype") == "can_use_tool")
            conclude(claude_needs_permission(text_at(request, "tool_name")));
    } else if (type == "assistant" || type == "user") {
        concluded_ = false;
    }
}

void OutcomeParser::read_codex(const json::object& event)
{
    const auto type = text_at(event, "type");
    const auto older_type = text_at(object_at(event, "msg"), "type");
    if (type == "turn.started") {
        concluded_ = false;
        refused_.clear();
    } else if (type == "turn.completed") {
        conclude(refused_.empty() ? AgentVerdict{true, {}, {}} : codex_needs_permission(refused_));
    } else if (type == "turn.failed") {
        conclude(ended_with_error("Codex", "", text_at(object_at(event, "error"), "message")));
    } else if (type == "item.completed") {
        const auto& item = object_at(event, "item");
        if (text_at(item, "status") == "declined")
            refused_ = fmt::format("'{}'", text_at(item, "command"));
    } else if (is_codex_prompt(type) || is_codex_prompt(older_type)) {
        conclude(codex_prompt(is_codex_prompt(type) ? type : older_type));
    }
}

void OutcomeParser::conclude(AgentVerdict outcome)
{
    verdict_ = std::move(outcome);
    concluded_ = true;
}

std::optional<AgentVerdict> OutcomeParser::verdict(const ProcessExit& exit)
{
    if (rule_ == OutcomeRule::exit_code) return std::nullopt;
    parse_line();  // the last one may lack its newline
    if (verdict_) return verdict_;
    if (exit.exit_code != 0) return std::nullopt;
    return no_result(rule_, skipped_a_line_);
}

}  // namespace autoexec::agent
