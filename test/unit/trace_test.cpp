#include "protocol/otlp.hpp"
#include "protocol/trace_context.hpp"
#include "support/text.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::protocol;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

namespace json = boost::json;
using std::chrono::system_clock;

constexpr system_clock::time_point when =
    std::chrono::sys_days{std::chrono::year{2026} / 1 / 20} + 21h;

bool is_lower_hex(std::string_view text, std::size_t size)
{
    return text.size() == size &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// The spans of all lines, in their order.
std::vector<json::object> spans_in(const std::string& text)
{
    std::vector<json::object> spans;
    for (const auto& line : lines_of(text))
        for (const auto& resource : json::parse(line).at("resourceSpans").as_array())
            for (const auto& scope : resource.at("scopeSpans").as_array())
                for (const auto& span : scope.at("spans").as_array())
                    spans.push_back(span.as_object());
    return spans;
}

const json::value& attribute(const json::object& span, std::string_view key)
{
    for (const auto& one : span.at("attributes").as_array())
        if (one.at("key") == json::string(key)) return one.at("value");
    static const json::value none;
    return none;
}

Correlation an_attempt()
{
    Correlation ids;
    ids.execution_id = "0191f0e5-0000-7000-8000-000000000001";
    ids.attempt_id = "0191f0e5-0000-7000-8000-000000000002";
    return ids;
}

}  // namespace

TEST_SUITE_BEGIN("trace");

TEST_CASE("ids have the length of the standard, and differ by what they identify")
{
    const std::set<std::string> spans{span_id_of_run("a"),           span_id_of_execution("a"),
                                      span_id_of_attempt("a"),       span_id_of_transition("a", 1),
                                      span_id_of_transition("a", 2), span_id_of_transition("b", 1),
                                      span_id_of_attempt("b")};
    CHECK(spans.size() == 7);
    for (const auto& id : spans) CHECK(is_lower_hex(id, 16));
    CHECK(is_lower_hex(trace_id_of_run("a"), 32));
    CHECK(trace_id_of_run("a") != trace_id_of_run("b"));
}

TEST_CASE("ids never change between versions")
{
    CHECK(trace_id_of_run("a") == text::sha256_hex("autoexec run\na").substr(0, 32));
    CHECK(span_id_of_attempt("a") == text::sha256_hex("autoexec span of attempt\na").substr(0, 16));
}

TEST_CASE("a command of a run is in the trace of that run, another one in a trace of its own")
{
    auto ids = an_attempt();
    const auto alone = trace_id_of(ids);
    CHECK(is_lower_hex(alone, 32));
    ids.workflow_id = "";
    CHECK(trace_id_of(ids) == alone);
    ids.workflow_id = "w";
    CHECK(trace_id_of(ids) == trace_id_of_run("w"));
    CHECK(trace_id_of(ids) != alone);
}

TEST_CASE("the program's trace context has the form of W3C, and names trace and span")
{
    auto ids = an_attempt();
    ids.workflow_id = "w";
    CHECK(traceparent_of(ids) ==
          "00-" + trace_id_of_run("w") + "-" + span_id_of_attempt(ids.attempt_id) + "-01");
}

TEST_CASE("a span is written with times in nanoseconds and values by type")
{
    Span span;
    span.trace_id = trace_id_of_run("w");
    span.span_id = span_id_of_run("w");
    span.name = "a \"run\"";
    span.start = when + 1ns;
    span.end = when + 2s;
    span.attributes = {
        {"text", "x\ty"}, {"count", 9'007'199'254'740'993}, {"cost", 0.25}, {"late", true}};
    span.events = {{when + 1s, "merged"}};
    const auto text = format_spans({span}, "here");
    REQUIRE(lines_of(text).size() == 1);
    const auto out = spans_in(text).at(0);
    CHECK(out.at("traceId") == json::string(span.trace_id));
    CHECK(out.at("spanId") == json::string(span.span_id));
    CHECK_FALSE(out.contains("parentSpanId"));
    CHECK(out.at("name") == "a \"run\"");
    CHECK(out.at("kind") == 1);
    CHECK(out.at("startTimeUnixNano") == "1768942800000000001");
    CHECK(out.at("endTimeUnixNano") == "1768942802000000000");
    CHECK(attribute(out, "text") == json::value(json::object{{"stringValue", "x\ty"}}));
    CHECK(attribute(out, "count") == json::value(json::object{{"intValue", "9007199254740993"}}));
    CHECK(attribute(out, "cost") == json::value(json::object{{"doubleValue", 0.25}}));
    CHECK(attribute(out, "late") == json::value(json::object{{"boolValue", true}}));
    CHECK(out.at("events").as_array().at(0).at("timeUnixNano") == "1768942801000000000");
    CHECK(out.at("status") == json::value(json::object{{"code", 1}}));
    CHECK(contains(text, R"({"key":"service.name","value":{"stringValue":"autoexec"}})"));
    CHECK(contains(text, R"({"key":"host.name","value":{"stringValue":"here"}})"));
}

TEST_CASE("a failed span has its error, and never ends before it starts")
{
    Span span;
    span.parent_id = span_id_of_run("w");
    span.start = when;
    span.end = when - 1s;
    span.error = "Exit code 3\xff";
    const auto out = spans_in(format_spans({span}, {})).at(0);
    CHECK(out.at("parentSpanId") == json::string(span.parent_id));
    CHECK(out.at("endTimeUnixNano") == out.at("startTimeUnixNano"));
    CHECK(out.at("status") == json::value{{"code", 2}, {"message", "Exit code 3\xef\xbf\xbd"}});
}

TEST_CASE("no line of an export exceeds what a collector reads")
{
    Span span;
    span.name = std::string(5000, 'n');
    span.error = std::string(50'000, 'e');
    for (int i = 0; i < 3; ++i)
        span.attributes["text" + std::to_string(i)] = std::string(100'000, '\x01');
    span.events.assign(1000, {when, "gate_judged"});
    const auto text = format_spans(std::vector<Span>(250, span), {});
    CHECK(spans_in(text).size() == 250);
    const auto lines = lines_of(text);
    CHECK(lines.size() > 1);
    for (const auto& line : lines) CHECK(line.size() < 1024 * 1024);
    CHECK(format_spans({}, "here").empty());
}

TEST_CASE("tokens and model become the attributes of generative AI")
{
    Usage usage;
    usage.input_tokens = 100;
    usage.output_tokens = 20;
    usage.cache_read_tokens = 1000;
    usage.cache_write_tokens = 10;
    usage.cost_usd = 0.5;
    usage.model = "claude-opus-4";
    json::object out;
    add_usage_attributes(out, usage);
    CHECK(out.at("gen_ai.usage.input_tokens") == 1110);
    CHECK(out.at("gen_ai.usage.output_tokens") == 20);
    CHECK(out.at("gen_ai.usage.cache_read.input_tokens") == 1000);
    CHECK(out.at("gen_ai.usage.cache_creation.input_tokens") == 10);
    CHECK(out.at("gen_ai.response.model") == "claude-opus-4");
    CHECK(out.at("gen_ai.provider.name") == "anthropic");
    CHECK(out.at("gen_ai.system") == "anthropic");
    CHECK(out.at("autoexec.cost_usd") == 0.5);

    usage.model = "in-house";
    out.clear();
    add_usage_attributes(out, usage);
    CHECK_FALSE(out.contains("gen_ai.system"));

    Usage measured;
    measured.cpu = 3s;
    out.clear();
    add_usage_attributes(out, measured);
    CHECK(out.empty());
}

TEST_SUITE_END();
