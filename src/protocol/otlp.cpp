#include "protocol/otlp.hpp"

#include "autoexec/version.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;
using std::chrono::system_clock;

constexpr std::size_t max_line = 512 * 1024;
constexpr std::size_t max_span_text = 1024;
constexpr std::size_t max_span_events = 32;

json::string span_text(std::string_view text)
{
    const auto valid = text::valid_utf8(text);
    return json::string(text::head(valid, max_span_text));
}

// 64-bit integers are texts in the JSON encoding of protocol buffers.
json::string nanoseconds(system_clock::time_point time)
{
    using std::chrono::nanoseconds;
    const auto count = std::chrono::duration_cast<nanoseconds>(time.time_since_epoch()).count();
    return json::string(std::to_string(std::max(count, nanoseconds::rep{0})));
}

json::object otlp_value(const json::value& value)
{
    if (const auto* const text = value.if_string()) return {{"stringValue", span_text(*text)}};
    if (const auto* const truth = value.if_bool()) return {{"boolValue", *truth}};
    if (const auto* const number = value.if_double()) return {{"doubleValue", *number}};
    return {{"intValue", json::serialize(value)}};
}

json::array otlp_attributes(const json::object& attributes)
{
    json::array list;
    for (const auto& [key, value] : attributes)
        list.push_back({{"key", key}, {"value", otlp_value(value)}});
    return list;
}

json::object otlp_span(const Span& span)
{
    json::array events;
    for (const auto& event : span.events) {
        if (events.size() == max_span_events) break;
        events.push_back({{"timeUnixNano", nanoseconds(event.time)}, {"name", event.name}});
    }
    constexpr int ok = 1;
    constexpr int error = 2;
    json::object status{{"code", span.error ? error : ok}};
    if (span.error && !span.error->empty()) status["message"] = span_text(*span.error);
    json::object out{{"traceId", span.trace_id}, {"spanId", span.span_id}};
    if (!span.parent_id.empty()) out["parentSpanId"] = span.parent_id;
    out["name"] = span_text(span.name);
    out["kind"] = static_cast<int>(span.kind);
    out["startTimeUnixNano"] = nanoseconds(span.start);
    out["endTimeUnixNano"] = nanoseconds(std::max(span.start, span.end));
    out["attributes"] = otlp_attributes(span.attributes);
    if (!events.empty()) out["events"] = std::move(events);
    out["status"] = std::move(status);
    return out;
}

/// Empty for a model that is not known.
std::string_view provider_of(std::string_view model)
{
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> providers{{
        {"claude", "anthropic"},
        {"gpt-", "openai"},
        {"gemini", "gcp.gemini"},
        {"deepseek", "deepseek"},
        {"mistral", "mistral_ai"},
        {"grok", "x_ai"},
    }};
    for (const auto& [part, provider] : providers)
        if (model.find(part) != model.npos) return provider;
    return {};
}

}  // namespace

void add_usage_attributes(json::object& attributes, const Usage& usage)
{
    const bool has_tokens = usage.input_tokens || usage.output_tokens;
    if (usage.model.empty() && !has_tokens) return;
    attributes["gen_ai.operation.name"] = "invoke_agent";
    if (const auto provider = provider_of(usage.model); !provider.empty()) {
        attributes["gen_ai.provider.name"] = provider;
        attributes["gen_ai.system"] = provider;  // its name in older conventions
    }
    if (!usage.model.empty()) attributes["gen_ai.response.model"] = usage.model;
    const auto cache_read = usage.cache_read_tokens.value_or(0);
    const auto cache_write = usage.cache_write_tokens.value_or(0);
    // The conventions count those of caches, too.
    if (usage.input_tokens)
        attributes["gen_ai.usage.input_tokens"] = *usage.input_tokens + cache_read + cache_write;
    if (usage.output_tokens) attributes["gen_ai.usage.output_tokens"] = *usage.output_tokens;
    if (usage.cache_read_tokens) attributes["gen_ai.usage.cache_read.input_tokens"] = cache_read;
    if (usage.cache_write_tokens)
        attributes["gen_ai.usage.cache_creation.input_tokens"] = cache_write;
    if (usage.cost_usd) attributes["autoexec.cost_usd"] = *usage.cost_usd;
}

std::string format_spans(const std::vector<Span>& spans, std::string_view host)
{
    json::object resource{{"service.name", "autoexec"}, {"service.version", AUTOEXEC_VERSION}};
    if (!host.empty()) resource["host.name"] = host;
    const json::object scope{{"name", "autoexec"}, {"version", AUTOEXEC_VERSION}};
    const auto begin = fmt::format(
        R"({{"resourceSpans":[{{"resource":{{"attributes":{}}},"scopeSpans":[{{"scope":{},"spans":[)",
        text::dump_line(otlp_attributes(resource)), text::dump_line(scope));
    std::string lines;
    std::size_t line = 0;  // where the last one begins
    for (const auto& span : spans) {
        const bool first = lines.size() == line;
        lines += first ? begin : ",";
        lines += text::dump_line(otlp_span(span));
        if (lines.size() - line < max_line && &span != &spans.back()) continue;
        lines += "]}]}]}\n";
        line = lines.size();
    }
    return lines;
}

}  // namespace autoexec::protocol
