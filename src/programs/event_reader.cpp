#include "programs/event_reader.hpp"

#include "programs/error_class.hpp"
#include "programs/json_values.hpp"

#include <fmt/format.h>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace autoexec::programs {
namespace {

namespace json = boost::json;

constexpr std::size_t max_shown = 300;
constexpr std::size_t max_error_line = 2000;
constexpr std::size_t max_words = 16 * 1024;  // of a message: they are searched by patterns
constexpr auto max_tokens = std::int64_t{1} << 53;

// By value: JSON has several forms of a number.
bool is_literal(const json::value& value, const std::string& literal)
{
    if (value.is_bool()) return literal == (value.get_bool() ? "true" : "false");
    boost::system::error_code ec;
    const auto number = value.to_number<double>(ec);
    return !ec && number == std::strtod(literal.c_str(), nullptr);
}

// Some programs report what the model's provider answered as the text of a success.
bool is_api_error(std::string_view text)
{
    constexpr std::string_view begin = "[API Error:";
    const auto last = text.rfind(begin);
    const auto end = text.find_last_not_of(" \n");
    return text.starts_with(begin) || (last != text.npos && text[end] == ']');
}

bool is_sandbox_denial(std::string_view text)
{
    constexpr std::array<std::string_view, 3> refusals{
        "Read-only file system", "Operation not permitted", "Permission denied"};
    return std::any_of(refusals.begin(), refusals.end(),
                       [text](auto words) { return text.find(words) != text.npos; });
}

bool holds(const EventCondition& condition, const json::value& event)
{
    using Kind = EventCondition::Kind;
    const auto* const value = value_at(event, condition.pointer);
    switch (condition.kind) {
        case Kind::present:
            return value != nullptr && !value->is_null();
        case Kind::absent:
            return value == nullptr || value->is_null();
        case Kind::literal:
            return value != nullptr && is_literal(*value, condition.value);
        case Kind::equals:
            return value != nullptr && value->is_string() &&
                   std::string_view(value->get_string()) == condition.value;
        case Kind::begins_with:
            return value != nullptr && value->is_string() &&
                   std::string_view(value->get_string()).starts_with(condition.value);
        case Kind::sandbox_denial:
            return is_sandbox_denial(text_at(event, condition.pointer));
        case Kind::api_error:
            return is_api_error(text_at(event, condition.pointer));
    }
    return false;
}

// The template with the first line of each value; empty if no value has a text. What stands before
// a value that is missing at the end is cut off with it.
std::string filled(std::string_view pattern, const json::value& event)
{
    std::string text;
    bool has_value = false;
    while (!pattern.empty()) {
        const auto open = std::min(pattern.find("{/"), pattern.size());
        text.append(pattern.substr(0, open));
        pattern.remove_prefix(open);
        const auto close = pattern.find('}');
        if (close == pattern.npos) break;
        const auto value = scalar_at(event, pattern.substr(1, close - 1));
        has_value = has_value || value.find_first_not_of(" \n") != value.npos;
        const auto begin = std::min(value.find_first_not_of(" \n"), value.size());
        text.append(value, begin, std::min(value.find('\n', begin), begin + max_shown) - begin);
        pattern.remove_prefix(close + 1);
    }
    if (!has_value) return {};
    return text.substr(0, std::min(text.find_last_not_of(" :") + 1, max_shown));
}

std::optional<std::int64_t> total_of(std::optional<std::int64_t> before, std::optional<double> more,
                                     bool add)
{
    if (!more) return before;
    return std::min(static_cast<std::int64_t>(*more) + (add ? before.value_or(0) : 0), max_tokens);
}

std::string denied_sentence(const OutputRules& rules, std::string_view denied)
{
    return fmt::format("{} needed permission for {}, but no person is present to give it. {}",
                       rules.program, denied.empty() ? "a tool" : denied, rules.allow);
}

}  // namespace

void EventReader::feed(OutputStream stream, std::string_view chunk)
{
    if (rules_ == nullptr || rules_->events.empty()) return;
    if (stream == OutputStream::standard_error) return feed_errors(chunk);
    feed_lines(chunk);
}

