#include "autoexec/metrics_collector.hpp"

#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include <optional>
#include <stdexcept>
#include <string>

using namespace autoexec;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path metrics_folder = ".tapps-agents/metrics";
const auto first_day = metrics_folder / "executions_2026-01-20.jsonl";
const auto first_attempts = metrics_folder / "attempts_2026-01-20.jsonl";

ExecutionMetric metric_of(std::string id, ExecutionStatus status = ExecutionStatus::completed,
                          int retry_count = 0)
{
    ExecutionMetric metric;
    metric.execution_id = std::move(id);
    metric.command = "build";
    metric.status = status;
    metric.duration = std::chrono::milliseconds{100};
    metric.retry_count = retry_count;
    return metric;
}

struct MetricsFixture {
    test::TemporaryFolder project;
    std::shared_ptr<test::VirtualClock> clock = std::make_shared<test::VirtualClock>();
    MetricsOptions options;
    boost::asio::io_context ctx;
    std::optional<ExecutionMetricsCollector> collector;

    MetricsFixture()
    {
        options.project_root = project.path();
        options.clock = clock;
        collector.emplace(ctx.get_executor(), options);
    }

    error_code run(boost::asio::awaitable<error_code> operation)
    {
        std::optional<error_code> result;
        boost::asio::co_spawn(ctx, std::move(operation),
                              [&](std::exception_ptr failure, error_code ec) {
                                  CHECK_FALSE(failure);
                                  result = ec;
                              });
        clock->run(ctx);
        return result.value();
    }

    void record(const std::vector<ExecutionMetric>& metrics)
    {
        for (const auto& metric : metrics) collector->record_execution(metric);
        CHECK_FALSE(run(collector->flush()));
    }

    std::vector<std::string> query_ids(const MetricsFilter& filter = {})
    {
        std::vector<std::string> ids;
        for (const auto& metric : collector->get_metrics(filter))
            ids.push_back(metric.execution_id);
        return ids;
    }
};

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("metrics_collector");

TEST_CASE_FIXTURE(MetricsFixture, "an attempt is a line of the original's keys in its order")
{
    auto metric = metric_of("e", ExecutionStatus::failed, 1);
    metric.workflow_id = "w";
    metric.duration = std::chrono::milliseconds{1500};
    metric.started_at = text::parse_iso("2026-01-20T10:00:00+00:00");
    metric.completed_at = text::parse_iso("2026-01-20T10:00:01.500000+00:00");
    metric.error_message = "boom";
    record({metric});
    CHECK(project.read(first_day) ==
          R"({"execution_id": "e", "workflow_id": "w", "step_id": null, "command": "build", )"
          R"("status": "failed", "duration_ms": 1500.0, )"
          R"("started_at": "2026-01-20T10:00:00+00:00", "retry_count": 1, )"
          R"("completed_at": "2026-01-20T10:00:01.500000+00:00", "error_message": "boom"})"
          "\n");
    CHECK(collector->get_metrics() == std::vector{metric});
}

TEST_CASE_FIXTURE(MetricsFixture,
                  "what an attempt used is in a file of its own, and in the summary")
{
    auto first = metric_of("e", ExecutionStatus::failed, 0);
    first.attempt_id = "a-1";
    first.agent = "claude";
    first.usage.emplace().input_tokens = 7;
    first.usage->cost_usd = 0.5;
    auto second = metric_of("e", ExecutionStatus::completed, 1);
    second.attempt_id = "a-2";
    second.usage.emplace().cost_usd = 0.25;
    record({first, second});
    CHECK(project.read(first_day).find("usage") == std::string::npos);
    const auto lines = project.lines(first_attempts);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].find(R"("agent": "claude")") != std::string::npos);
    const auto summary = collector->get_summary();
    CHECK(summary.total_attempts == 2);
    CHECK(summary.usage.value().cost_usd == 0.75);
    CHECK(summary.usage.value().input_tokens == 7);
}

TEST_CASE_FIXTURE(MetricsFixture, "what is missing is filled in, and returned as recorded")
{
    clock->run_until(ctx, 90s);
    const auto recorded = collector->record_execution(metric_of(""));
    CHECK(recorded.execution_id.size() == 36);
    CHECK(recorded.started_at == text::parse_iso("2026-01-20T00:01:30+00:00"));
    CHECK(recorded.completed_at == text::parse_iso("2026-01-20T00:01:30+00:00"));
    CHECK_FALSE(run(collector->flush()));
    CHECK(collector->get_metrics() == std::vector{recorded});
}

