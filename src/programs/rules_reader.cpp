#include "programs/rules_reader.hpp"

#include "yaml/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::programs {
namespace {

using yaml::Fields;
using yaml::Report;
using yaml::YamlNode;

constexpr std::array<std::string_view, 6> rules_fields{"name",  "program",    "options",
                                                       "allow", "exit_codes", "events"};
constexpr std::array<std::string_view, 13> event_fields{
    "when",  "meaning", "message", "error_code", "http_status", "retry_after", "session",
    "model", "denied",  "show",    "background", "usage",       "keep"};
constexpr std::array<std::string_view, 9> usage_fields{
    "input",    "output", "cache_read",      "cache_write",         "reasoning",
    "cost_usd", "total",  "input_has_cache", "output_has_reasoning"};
constexpr std::array<std::string_view, 5> condition_fields{"equals", "begins_with", "present",
                                                           "absent", "check"};
constexpr std::array<std::string_view, 7> meanings{"none",    "work",     "success",   "failure",
                                                   "trouble", "question", "permission"};
// In the order of `EventCondition::Kind`.
constexpr std::array<std::string_view, 2> checks{"api_error", "sandbox_denial"};
constexpr std::array<std::string_view, 3> totals{"last", "sum", "cumulative"};

// The index of a word in a list of words; zero, with an error, if it is not in it.
std::size_t word_in(Fields& fields, std::string_view key, std::span<const std::string_view> words)
{
    const auto text = fields.text(key);
    if (!text) return 0;
    const auto found = std::find(words.begin(), words.end(), *text);
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    fields.error(
        key,
        fmt::format("Field '{}' must be one of {} (got: {})", key, fmt::join(words, ", "), *text),
        yaml::did_you_mean(*text, words));
    return 0;
}

constexpr std::string_view shown_line = "{shown}";  // in place of pointers
constexpr std::string_view pointer_hint =
    "It begins with '/': /error/message. In a name, ~1 is '/' and ~0 is '~'.";

// RFC 6901
bool is_pointer(std::string_view text)
{
    if (!text.starts_with('/')) return false;
    for (auto at = text.find('~'); at != text.npos; at = text.find('~', at + 1))
        if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return false;
    return true;
}

std::string pointer_in(Fields& fields, std::string_view key)
{
    auto text = fields.text(key).value_or("");
    if (text.empty() || is_pointer(text)) return text;
    fields.error(key, fmt::format("Field '{}' must be a JSON pointer (got: {})", key, text),
                 std::string(pointer_hint));
    return {};
}

// A text with pointers in braces.
std::string template_in(Fields& fields, std::string_view key, Report& report)
{
    auto text = fields.text(key).value_or("");
    const std::string_view all = text;
    for (auto open = all.find('{'); open != all.npos; open = all.find('{', open + 1)) {
        const auto close = all.find('}', open);
        const auto name = all.substr(open + 1, close - open - 1);
        const bool closed = close != all.npos;
        if (closed && (is_pointer(name) || (key == "denied" && all == shown_line))) continue;
        fields.error(report.find(fields.find(key)->at, all.substr(open, close - open)),
                     closed ? fmt::format("Field '{}': '{{{}}}' is not a JSON pointer", key, name)
                            : fmt::format("Field '{}': '{{{}' is not closed", key, name),
                     closed ? std::string(pointer_hint) : "A pointer ends with '}'.");
        return {};
    }
    return text;
}

EventCondition read_condition(const yaml::YamlEntry& entry, Fields& event, Report& report)
{
    EventCondition condition;
    condition.pointer = entry.key;
    const auto& value = entry.value;
    if (!is_pointer(entry.key))
        event.error(entry.at, fmt::format("'{}' is not a JSON pointer", entry.key),
                    std::string(pointer_hint));
    if (value.kind == YamlNode::Kind::scalar) {
        const bool is_literal = !value.quoted && (value.text == "true" || value.text == "false" ||
                                                  value.as_number().has_value());
        condition.kind = is_literal ? EventCondition::Kind::literal : EventCondition::Kind::equals;
        condition.value = value.text;
    } else if (value.kind == YamlNode::Kind::mapping) {
        Fields fields(value, fmt::format("{}: ", entry.key), report);
        fields.warn_unknown(condition_fields);
        if (auto text = fields.text("begins_with")) {
            condition.kind = EventCondition::Kind::begins_with;
            condition.value = *std::move(text);
        } else if (auto equal = fields.text("equals")) {
            condition.value = *std::move(equal);
        } else if (fields.find("check") != nullptr) {
            condition.kind = static_cast<EventCondition::Kind>(
                word_in(fields, "check", checks) +
                static_cast<std::size_t>(EventCondition::Kind::api_error));
        } else {
            const bool present =
                fields.boolean("present").value_or(!fields.boolean("absent").value_or(false));
            condition.kind = present ? EventCondition::Kind::present : EventCondition::Kind::absent;
        }
    } else {
        event.wrong_type(entry.key, value, "text, a number, true, false or a mapping");
    }
    return condition;
}

UsageFields read_usage(const YamlNode& node, const std::string& prefix, Report& report)
{
    Fields fields(node, prefix + "usage: ", report);
    fields.warn_unknown(usage_fields);
    UsageFields usage;
    usage.input = pointer_in(fields, "input");
    usage.output = pointer_in(fields, "output");
    usage.cache_read = pointer_in(fields, "cache_read");
    usage.cache_write = pointer_in(fields, "cache_write");
    usage.reasoning = pointer_in(fields, "reasoning");
    usage.cost_usd = pointer_in(fields, "cost_usd");
    usage.input_has_cache = fields.boolean("input_has_cache").value_or(false);
    usage.output_has_reasoning = fields.boolean("output_has_reasoning").value_or(false);
    usage.total = static_cast<UsageTotal>(word_in(fields, "total", totals));
    return usage;
}

std::vector<std::string> read_message(Fields& fields)
{
    const auto* const node = fields.find("message");
    if (node == nullptr) return {};
    const bool is_list = node->kind == YamlNode::Kind::sequence;
    std::vector<std::string> items;
    for (const auto& item : is_list ? std::span(node->items) : std::span(node, 1)) {
        if (item.kind != YamlNode::Kind::scalar)
            fields.wrong_type("message", item, "pointers and texts");
        else if (item.text.starts_with('/') && !is_pointer(item.text))
            fields.error(item.at,
                         fmt::format("Field 'message': '{}' is not a JSON pointer", item.text),
                         std::string(pointer_hint));
        items.push_back(item.text);
    }
    return items;
}

std::map<int, std::string> read_exit_codes(const YamlNode& node, Fields& fields)
{
    std::map<int, std::string> codes;
    for (const auto& entry : node.entries) {
        YamlNode key;
        key.kind = YamlNode::Kind::scalar;
        key.text = entry.key;
        const auto number = key.as_integer();
        const auto code = entry.value.as_string();
        if (number && code && *number > 0 && *number < 256)
            codes[static_cast<int>(*number)] = *code;
        else
            fields.error(
                entry.at,
                "Field 'exit_codes' must have exit codes from 1 to 255, each with an error code");
    }
    return codes;
}

EventRule read_event_rule(const YamlNode& node, const std::string& prefix, Report& report)
{
    EventRule rule;
    Fields fields(node, prefix, report);
    if (node.kind != YamlNode::Kind::mapping) {
        fields.error(node.at, "Must be a mapping");
        return rule;
    }
    fields.warn_unknown(event_fields);
    if (const auto* const when = fields.find("when"); fields.require("when")) {
        if (when->kind != YamlNode::Kind::mapping || when->entries.empty())
            fields.wrong_type("when", "a mapping of JSON pointers to values");
        for (const auto& entry : when->entries)
            rule.when.push_back(read_condition(entry, fields, report));
    }
    rule.meaning = static_cast<EventMeaning>(word_in(fields, "meaning", meanings));
    rule.message = read_message(fields);
    rule.error_code = fields.text("error_code").value_or("");
    rule.http_status = pointer_in(fields, "http_status");
    rule.retry_after = pointer_in(fields, "retry_after");
    rule.session = pointer_in(fields, "session");
    rule.model = pointer_in(fields, "model");
    rule.denied = template_in(fields, "denied", report);
    rule.show = template_in(fields, "show", report);
    rule.keep = fields.boolean("keep").value_or(false);
    rule.background_tasks = static_cast<int>(fields.integer("background", -1, 1).value_or(0));
    if (const auto* const usage = fields.find("usage")) {
        if (usage->kind == YamlNode::Kind::mapping)
            rule.usage = read_usage(*usage, prefix, report);
        else
            fields.wrong_type("usage", "a mapping");
    }
    return rule;
}

}  // namespace

OutputRules read_output_rules(const YamlNode& node, std::string_view prefix, Report& report)
{
    OutputRules rules;
    Fields fields(node, std::string(prefix), report);
    fields.warn_unknown(rules_fields);
    rules.name = fields.text("name").value_or("custom");
    rules.program = fields.text("program").value_or("The program");
    rules.options = fields.text("options").value_or("an option for JSON output");
    rules.allow = fields.text("allow").value_or("Allow it by its options in the agent's command.");
    if (const auto* const codes = fields.find("exit_codes"))
        rules.exit_codes = read_exit_codes(*codes, fields);
    if (!fields.require("events")) return rules;
    const auto* const items = fields.list("events", "event");
    if (items == nullptr) return rules;
    for (std::size_t i = 0; i < items->size(); ++i)
        rules.events.push_back(
            read_event_rule((*items)[i], fmt::format("{}Event {}: ", prefix, i + 1), report));
    return rules;
}

}  // namespace autoexec::programs