void EventReader::feed_errors(std::string_view chunk)
{
    for (const char c : chunk) {
        if (c != '\n') {
            if (error_line_.size() < max_error_line) error_line_.push_back(c);
            continue;
        }
        auto line = sentence_of(std::exchange(error_line_, {}));
        const auto code = code_of_words(line);
        if (code.empty()) continue;
        // Other lines may be about something else than its model: a server that it uses.
        if (boost::algorithm::icontains(line, "retrying"))
            hopeless_count_ = waiting_may_help(code) ? 0 : hopeless_count_ + 1;
        trouble_ = ProgramVerdict{false, std::string(code), line, wait_in_words(line)};
        telling_code_ = code;
        telling_line_ = std::move(line);
    }
}

void EventReader::read_message(const json::value& event)
{
    bool has_meaning = false;
    for (const auto& rule : rules_->events) {
        if (!std::all_of(rule.when.begin(), rule.when.end(),
                         [&](const auto& condition) { return holds(condition, event); }))
            continue;
        if (rule.usage) add_usage(*rule.usage, event);
        if (auto id = text_at(event, rule.session); !id.empty()) session_ = std::move(id);
        if (auto model = text_at(event, rule.model); !model.empty())
            usage_.model = std::move(model);
        if (!rule.denied.empty()) {
            denied_ = rule.denied == "{shown}" ? shown_ : filled(rule.denied, event);
            if (denied_.empty()) denied_ = "a tool";
        }
        if (auto line = filled(rule.show, event); !line.empty()) shown_ = std::move(line);
        // A task may have begun before this program, in the session that it continues.
        tasks_ = std::max(0, tasks_ + rule.background_tasks);
        if (rule.meaning == EventMeaning::none || has_meaning) continue;
        has_meaning = true;
        apply(rule, event);
    }
}

void EventReader::apply(const EventRule& rule, const json::value& event)
{
    if (rule.meaning == EventMeaning::trouble) {
        trouble_ = failure(rule, event);
        hopeless_count_ = waiting_may_help(trouble_->code) ? 0 : hopeless_count_ + 1;
        return;
    }
    working_ = rule.meaning == EventMeaning::work;
    if (rule.meaning == EventMeaning::success && !kept_)
        verdict_ = ProgramVerdict{true, {}, {}, {}};
    else if (!working_ && rule.meaning != EventMeaning::success)
        verdict_ = failure(rule, event);
    kept_ = kept_ || rule.keep;
    trouble_.reset();
    hopeless_count_ = 0;
}

void EventReader::add_usage(const UsageFields& fields, const json::value& event)
{
    const bool add = fields.total == UsageTotal::sum;
    auto input = number_at(event, fields.input);
    auto output = number_at(event, fields.output);
    const auto cached = number_at(event, fields.cache_read);
    const auto reasoning = number_at(event, fields.reasoning);
    if (input && fields.input_has_cache) input = std::max(0.0, *input - cached.value_or(0));
    if (output && !fields.output_has_reasoning) *output += reasoning.value_or(0);
    usage_.input_tokens = total_of(usage_.input_tokens, input, add);
    usage_.output_tokens = total_of(usage_.output_tokens, output, add);
    usage_.cache_read_tokens = total_of(usage_.cache_read_tokens, cached, add);
    usage_.cache_write_tokens =
        total_of(usage_.cache_write_tokens, number_at(event, fields.cache_write), add);
    usage_.reasoning_tokens = total_of(usage_.reasoning_tokens, reasoning, add);
    if (const auto cost = number_at(event, fields.cost_usd))
        usage_.cost_usd = *cost + (add ? usage_.cost_usd.value_or(0) : 0);
    usage_.of_session = fields.total == UsageTotal::cumulative && !usage_.empty();
}

std::string EventReader::words_of(const EventRule& rule, const json::value& event) const
{
    for (const auto& item : rule.message) {
        auto words = item.starts_with('/') ? sentence_of(text_at(event, item)) : item;
        if (!words.empty()) return words.substr(0, max_words);
    }
    // The last trouble was one too many.
    return rule.meaning == EventMeaning::failure && trouble_ ? trouble_->message : "";
}