TEST_CASE_FIXTURE(MetricsFixture,
                  "each attempt is recorded under the UTC day on which it completed")
{
    auto late = metric_of("late");
    late.completed_at = text::parse_iso("2026-01-20T23:59:59.999999+00:00");
    auto next = metric_of("next");
    next.completed_at = text::parse_iso("2026-01-21T01:30:00+01:00");  // half past midnight
    const auto unknown = metric_of("unknown");                         // today
    record({late, next, unknown, late});
    CHECK(project.lines(first_day).size() == 3);
    CHECK(project.lines(metrics_folder / "executions_2026-01-21.jsonl").size() == 1);
}

TEST_CASE_FIXTURE(MetricsFixture,
                  "lines are in the file of their day, over midnight and when a clock goes back")
{
    using namespace std::chrono_literals;
    constexpr int midnights = 1000;
    const auto first = std::chrono::sys_days{std::chrono::year{2024} / 1 / 1};
    for (int day = 0; day < midnights; ++day) {
        for (const auto offset : {-1us, 0us, 1us, -2us}) {
            ExecutionMetric metric;
            metric.execution_id = std::to_string(day) + "/" + std::to_string(offset.count());
            metric.completed_at = first + std::chrono::days(day) + offset;
            collector->record_execution(metric);
        }
        if (day % 100 == 99) CHECK_FALSE(run(collector->flush()));
    }
    std::size_t lines = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(project / ".tapps-agents/metrics")) {
        const auto name = file.path().filename().string();
        const auto date = name.substr(name.find('_') + 1, 10);
        for (const auto& line : project.lines(file.path())) {
            ++lines;
            CHECK(line.find("\"completed_at\": \"" + date) != std::string::npos);
        }
    }
    CHECK(lines == 2U * 4 * midnights);  // in both files of a day
}

TEST_CASE_FIXTURE(MetricsFixture, "queries go by the date in the name, then from the last line")
{
    auto old = metric_of("old");
    old.completed_at = text::parse_iso("2026-01-19T12:00:00+00:00");
    record({metric_of("1"), metric_of("2"), metric_of("3")});
    record({old});  // its file was modified last
    project.write(metrics_folder / "executions_2026-13-9x.jsonl", R"({"execution_id": "odd"})");
    project.write(metrics_folder / "notes.jsonl", R"({"execution_id": "odd"})");
    CHECK(query_ids() == Words{"3", "2", "1", "old"});

    MetricsFilter newest;
    newest.limit = 2;
    CHECK(query_ids(newest) == Words{"3", "2"});
}

TEST_CASE_FIXTURE(MetricsFixture, "filters are exact, and a limit of zero is none")
{
    std::vector<ExecutionMetric> metrics;
    for (int i = 0; i < 120; ++i) metrics.push_back(metric_of("e" + std::to_string(i)));
    metrics[7].workflow_id = "w/1";
    metrics[8].workflow_id = "w";
    metrics[9].step_id = "w";
    metrics[10].status = ExecutionStatus::timeout;
    record(metrics);

    MetricsFilter filter;
    filter.limit = 0;
    CHECK(query_ids().size() == 100);
    CHECK(query_ids(filter).size() == 120);
    SUBCASE("workflow")
    {
        filter.workflow_id = "w";
        CHECK(query_ids(filter) == Words{"e8"});
    }
    SUBCASE("a workflow with a character that JSON may escape")
    {
        filter.workflow_id = "w/1";
        CHECK(query_ids(filter) == Words{"e7"});
    }
    SUBCASE("step")
    {
        filter.step_id = "w";
        CHECK(query_ids(filter) == Words{"e9"});
    }
    SUBCASE("status")
    {
        filter.status = ExecutionStatus::timeout;
        CHECK(query_ids(filter) == Words{"e10"});
    }
    SUBCASE("execution")
    {
        filter.execution_id = "e1";
        CHECK(query_ids(filter) == Words{"e1"});
    }
}

TEST_CASE_FIXTURE(MetricsFixture, "the original's lines are read, its word for success, too")
{
    project.write(first_day,
                  R"({"execution_id": "e", "workflow_id": "w", "step_id": "s", "command": "c", )"
                  R"("status": "success", "duration_ms": 5, "started_at": "2026-01-20T10:00:00", )"
                  R"("skill": "later versions add keys"})"
                  "\n");
    MetricsFilter filter;
    filter.status = ExecutionStatus::completed;
    CHECK(query_ids(filter) == Words{"e"});
    CHECK(collector->get_summary().success_rate == 1.0);
}

