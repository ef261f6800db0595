#include "protocol/metric_reader.hpp"

#include "protocol/record_lines.hpp"
#include "support/metric_lines.hpp"
#include "support/sweep.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace autoexec;

namespace {

ExecutionMetric full_metric()
{
    ExecutionMetric metric;
    metric.execution_id = "e-1";
    metric.workflow_id = "build-20260120-100000-000001";
    metric.command = "say \"hi\"";
    metric.status = ExecutionStatus::timeout;
    metric.duration = std::chrono::milliseconds{1500};
    metric.started_at = text::parse_iso("2026-01-20T10:00:00+00:00");
    metric.completed_at = text::parse_iso("2026-01-20T10:00:01.500000+00:00");
    metric.retry_count = 2;
    metric.error_message = "caf\u00e9\n";
    metric.attempt_id = "a-1";
    metric.error_code = "timed_out";
    metric.agent = "claude";
    metric.agent_id = "host:1";
    metric.worktree = "/trees/one";
    metric.host = "host";
    metric.session = "s-1";
    metric.queued = std::chrono::milliseconds{2500};
    metric.verified = Verification::partial;
    metric.exit_code = 1;
    metric.reported = ReportedStatus::failed;
    auto& usage = metric.usage.emplace();
    usage.input_tokens = 12;
    usage.cost_usd = 0.5;
    usage.model = "m-1";
    usage.cpu = std::chrono::milliseconds{250};
    usage.of_session = true;
    return metric;
}

void check_same(protocol::MetricReader& reader, const std::string& line)
{
    CAPTURE(line);
    const auto expected = protocol::parse_metric(line);
    const auto* const found = reader.read(line);
    REQUIRE((found != nullptr) == expected.has_value());
    if (found != nullptr) CHECK(test::is_line_of(*found, *expected));
}

bool is_within(std::string_view part, std::string_view text)
{
    return std::less_equal<>{}(text.data(), part.data()) &&
           std::less_equal<>{}(part.data() + part.size(), text.data() + text.size());
}

}  // namespace

TEST_SUITE_BEGIN("metric_reader");

TEST_CASE("the reader returns what was written")
{
    protocol::MetricReader reader;
    auto metric = full_metric();
    const auto check_read = [&] {
        const auto text = protocol::format_attempt(metric);  // the line refers to it
        const auto* const line = reader.read(text);
        REQUIRE(line != nullptr);
        CHECK(test::is_line_of(*line, metric));
    };
    check_read();
    metric.missing_artifacts = {"a.md", "b/"};
    check_read();
    metric.exit_code.reset();
    metric.signal = 9;
    check_read();
    metric.custom = {{"ticket", "A-1"}};
    check_read();
    metric = ExecutionMetric{};
    metric.started_at = text::parse_iso("2026-01-20T10:00:00Z");
    check_read();
}

TEST_CASE("lines as autoexec and the original write them are read in place")
{
    protocol::MetricReader reader;
    auto metric = full_metric();
    const auto check_in_place = [&reader](const std::string& line) {
        CAPTURE(line);
        const auto* const found = reader.read(line);
        REQUIRE(found != nullptr);
        CHECK(is_within(found->execution_id, line));
        check_same(reader, line);
    };
    check_in_place(protocol::format_metric(metric));
    check_in_place(protocol::format_attempt(metric));
    metric.error_message = "\"\\/\b\f\n\r\t\x01 \u00e9 \u20ac \U0001F600";
    check_in_place(protocol::format_attempt(metric));
    metric.usage->of_session = false;
    metric.usage->model.clear();
    metric.usage->reasoning_tokens = 9'007'199'254'740'992;
    metric.usage->peak_memory_kib = 0;
    check_in_place(protocol::format_attempt(metric));
    metric.exit_code.reset();
    metric.signal = 9;
    check_in_place(protocol::format_attempt(metric));
    check_in_place(protocol::format_attempt(ExecutionMetric{}));
    check_in_place(R"({"execution_id": "e", "workflow_id": null, "step_id": "s", "command": "c", )"
                   R"("status": "success", "duration_ms": 12.5, "started_at": )"
                   R"("2026-01-20T10:00:00+00:00", "retry_count": 0, "completed_at": )"
                   R"("2026-01-20T10:00:12.500000+00:00", "error_message": null})");
}