ProgramVerdict EventReader::failure(const EventRule& rule, const json::value& event) const
{
    auto words = words_of(rule, event);
    ProgramVerdict verdict;
    verdict.code = rule.error_code;
    if (rule.meaning == EventMeaning::question) {
        verdict.code = "question_asked";
        verdict.message = fmt::format(
            "{0} asked a question, but no person is present to answer it. Describe in the command "
            "what {0} must decide itself.",
            rules_->program);
        return verdict;
    }
    if (rule.meaning == EventMeaning::permission) {
        verdict.code = "permission_needed";
        verdict.message = denied_sentence(*rules_, words);
        return verdict;
    }
    const auto status = scalar_at(event, rule.http_status);
    // A provider's 429 and 403 are ambiguous; its words tell a spent quota from a busy hour.
    if (verdict.code.empty()) verdict.code = code_of_words(words);
    if (verdict.code.empty()) {
        const auto number = (status.empty() ? words : status).substr(0, 4);  // `401 bad key`
        verdict.code = code_of_http_status(std::atoi(number.c_str()));
    }
    if (verdict.code.empty()) verdict.code = "agent_error";
    if (const auto seconds = number_at(event, rule.retry_after); seconds && *seconds < 1e8)
        verdict.retry_after = std::chrono::milliseconds(static_cast<std::int64_t>(*seconds * 1000));
    else
        verdict.retry_after = wait_in_words(words);
    if (rule.meaning == EventMeaning::failure)
        verdict.message = fmt::format("{} ended with an error{}{}{}", rules_->program,
                                      status.empty() ? "" : fmt::format(" ({})", status),
                                      words.empty() ? "" : ": ", words);
    else
        verdict.message =
            fmt::format("{}{}{}", status, status.empty() || words.empty() ? "" : " ", words);
    return verdict;
}

ProgramVerdict EventReader::no_result(bool cut) const
{
    return {false,
            "no_result",
            fmt::format("{} exited with code 0, but reported no result{}{}. 'outcome: {}' needs {} "
                        "in the agent's command.",
                        rules_->program,
                        skipped_a_line() ? " (a line of more than 16 MiB was not read)" : "",
                        cut ? " (its output ended in the middle of a line)" : "", rules_->name,
                        rules_->options),
            {},
            cut};
}

std::optional<ProgramVerdict> EventReader::verdict(const ProcessExit& exit)
{
    if (rules_ == nullptr || rules_->events.empty()) return std::nullopt;
    const auto last = open_line();
    read_line();  // the last ones may lack their newline
    feed_errors("\n");
    const bool success = exit.exit_code == 0;
    // What it reported before it continued counts only if nothing went wrong since.
    if (verdict_ && (!working_ || success || !verdict_->completed)) return verdict_;
    if (!success) return verdict_of_exit(exit.exit_code.value_or(0));
    return no_result(!last.empty() && last.front() == '{');
}

// Words on standard error, unless the exit code itself is known.
std::optional<ProgramVerdict> EventReader::verdict_of_exit(int exit_code) const
{
    const auto known = rules_->exit_codes.find(exit_code);
    const std::string code(known == rules_->exit_codes.end() ? telling_code_ : known->second);
    if (exit_code == 0 || code.empty()) return std::nullopt;
    return ProgramVerdict{false, code,
                          fmt::format("{} exited with code {}{}{}", rules_->program, exit_code,
                                      telling_line_.empty() ? "" : ": ", telling_line_),
                          wait_in_words(telling_line_)};
}

ProgramVerdict hopeless_verdict(const OutputRules& rules, const ProgramVerdict& trouble)
{
    return {false,
            trouble.code,
            fmt::format("{} was stopped, because it tried again in vain: {}", rules.program,
                        trouble.message),
            {}};
}

std::string EventReader::denied_message() const
{
    return denied_sentence(*rules_, denied_);
}

}  // namespace autoexec::programs