TEST_CASE_FIXTURE(MetricsFixture, "a repeat of an attempt is dropped, another attempt is not")
{
    record({metric_of("a", ExecutionStatus::failed, 0), metric_of("a", ExecutionStatus::failed, 0),
            metric_of("a"), metric_of("a", ExecutionStatus::completed, 1), metric_of("b")});
    CHECK(query_ids() == Words{"b", "a", "a"});
    CHECK(collector->get_summary().total_attempts == 3);
}

TEST_CASE_FIXTURE(MetricsFixture, "the summary counts executions by their last attempt")
{
    // The second execution's attempts do not stand in their order.
    auto queued = metric_of("a", ExecutionStatus::failed, 0);
    queued.queued = std::chrono::milliseconds{14};
    record({queued, metric_of("a", ExecutionStatus::timeout, 1),
            metric_of("a", ExecutionStatus::completed, 2),
            metric_of("b", ExecutionStatus::timeout, 1), metric_of("b", ExecutionStatus::failed, 0),
            metric_of("c"), metric_of("d", ExecutionStatus::cancelled)});
    const auto summary = collector->get_summary();
    CHECK(summary.total_executions == 4);
    CHECK(summary.total_attempts == 7);
    CHECK(summary.total_retries == 3);
    CHECK(summary.success_rate == 0.5);
    CHECK(summary.average_duration == std::chrono::milliseconds{100});
    CHECK(summary.average_queued == std::chrono::milliseconds{2});
    CHECK(summary.by_status ==
          std::map<ExecutionStatus, std::uint64_t>{{ExecutionStatus::completed, 2},
                                                   {ExecutionStatus::timeout, 1},
                                                   {ExecutionStatus::cancelled, 1}});
}

TEST_CASE_FIXTURE(MetricsFixture, "the summary of nothing is zeros")
{
    CHECK(boost::json::serialize(to_json(collector->get_summary())) ==
          R"({"total_executions":0,"success_rate":0E0,"average_duration_ms":0E0,)"
          R"("p50_duration_ms":0E0,"p90_duration_ms":0E0,"p99_duration_ms":0E0,)"
          R"("average_queued_ms":0E0,)"
          R"("total_retries":0,"by_status":{},"total_attempts":0,"usage":null,"skipped_lines":0})");
}

TEST_CASE_FIXTURE(MetricsFixture, "bad lines are skipped and counted")
{
    record({metric_of("a")});
    const auto text = project.read(first_attempts);
    project.write(first_attempts,
                  text + "garbage\n[]\n{}\n\xff\n" + text.substr(0, text.size() / 2));
    record({metric_of("b")});
    CHECK(query_ids() == Words{"b", "a"});
    CHECK(collector->get_summary().skipped_lines == 5);
}

TEST_CASE_FIXTURE(MetricsFixture, "of a day with a file of attempts, that alone is read")
{
    record({metric_of("a")});
    const auto line = project.read(first_day);
    project.write(metrics_folder / "executions_2026-01-19.jsonl", line);
    project.write(first_day, line + line.substr(0, line.find("\"a\"")) + "\"b\"" +
                                 line.substr(line.find("\"a\"") + 3));
    MetricsFilter filter;
    filter.limit = 0;
    CHECK(collector->query(filter).metrics.size() == 1);
    std::filesystem::remove(project.path() / first_attempts);
    CHECK(query_ids(filter) == Words{"b", "a"});
}