TEST_CASE("the reader agrees with the parser on unusual lines")
{
    protocol::MetricReader reader;
    const auto line = protocol::format_attempt(full_metric());
    const auto change = [&line](std::string_view from, std::string_view to) {
        auto changed = line;
        const auto at = changed.find(from);
        REQUIRE(at != changed.npos);
        return changed.replace(at, from.size(), to);
    };
    const std::vector<std::string> lines{
        "",
        "{}",
        "[]",
        line + " ",
        line + "x",
        "\xEF\xBB\xBF" + line,
        change("\"timeout\"", "\"success\""),
        change("\"timeout\"", "\"splendid\""),
        change("\"command\"", "\"execution_id\""),
        change("\"agent\":", "\"later\":"),
        change("1500.0", "1500"),
        change("1500.0", "-1e400"),
        change("1500.0", "\"1500\""),
        change("\"retry_count\": 2", "\"retry_count\": 2.0"),
        change("\"retry_count\": 2", "\"retry_count\": -2"),
        change("\"retry_count\": 2", "\"retry_count\": 9223372036854775808"),
        change("2026-01-20T10:00:00+00:00", "yesterday"),
        change("2026-01-20T10:00:00+00:00", "2026-01-20T11:00:00+01:00"),
        change("\"2026-01-20T10:00:00+00:00\"", "null"),
        change("e-1", "\\ud83d\\ude00"),
        change("e-1", "\\ud83d"),
        change("e-1", "\\ude00"),
        change("e-1", "\\u0000"),
        change("e-1", "\xff"),
        change("e-1", "\\u00e9\\/\\\\"),
        change("e-1", "\\x"),
        change("e-1", "\\u12"),
        change("e-1", "\\ud83d\\u0041"),
        change("e-1\"", "e-1\\\""),
        change("1500.0", "01500.0"),
        change("1500.0", "1500."),
        change("1500.0", ".5"),
        change("1500.0", "0.0"),
        change("1500.0", std::string(400, '9') + ".0"),
        change("1500.0", "0." + std::string(400, '0') + "1"),
        change("\"retry_count\": 2", "\"retry_count\": 02"),
        change("\"retry_count\": 2", "\"retry_count\": 2147483648"),
        change("\"partial\"", "\"most\""),
        change("\"partial\"", "null"),
        change("\"partial\"", "7"),
        change("\"partial\"", "null, \"missing_artifacts\": [\"a\", 7]"),
        change("\"partial\"", "null, \"missing_artifacts\": {}"),
        change("\"exit_code\": 1", "\"exit_code\": 1000000001"),
        change("\"exit_code\": 1", "\"exit_code\": -1"),
        change("\"exit_code\": 1", "\"exit_code\": null"),
        change("\"reported\": \"failed\"", "\"reported\": \"most\""),
        change("\"reported\": \"failed\"", "\"reported\": 7"),
        change("\"s-1\"", "null"),
        change("\"s-1\"", "7"),
        change("\"input_tokens\": 12", "\"input_tokens\": -1"),
        change("\"input_tokens\": 12", "\"input_tokens\": null"),
        change("\"input_tokens\": 12", "\"input_tokens\": 12, \"input_tokens\": 13"),
        change("\"cost_usd\": 0.5", "\"cost_usd\": 1e10"),
        change("\"usage\": {", "\"usage\": {\"later\": [{}], "),
        change("\"usage\": {", "\"usage\": {}, \"later\": {"),
        change("\"cost_usd\": 0.5", "\"cost_usd\": 0.5, "),
        change(", \"cost_usd\": 0.5", ""),
        change("\"input_tokens\": 12, ", ""),
    };
    for (const auto& unusual : lines) check_same(reader, unusual);
    auto only_flags = full_metric();
    only_flags.usage = Usage{};
    only_flags.usage->of_session = true;
    check_same(reader, protocol::format_attempt(only_flags));
}

TEST_CASE("the reader agrees with the parser on a line with any flipped bit, or cut anywhere")
{
    protocol::MetricReader reader;
    const auto line = protocol::format_attempt(full_metric());
    for (std::size_t bit = 0; bit < 8 * line.size(); ++bit) {
        auto changed = line;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
        check_same(reader, changed);
    }
    for (std::size_t size = 0; size <= line.size(); ++size)
        check_same(reader, line.substr(0, size));
}

TEST_CASE("the reader agrees with the parser on lines that were changed at random" *
          doctest::test_suite("sweep"))
{
    protocol::MetricReader reader;
    for (unsigned round = 0; round < test::sweep_rounds(2'000, 200'000); ++round) {
        const auto seed = test::sweep_seed() + round;
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&random](std::size_t n) { return random() % n; };
        auto line = protocol::format_attempt(full_metric());
        constexpr std::string_view letters = "{}[]\",:\\ue0123-+.dDtn \x80\xc3\n";
        for (auto changes = 1 + below(3); changes > 0; --changes) {
            const auto at = below(line.size());
            switch (below(3)) {
                case 0:
                    line[at] = letters[below(letters.size())];
                    break;
                case 1:
                    line.erase(at, 1 + below(4));
                    break;
                default:
                    line.insert(at, 1, letters[below(letters.size())]);
            }
        }
        check_same(reader, line);
    }
}
