#include "autoexec/audit_logger.hpp"
#include "autoexec/metrics_collector.hpp"

#include "support/sweep.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace autoexec;

namespace {

const int writers = static_cast<int>(test::sweep_rounds(4, 8));
const int lines_each = test::is_long_form() ? 10'000 : 1000;

std::string name_of(int writer, int line)
{
    return std::to_string(writer) + "-" + std::to_string(line);
}

// Long enough that a log of 64 KiB is rotated all the time, of varying length.
AuditRecord audit_line(int writer, int line)
{
    AuditRecord record(name_of(writer, line));
    record.command = std::string(static_cast<std::size_t>(line % 500), 'x');
    return record;
}

ExecutionMetric metric_line(int writer, int line)
{
    ExecutionMetric metric;
    metric.execution_id = name_of(writer, line);
    metric.command = std::string(static_cast<std::size_t>(line % 500), 'x');
    metric.status = ExecutionStatus::completed;
    metric.completed_at =
        std::chrono::sys_days{std::chrono::year{2026} / 1 / (line % 2 == 0 ? 20 : 21)};
    return metric;
}

AuditOptions shared_log(const test::TemporaryFolder& folder)
{
    AuditOptions options;
    options.project_root = folder.path();
    options.max_bytes = (test::is_long_form() ? 1024 : 64) * 1024;
    options.max_backups = 0;  // all are kept
    return options;
}

MetricsOptions shared_metrics(const test::TemporaryFolder& folder)
{
    MetricsOptions options;
    options.project_root = folder.path();
    return options;
}

// One process's share of the work, in batches. Writes nothing but records: it runs after fork.
int write_share(const test::TemporaryFolder& folder, int writer)
{
    boost::asio::io_context ctx;
    AuditLogger audit(ctx.get_executor(), shared_log(folder));
    ExecutionMetricsCollector metrics(ctx.get_executor(), shared_metrics(folder));
    error_code failure = errc::stopped;
    boost::asio::co_spawn(
        ctx,
        [&]() -> boost::asio::awaitable<void> {
            for (int i = 0; i < lines_each; ++i) {
                audit.log_event(audit_line(writer, i));
                metrics.record_execution(metric_line(writer, i));
                if (i % 7 == 0) (void)co_await audit.flush();
                if (i % 11 == 0) (void)co_await metrics.flush();
            }
            failure = co_await audit.stop();
            if (!failure) failure = co_await metrics.stop();
        },
        boost::asio::detached);
    ctx.run();
    return failure ? 1 : 0;
}

// Every line is there once; queries read all backups and every day.
void check_all_there(const test::TemporaryFolder& folder)
{
    boost::asio::io_context ctx;
    const AuditLogger audit(ctx.get_executor(), shared_log(folder));
    const ExecutionMetricsCollector metrics(ctx.get_executor(), shared_metrics(folder));

    std::multiset<std::string> events;
    AuditFilter all_events;
    all_events.limit = 0;
    for (const auto& event : audit.query_events(all_events))
        events.emplace(event.at("event_type").as_string());
    std::multiset<std::string> attempts;
    MetricsFilter all_attempts;
    all_attempts.limit = 0;
    for (const auto& metric : metrics.get_metrics(all_attempts))
        attempts.insert(metric.execution_id);

    std::multiset<std::string> expected;
    for (int writer = 0; writer < writers; ++writer)
        for (int line = 0; line < lines_each; ++line) expected.insert(name_of(writer, line));
    CHECK((events == expected));
    CHECK((attempts == expected));
    const auto found = audit.verify();
    CHECK(found.problems.empty());
    CHECK(found.first_seq == 1);
    CHECK(found.last_seq == expected.size());
    CHECK(metrics.get_summary().skipped_lines == 0);
    // None stands there twice either: queries would have hidden that.
    std::size_t metric_lines = 0;
    for (const auto* day : {"2026-01-20", "2026-01-21"})
        metric_lines +=
            folder.lines(".tapps-agents/metrics/executions_" + std::string(day) + ".jsonl").size();
    CHECK(metric_lines == expected.size());
}

void check_rotated(const test::TemporaryFolder& folder)
{
    const auto audit = folder.path() / ".tapps-agents/audit";
    CHECK(std::filesystem::exists(audit / "execution_audit.log.10"));
    for (const auto& file : std::filesystem::directory_iterator(audit))
        CHECK(file.file_size() < shared_log(folder).max_bytes);
}

}  // namespace

TEST_SUITE_BEGIN("records");

TEST_CASE("processes that share a rotating log lose, tear and repeat no line")
{
    const test::TemporaryFolder folder;
    std::vector<pid_t> children;
    for (int writer = 0; writer < writers; ++writer) {
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) ::_exit(write_share(folder, writer));
        children.push_back(child);
    }
    for (const auto child : children) {
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    check_all_there(folder);
    check_rotated(folder);
}

TEST_CASE("threads that share a writer lose, tear and repeat no line")
{
    const test::TemporaryFolder folder;
    boost::asio::thread_pool pool(2);
    AuditLogger audit(pool.get_executor(), shared_log(folder));
    ExecutionMetricsCollector metrics(pool.get_executor(), shared_metrics(folder));
    {
        std::vector<std::jthread> threads;
        for (int writer = 0; writer < writers; ++writer) {
            threads.emplace_back([&, writer] {
                for (int i = 0; i < lines_each; ++i) {
                    audit.log_event(audit_line(writer, i));
                    metrics.record_execution(metric_line(writer, i));
                    if (i % 100 != 0) continue;
                    auto flushed =
                        boost::asio::co_spawn(pool, audit.flush(), boost::asio::use_future);
                    CHECK_FALSE(flushed.get());
                    (void)audit.query_events();
                }
            });
        }
    }
    CHECK_FALSE(boost::asio::co_spawn(pool, audit.stop(), boost::asio::use_future).get());
    CHECK_FALSE(boost::asio::co_spawn(pool, metrics.stop(), boost::asio::use_future).get());
    check_all_there(folder);
    check_rotated(folder);
    pool.join();
}

TEST_CASE("a writer that is destroyed while threads write for it loses no line")
{
    const test::TemporaryFolder folder;
    boost::asio::thread_pool pool(2);
    {
        AuditLogger audit(pool.get_executor(), shared_log(folder));
        ExecutionMetricsCollector metrics(pool.get_executor(), shared_metrics(folder));
        for (int writer = 0; writer < writers; ++writer) {
            for (int i = 0; i < lines_each; ++i) {
                audit.log_event(audit_line(writer, i));
                metrics.record_execution(metric_line(writer, i));
            }
        }
    }
    pool.join();
    check_all_there(folder);
}

TEST_SUITE_END();
