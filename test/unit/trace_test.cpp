#include "protocol/otlp.hpp"
#include "protocol/trace_context.hpp"
#include "records/attempt_spans.hpp"
#include "support/text.hpp"
#include "text/text.hpp"
#include "workflow/journal/run_spans.hpp"

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
    for (const auto& line : lines_of(text)) {
        const auto request = json::parse(line);
        for (const auto& resource : request.at("resourceSpans").as_array())
            for (const auto& scope : resource.at("scopeSpans").as_array())
                for (const auto& span : scope.at("spans").as_array())
                    spans.push_back(span.as_object());
    }
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

/// A journal whose n-th transition was recorded n seconds after `when`.
workflow::RunRecord run_of(const std::vector<Transition>& transitions)
{
    std::string text;
    std::int64_t seq = 0;
    for (const auto& transition : transitions) {
        ++seq;
        text += format_journal_entry(seq, when + std::chrono::seconds(seq), transition) + '\n';
    }
    auto run = workflow::parse_journal(text);
    REQUIRE(run.skipped_lines == 0);
    return run;
}

RunStarted a_run(std::vector<RunStarted::Step> steps)
{
    RunStarted start;
    start.run_id = "w-1";
    start.workflow_id = "w";
    start.steps = std::move(steps);
    return start;
}

StepEnded an_end(const std::string& step, int round, StepState state, std::int64_t since,
                 const std::string& reason = {})
{
    StepEnded end;
    end.result.id = step;
    end.result.round = round;
    end.result.state = state;
    end.result.reason = reason;
    end.result.started_at = when + std::chrono::seconds(since);
    return end;
}

/// `name @start-end`, in seconds after `when`, below that of its parent; ` !` for an error.
std::string tree_of(const std::vector<Span>& spans, const std::string& parent = {}, int depth = 0)
{
    std::string text;
    const auto seconds = [](auto time) {
        return std::to_string(
            std::chrono::duration_cast<std::chrono::seconds>(time - when).count());
    };
    for (const auto& span : spans) {
        if (span.parent_id != parent) continue;
        text += std::string(static_cast<std::size_t>(2 * depth), ' ') + span.name + " @" +
                seconds(span.start) + '-' + seconds(span.end) + (span.error ? " !\n" : "\n");
        text += tree_of(spans, span.span_id, depth + 1);
    }
    return text;
}

const Span& named(const std::vector<Span>& spans, std::string_view name)
{
    const auto found =
        std::ranges::find_if(spans, [&](const Span& span) { return span.name == name; });
    REQUIRE(found != spans.end());
    return *found;
}