TEST_CASE_FIXTURE(MetricsFixture, "every filter finds what it describes, and nothing else")
{
    auto wanted = metric_of("wanted", ExecutionStatus::failed);
    wanted.workflow_id = "build-20260120-100000-000001";
    wanted.agent = "claude";
    wanted.attempt_id = "a-1";
    wanted.worktree = "/trees/one";
    wanted.error_message = "disk full";
    wanted.duration = 5s;
    wanted.completed_at = text::parse_iso("2026-01-18T12:00:00+00:00");
    wanted.usage.emplace().cost_usd = 2.5;
    auto other = metric_of("other");
    other.workflow_id = "build-all-20260120-100000-000001";
    other.attempt_id = "a-11";
    other.agent = "claude-2";
    other.worktree = "/trees/one/two";
    other.usage.emplace().cost_usd = 2.4;
    record({wanted, other});

    const auto found = [&](auto set) {
        MetricsFilter filter;
        set(filter);
        CHECK(collector->get_summary(filter).total_executions == query_ids(filter).size());
        return query_ids(filter);
    };
    const Words only{"wanted"};
    CHECK(found([](auto& f) { f.workflow = "build"; }) == only);
    CHECK(found([](auto& f) { f.agent = "claude"; }) == only);
    CHECK(found([](auto& f) { f.attempt_id = "a-1"; }) == only);
    CHECK(found([](auto& f) { f.worktree = "/trees/one"; }) == only);
    CHECK(found([](auto& f) { f.text = "disk"; }) == only);
    CHECK(found([](auto& f) { f.text = "build"; }) == Words{"other", "wanted"});
    CHECK(found([](auto& f) { f.min_duration = 5s; }) == only);
    CHECK(found([](auto& f) { f.min_cost = 2.5; }) == only);
    CHECK(found([&](auto& f) { f.until = *wanted.completed_at + 1ms; }) == only);
    CHECK(found([&](auto& f) { f.until = wanted.completed_at; }).empty());
    CHECK(found([&](auto& f) { f.since = wanted.completed_at; }).size() == 2);
    CHECK(found([&](auto& f) { f.since = *wanted.completed_at + 1ms; }) == Words{"other"});
}

TEST_CASE_FIXTURE(MetricsFixture, "pages list each attempt once, whatever is recorded meanwhile")
{
    std::vector<ExecutionMetric> metrics;
    for (int i = 0; i < 25; ++i) {
        metrics.push_back(metric_of("e" + std::to_string(i)));
        metrics.back().completed_at =
            *text::parse_iso("2026-01-10T12:00:00Z") + std::chrono::hours{i / 10 * 24};
    }
    record(metrics);
    Words ids;
    MetricsFilter filter;
    filter.limit = 4;
    do {
        const auto page = collector->query(filter);
        CHECK_FALSE(page.cursor_is_lost);
        for (const auto& metric : page.metrics) ids.push_back(metric.execution_id);
        filter.cursor = page.next;
        record({metric_of("later")});
    } while (!filter.cursor.empty());
    REQUIRE(ids.size() == 25);
    for (std::size_t i = 0; i < ids.size(); ++i) CHECK(ids[i] == "e" + std::to_string(24 - i));

    for (const auto* const cursor :
         {"x", ":", "attempts_2026-01-10.jsonl:x", "../x:5", "attempts_2026-01-15.jsonl:5"}) {
        filter.cursor = cursor;
        CHECK(collector->query(filter).metrics.empty());
        CHECK(collector->query(filter).cursor_is_lost);
    }
    // A page after the cursor's day has no attempts, but its cursor was found.
    filter.cursor = "attempts_2026-01-10.jsonl:0";
    filter.since = text::parse_iso("2026-01-11T00:00:00Z");
    CHECK_FALSE(collector->query(filter).cursor_is_lost);
}

TEST_CASE_FIXTURE(MetricsFixture, "a summary is grouped")
{
    auto one = metric_of("one");
    one.workflow_id = "build-20260120-100000-000001";
    one.agent = "claude";
    auto two = metric_of("two", ExecutionStatus::failed);
    two.workflow_id = "build-20260121-100000-000001";
    two.step_id = "test";
    two.usage.emplace().model = "m-1";
    record({one, two});
    const auto groups = [&](MetricsGrouping grouping) {
        Words names;
        for (const auto& [name, totals] : collector->get_summary({}, grouping).groups)
            names.push_back(name + "=" + std::to_string(totals.total_executions));
        return names;
    };
    CHECK(groups(MetricsGrouping::workflow) == Words{"build=2"});
    CHECK(groups(MetricsGrouping::step) == Words{"=1", "test=1"});
    CHECK(groups(MetricsGrouping::agent) == Words{"=1", "claude=1"});
    CHECK(groups(MetricsGrouping::model) == Words{"=1", "m-1=1"});
    CHECK(groups(MetricsGrouping::day) == Words{"2026-01-20=2"});
    CHECK(groups(MetricsGrouping::none).empty());
}

TEST_CASE_FIXTURE(MetricsFixture, "what an application adds to an attempt is found again")
{
    auto metric = metric_of("a");
    metric.custom = {{"ticket", "A-1"}, {"lines", 7}};
    record({metric});
    CHECK(project.read(first_day).find("ticket") == std::string::npos);
    REQUIRE(collector->get_metrics().size() == 1);
    CHECK(collector->get_metrics()[0].custom == metric.custom);
}

TEST_CASE_FIXTURE(MetricsFixture, "the application adds fields to attempts that it does not record")
{
    options.custom = [](const ExecutionMetric& attempt) -> boost::json::object {
        if (attempt.execution_id == "bad") throw std::runtime_error("no ticket");
        return {{"ticket", "A-1"}, {"slow", attempt.duration > 50ms}};
    };
    collector.emplace(ctx.get_executor(), options);
    Event event;
    event.metric = metric_of("e");
    event.metric->custom = {{"ticket", "none"}, {"lines", 7}};
    collector->publish(event);
    event.metric = metric_of("bad");
    collector->publish(event);
    CHECK_FALSE(run(collector->flush()));
    const auto found = collector->get_metrics();
    REQUIRE(found.size() == 2);
    CHECK(found[0].custom.empty());
    CHECK(found[1].custom == boost::json::object{{"ticket", "A-1"}, {"lines", 7}, {"slow", true}});
    CHECK(collector->lost_lines() == 0);
}

TEST_CASE_FIXTURE(MetricsFixture, "an attempt is the same line, recorded or published")
{
    Event event;
    event.metric = metric_of("e", ExecutionStatus::failed, 1);
    event.metric->agent = "claude";
    event.metric->completed_at = text::parse_iso("2026-01-20T10:00:00+00:00");
    SUBCASE("with all its times")
    {
        event.metric->started_at = text::parse_iso("2026-01-20T09:00:00+00:00");
    }
    SUBCASE("without the first, which is filled in") {}
    record({*event.metric});
    collector->publish(event);
    CHECK_FALSE(run(collector->flush()));
    for (const auto& file : {first_day, first_attempts}) {
        const auto lines = project.lines(file);
        REQUIRE(lines.size() == 2);
        CHECK(lines[0] == lines[1]);
        CHECK(lines[1].find(R"("started_at": "2026)") != std::string::npos);
    }
}

TEST_CASE_FIXTURE(MetricsFixture, "a subclass records events in its own way")
{
    struct Renaming : ExecutionMetricsCollector {
        using ExecutionMetricsCollector::ExecutionMetricsCollector;
        ExecutionMetric record_execution(ExecutionMetric metric) override
        {
            metric.execution_id += "-renamed";
            return ExecutionMetricsCollector::record_execution(std::move(metric));
        }
    };
    Renaming renaming(ctx.get_executor(), options);
    Event event;
    event.metric = metric_of("e");
    event.metric->started_at = event.metric->completed_at =
        text::parse_iso("2026-01-20T10:00:00+00:00");
    renaming.publish(event);
    CHECK_FALSE(run(renaming.flush()));
    CHECK(query_ids() == Words{"e-renamed"});
}

TEST_CASE_FIXTURE(MetricsFixture, "only events that end an attempt are recorded")
{
    Event event;
    collector->publish(event);
    event.metric = metric_of("e");
    collector->publish(event);
    CHECK_FALSE(run(collector->flush()));
    CHECK(query_ids() == Words{"e"});
}

TEST_CASE_FIXTURE(MetricsFixture, "a day file that is a link or a FIFO is left out of queries")
{
    record({metric_of("a")});
    project.write("elsewhere", project.read(first_day));
    std::filesystem::create_symlink(
        project.path() / "elsewhere",
        project.path() / metrics_folder / "executions_2026-01-19.jsonl");
    const auto fifo = project.path() / metrics_folder / "executions_2026-01-18.jsonl";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(query_ids() == Words{"a"});
    CHECK(collector->get_summary().total_attempts == 1);
}

TEST_CASE_FIXTURE(MetricsFixture, "what is recorded after a stop is refused and counted")
{
    collector->record_execution(metric_of("a"));
    CHECK_FALSE(run(collector->stop()));
    collector->record_execution(metric_of("b"));
    CHECK(collector->lost_lines() == 2);  // of two files
    CHECK(query_ids() == Words{"a"});
}

TEST_CASE_FIXTURE(MetricsFixture, "a queue limit of zero is refused by name")
{
    options.queue_limit = 0;
    CHECK_THROWS_WITH(collector.emplace(ctx.get_executor(), options),
                      doctest::Contains("queue_limit"));
}

TEST_SUITE_END();