ExecutionMetric a_metric(int retry, ExecutionStatus status)
{
    ExecutionMetric metric;
    metric.execution_id = "e";
    metric.attempt_id = "attempt " + std::to_string(retry);
    metric.retry_count = retry;
    metric.status = status;
    metric.started_at = when + std::chrono::seconds(10 * retry);
    metric.completed_at = *metric.started_at + 5s;
    return metric;
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
    CHECK(contains(text, R"({"key": "service.name", "value": {"stringValue": "autoexec"}})"));
    CHECK(contains(text, R"({"key": "host.name", "value": {"stringValue": "here"}})"));
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

TEST_CASE("a run is a tree of its steps, their gates, and the merge")
{
    const auto run = run_of({
        a_run({{"a", "coder", "build"}, {"b", "", ""}}),
        StepStarted{"a", 1, "e1", "/tree", {}},
        StepRetried{"a", 1, 2},
        an_end("a", 1, StepState::completed, 2),
        StepStarted{"b", 1, "e2", "/tree", {}},
        an_end("b", 1, StepState::completed, 5),
        GateJudged{"b", 1, false, StepState::completed, {}},
        SentBack{"b", 1, "a", {"a", "b"}},
        StepStarted{"a", 2, "e3", "/tree", {}},
        an_end("a", 2, StepState::completed, 9),
        StepStarted{"b", 2, "", "/tree", {}},
        an_end("b", 2, StepState::completed, 11),
        GateJudged{"b", 2, true, StepState::completed, {}},
        Merged{"branch", "c0ffee"},
        RunEnded{WorkflowStatus::completed, {}},
    });
    const auto spans = workflow::spans_of_run(run);
    CHECK(tree_of(spans) ==
          "workflow @1-15\n"
          "  step a @2-4\n"
          "  step b @5-7\n"
          "    gate b @6-7\n"
          "  step a @9-10\n"
          "  step b @11-13\n"
          "    gate b @12-13\n"
          "  merge @13-14\n");
    std::set<std::string> ids;
    for (const auto& span : spans) {
        CHECK(span.trace_id == trace_id_of_run("w-1"));
        ids.insert(span.span_id);
    }
    CHECK(ids.size() == spans.size());
    const auto& a = named(spans, "step a");
    CHECK(a.span_id == span_id_of_execution("e1"));
    CHECK(a.attributes.at("autoexec.agent") == "coder");
    CHECK(a.attributes.at("autoexec.round") == 1);
    REQUIRE(a.events.size() == 1);
    CHECK(a.events[0].name == "step_retried");
    CHECK(a.events[0].time == when + 3s);
    CHECK(named(spans, "gate b").attributes.at("autoexec.gate_passed") == false);
    CHECK(named(spans, "merge").attributes.at("autoexec.commit") == "c0ffee");
    CHECK(format_spans(spans, {}) == format_spans(workflow::spans_of_run(run), {}));
}

TEST_CASE("failures of a run, a step and a gate are errors, and a skipped step is none")
{
    auto failed = an_end("a", 1, StepState::failed, 2, "Exit code 3");
    failed.result.code = "exit_3";
    const auto spans = workflow::spans_of_run(run_of({
        a_run({{"a", "", ""}, {"b", "", ""}, {"c", "", ""}}),
        StepStarted{"a", 1, "e1", "", {}},
        failed,
        StepSkipped{"b", 1, "'a' failed", false},
        StepStarted{"c", 1, "e2", "", {}},
        an_end("c", 1, StepState::completed, 5),
        GateJudged{"c", 1, {}, StepState::failed, "Its gate cannot be evaluated"},
        RunEnded{WorkflowStatus::failed, "2 steps failed"},
    }));
    CHECK(tree_of(spans) ==
          "workflow @1-8 !\n"
          "  step a @2-3 !\n"
          "  step b @4-4\n"
          "  step c @5-7 !\n"
          "    gate c @6-7 !\n");
    CHECK(spans.front().error == "2 steps failed");
    CHECK(named(spans, "step a").error == "Exit code 3");
    CHECK(named(spans, "step a").attributes.at("error.type") == "exit_3");
    CHECK(named(spans, "step c").attributes.at("error.type") == "gate");
}

TEST_CASE("what an interrupted run has left open ends with its last transition, as an error")
{
    std::vector<Transition> transitions{
        a_run({{"a", "", ""}}),
        StepStarted{"a", 1, "e1", "", {}},
        StepWaiting{"a", 1},
    };
    CHECK(tree_of(workflow::spans_of_run(run_of(transitions))) ==
          "workflow @1-3 !\n  step a @2-3 !\n");

    // Resumed: the step begins again, or ends.
    auto again = transitions;
    again.insert(again.end(), {a_run({{"a", "", ""}}), StepStarted{"a", 1, "e2", "", {}},
                               an_end("a", 1, StepState::completed, 5),
                               RunEnded{WorkflowStatus::completed, {}}});
    const auto spans = workflow::spans_of_run(run_of(again));
    CHECK(tree_of(spans) == "workflow @1-7\n  step a @2-5 !\n  step a @5-6\n");
    CHECK(spans.front().events.size() == 2);
    transitions.emplace_back(an_end("a", 1, StepState::completed, 2));
    transitions.emplace_back(RunEnded{WorkflowStatus::completed, {}});
    CHECK(tree_of(workflow::spans_of_run(run_of(transitions))) == "workflow @1-5\n  step a @2-4\n");
}

TEST_CASE("a step that cannot be merged has failed, until its work is merged at last")
{
    auto late = an_end("a", 1, StepState::failed, 2, "It conflicts");
    late.late = true;
    late.result.code = "merge_conflict";
    std::vector<Transition> transitions{
        a_run({{"a", "", ""}}),
        StepStarted{"a", 1, "e1", "", {}},
        an_end("a", 1, StepState::completed, 2),
        late,
    };
    auto spans = workflow::spans_of_run(run_of(transitions));
    REQUIRE(spans.size() == 2);
    CHECK(spans[1].end == when + 3s);
    CHECK(spans[1].error == "It conflicts");
    CHECK(spans[1].attributes.at("error.type") == "merge_conflict");
    transitions.emplace_back(an_end("a", 1, StepState::completed, 2));
    spans = workflow::spans_of_run(run_of(transitions));
    REQUIRE(spans.size() == 2);
    CHECK_FALSE(spans[1].error);
    CHECK_FALSE(spans[1].attributes.contains("error.type"));
}

TEST_CASE("any beginning of a journal, and any lines of it, make a tree with one root")
{
    const std::vector<Transition> transitions{
        a_run({{"a", "", ""}}),
        StepStarted{"a", 1, "e1", "", {}},
        StepPrepared{"a", 1, {}, "branch", "/tree"},
        an_end("a", 1, StepState::failed, 2, "no"),
        GateJudged{"a", 1, true, {}, {}},
        Restarted{{"a"}, {"a"}},
        StepSkipped{"a", 1, "no", true},
        Merged{"branch", "c0ffee"},
        RunEnded{WorkflowStatus::failed, "no"},
    };
    for (unsigned chosen = 0; chosen < 1U << transitions.size(); ++chosen) {
        std::vector<Transition> some;
        for (std::size_t i = 0; i < transitions.size(); ++i)
            if (chosen >> i & 1U) some.push_back(transitions[i]);
        const auto spans = workflow::spans_of_run(run_of(some));
        std::set<std::string> ids{""};
        for (const auto& span : spans) {
            CHECK(ids.contains(span.parent_id));
            CHECK(ids.insert(span.span_id).second);
            CHECK(span.start <= span.end);
        }
        CHECK(lines_of(tree_of(spans)).size() == spans.size());
    }
}

TEST_CASE("an execution contains its attempts, and ends like the last one")
{
    auto first = a_metric(0, ExecutionStatus::failed);
    first.error_code = "overloaded";
    first.error_message = "HTTP 529";
    first.agent = "claude";
    first.session = "s1";
    first.usage.emplace();
    first.usage->model = "claude-opus-4";
    first.usage->output_tokens = 7;
    auto second = a_metric(1, ExecutionStatus::completed);
    const std::vector<ExecutionMetric> newest_first{second, first};
    const auto execution = records::span_of_execution(newest_first, {});
    const std::vector<Span> spans{execution, records::span_of_attempt(first),
                                  records::span_of_attempt(second)};
    CHECK(tree_of(spans) == "command @0-15\n  invoke_agent claude @0-5 !\n  attempt @10-15\n");
    CHECK(execution.attributes.at("autoexec.attempts") == 2);
    CHECK(execution.trace_id == trace_id_of(first));
    CHECK(spans[1].trace_id == execution.trace_id);
    CHECK(spans[1].span_id == span_id_of_attempt("attempt 0"));
    CHECK(spans[1].error == "HTTP 529");
    CHECK(spans[1].attributes.at("error.type") == "overloaded");
    CHECK(spans[1].attributes.at("gen_ai.agent.name") == "claude");
    CHECK(spans[1].attributes.at("gen_ai.conversation.id") == "s1");
    CHECK(spans[1].attributes.at("gen_ai.usage.output_tokens") == 7);
    CHECK(spans[2].attributes.at("autoexec.attempt") == 2);
}

TEST_CASE(
    "an attempt without a start begins by its duration, and without an id it has its own span")
{
    auto metric = a_metric(0, ExecutionStatus::timeout);
    metric.started_at.reset();
    metric.duration = 2s;
    metric.attempt_id.clear();
    const auto span = records::span_of_attempt(metric);
    CHECK(span.start == when + 3s);
    CHECK(span.attributes.at("error.type") == "timeout");
    auto other = metric;
    other.retry_count = 1;
    CHECK(records::span_of_attempt(other).span_id != span.span_id);
    metric.duration = std::chrono::duration<double, std::milli>(1e300);
    CHECK(records::span_of_attempt(metric).start < when);
    metric.completed_at.reset();
    CHECK(format_spans({records::span_of_attempt(metric)}, {}).ends_with("\n"));
}

TEST_SUITE_END();
