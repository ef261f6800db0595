#include "autoexec/audit_logger.hpp"
#include "autoexec/metrics_collector.hpp"
#include "records/audit_chain.hpp"
#include "records/audit_logs.hpp"
#include "records/follow_log.hpp"
#include "records/queries.hpp"
#include "records/read_lines.hpp"
#include "support/descriptor_limit.hpp"
#include "support/sweep.hpp"
#include "support/temporary_folder.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path queried_metrics = ".tapps-agents/metrics";
const std::filesystem::path queried_audit = ".tapps-agents/audit";

using Words = std::vector<std::string>;

void stop_sink(boost::asio::io_context& ctx, RecordSink& sink)
{
    std::optional<error_code> ended;
    boost::asio::co_spawn(ctx, sink.stop(), [&](std::exception_ptr, error_code ec) { ended = ec; });
    ctx.restart();
    ctx.run();
    CHECK(ended == error_code());
}

struct QueriesFixture {
    test::TemporaryFolder project;

    ExecutionMetricsCollector metrics(boost::asio::io_context& ctx) const
    {
        MetricsOptions options;
        options.project_root = project.path();
        return ExecutionMetricsCollector(ctx, options);
    }
    void record(const std::vector<ExecutionMetric>& all) const
    {
        boost::asio::io_context ctx;
        auto collector = metrics(ctx);
        for (const auto& metric : all) collector.record_execution(metric);
        stop_sink(ctx, collector);
    }

    AuditLogger audit(boost::asio::io_context& ctx, std::uint64_t max_bytes = 1 << 20) const
    {
        AuditOptions options;
        options.project_root = project.path();
        options.max_bytes = max_bytes;
        options.max_backups = 0;
        return AuditLogger(ctx, options);
    }
    void log(int count, std::uint64_t max_bytes = 1 << 20) const
    {
        boost::asio::io_context ctx;
        auto logger = audit(ctx, max_bytes);
        for (int i = 0; i < count; ++i) {
            logger.log_event(AuditRecord("event"));
            if (i % 5 != 0) continue;
            ctx.restart();
            ctx.run();  // a write of its own
        }
        stop_sink(ctx, logger);
    }
};

std::optional<std::string> any_of(const Words& words, std::mt19937& random)
{
    const auto& word = words[random() % words.size()];
    return word.empty() ? std::nullopt : std::optional(word);
}

ExecutionMetric random_metric(int number, std::mt19937& random)
{
    // Words that are parts of others, that JSON escapes, and that look like other members.
    static const Words words{"", "a", "ab", "a/b", "\"a\"", "caf\u00e9", "completed", "a\nb", "\\"};
    const auto text = [&] { return any_of(words, random).value_or(""); };
    ExecutionMetric m;
    m.execution_id = text() + std::to_string(number);
    m.workflow_id = any_of({"", "ab", "build-20260120-100000-000001", "a\"b"}, random);
    m.step_id = any_of(words, random);
    m.command = "run " + text();
    m.status = static_cast<ExecutionStatus>(random() % 4);
    m.duration = std::chrono::milliseconds(random() % 4);
    m.completed_at = *text::parse_iso("2026-01-20T22:00:00Z") + std::chrono::hours(random() % 4);
    m.started_at = m.completed_at;
    m.error_message = any_of(words, random);
    m.attempt_id = text();
    m.agent = text();
    m.worktree = text();
    if (random() % 2 == 0) m.usage.emplace().cost_usd = static_cast<double>(random() % 4);
    if (random() % 8 == 0) m.custom = {{"execution_id", text()}};
    return m;
}

/// A filter that `m` passes.
MetricsFilter filter_for(const ExecutionMetric& m, std::mt19937& random)
{
    const auto often = [&random] { return random() % 3 == 0; };
    const auto given = [](std::optional<std::string> text) {
        return text && !text->empty() ? text : std::nullopt;
    };
    MetricsFilter f;
    f.limit = 0;
    if (often()) f.workflow_id = given(m.workflow_id);
    if (often() && m.workflow_id)
        f.workflow = m.workflow_id->starts_with("build") ? "build" : *m.workflow_id;
    if (often()) f.step_id = given(m.step_id);
    if (often()) f.status = m.status;
    if (often()) f.execution_id = m.execution_id;
    if (often()) f.attempt_id = given(m.attempt_id);
    if (often()) f.agent = given(m.agent);
    if (often()) f.worktree = given(m.worktree.string());
    if (often()) f.text = m.command.substr(random() % 4);
    if (often()) f.text = given(m.error_message);
    if (often()) f.since = m.completed_at;
    if (often()) f.until = *m.completed_at + 1us;
    if (often()) f.min_duration = std::chrono::floor<std::chrono::milliseconds>(m.duration);
    if (often() && m.usage) f.min_cost = m.usage->cost_usd;
    return f;
}

/// The same, without a file.
bool passes(const ExecutionMetric& m, const MetricsFilter& f)
{
    const auto is = [](const std::optional<std::string>& wanted, const std::string& value) {
        return !wanted || *wanted == value;
    };
    const auto run = m.workflow_id.value_or("");
    const auto has = [&f](const std::string& text) { return text.find(*f.text) != text.npos; };
    return is(f.workflow_id, run) && is(f.workflow, run.starts_with("build") ? "build" : run) &&
           is(f.step_id, m.step_id.value_or("")) && (!f.status || *f.status == m.status) &&
           is(f.execution_id, m.execution_id) && is(f.attempt_id, m.attempt_id) &&
           is(f.agent, m.agent) && is(f.worktree, m.worktree.string()) &&
           (!f.text || has(m.command) || has(m.error_message.value_or(""))) &&
           (!f.since || *m.completed_at >= *f.since) && (!f.until || *m.completed_at < *f.until) &&
           (!f.min_duration || m.duration >= *f.min_duration) &&
           (!f.min_cost || (m.usage && m.usage->cost_usd.value_or(0) >= *f.min_cost));
}

std::uint64_t seq_of(std::string_view line)
{
    return records::link_of(line).value_or(records::ChainLink{}).seq;
}

/// Reads pages until `write`, which runs meanwhile, has ended. `read` adds the numbers of the lines
/// of a page: each line has that of the one before it, less 1.
template <class Filter, class Read>
void check_pages(const std::function<void()>& write, Filter first, std::int64_t last_number,
                 Read read)
{
    std::atomic<bool> is_done = false;
    std::jthread writer([&] {
        write();
        is_done = true;
    });
    bool was_done = false;
    do {
        was_done = is_done;
        auto filter = first;
        std::optional<std::int64_t> expected;
        do {
            std::vector<std::int64_t> numbers;
            filter.cursor = read(filter, numbers);
            for (const auto number : numbers) {
                if (expected) REQUIRE(number == *expected);
                expected = number - 1;
            }
        } while (!filter.cursor.empty());
        CHECK(expected == last_number - 1);
    } while (!was_done);
}

/// Where the last lines of a text begin.
std::size_t begin_of_last(const std::string& text, int lines)
{
    auto at = text.size() - 1;
    for (int i = 0; i < lines && at != text.npos; ++i) at = text.rfind('\n', at - 1);
    return at + 1;
}

}  // namespace

TEST_SUITE_BEGIN("record_queries");

TEST_CASE_FIXTURE(QueriesFixture, "what was recorded is found with every filter that fits it" *
                                      doctest::test_suite("sweep"))
{
    std::mt19937 random(test::sweep_seed());
    std::vector<ExecutionMetric> all;
    for (int i = 0; i < 60; ++i) all.push_back(random_metric(i, random));
    record(all);
    // The newest day first, in each the last line.
    std::reverse(all.begin(), all.end());
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return text::utc_date(*a.completed_at) > text::utc_date(*b.completed_at);
    });
    boost::asio::io_context ctx;
    const auto collector = metrics(ctx);
    for (unsigned round = 0; round < test::sweep_rounds(300, 20'000); ++round) {
        CAPTURE(round);
        const auto filter = filter_for(all[random() % all.size()], random);
        std::vector<ExecutionMetric> expected;
        std::copy_if(all.begin(), all.end(), std::back_inserter(expected),
                     [&filter](const auto& m) { return passes(m, filter); });
        REQUIRE_FALSE(expected.empty());
        CHECK(collector.get_metrics(filter) == expected);
        CHECK(collector.get_summary(filter).total_attempts == expected.size());
    }
}

TEST_CASE_FIXTURE(QueriesFixture, "metrics that were cut anywhere lose what was cut off only")
{
    std::mt19937 random(test::sweep_seed());
    std::vector<ExecutionMetric> all;
    for (int i = 0; i < 5; ++i) {
        all.push_back(random_metric(i, random));
        all.back().completed_at = text::parse_iso("2026-01-20T10:00:00Z");
    }
    record(all);
    const auto later = [&] {
        auto metric = all[0];
        metric.execution_id = "later";
        return metric;
    }();
    const auto file = queried_metrics / "attempts_2026-01-20.jsonl";
    const auto text = project.read(file);
    for (auto cut = begin_of_last(text, 3); cut < text.size(); ++cut) {
        CAPTURE(cut);
        const auto left = text.substr(0, cut);
        project.write(file, left);
        // A line is whole without its newline, too.
        const bool is_whole = text[cut] == '\n';
        const auto lines = static_cast<std::size_t>(std::count(left.begin(), left.end(), '\n'));
        auto expected = std::vector(all.begin(), all.begin() + static_cast<long>(lines + is_whole));
        const auto skipped = left.ends_with('\n') || is_whole ? 0U : 1U;
        boost::asio::io_context ctx;
        const auto collector = metrics(ctx);
        std::reverse(expected.begin(), expected.end());
        const auto page = collector.query();
        CHECK(page.metrics == expected);
        CHECK(page.skipped_lines == skipped);
        record({later});
        expected.insert(expected.begin(), later);
        CHECK(collector.get_metrics() == expected);
    }
}

TEST_CASE_FIXTURE(QueriesFixture, "an audit log that was cut anywhere is continued, and intact")
{
    log(5);
    const auto file = queried_audit / "execution_audit.log";
    const auto text = project.read(file);
    for (auto cut = begin_of_last(text, 3); cut < text.size(); ++cut) {
        CAPTURE(cut);
        const auto left = text.substr(0, cut);
        project.write(file, left);
        const auto lines = static_cast<std::size_t>(std::count(left.begin(), left.end(), '\n')) +
                           (text[cut] == '\n' ? 1 : 0);
        boost::asio::io_context ctx;
        const auto logger = audit(ctx);
        CHECK(logger.query_events().size() == lines);
        log(1);
        const auto found = logger.verify();
        CHECK(found.is_intact());
        CHECK(found.last_seq == lines + 1);
    }
}

TEST_CASE_FIXTURE(QueriesFixture, "verify finds each flipped bit" * doctest::test_suite("sweep"))
{
    log(4);
    const auto file = queried_audit / "execution_audit.log";
    const auto text = project.read(file);
    boost::asio::io_context ctx;
    const auto logger = audit(ctx);
    CHECK(logger.verify().is_intact());
    const auto bits = 8 * text.size();
    // Coprime to 8, so that all bits of a byte take part.
    const auto step = bits / test::sweep_rounds(2'000, static_cast<unsigned>(bits)) | 1U;
    for (std::size_t bit = 0; bit < bits; bit += step) {
        CAPTURE(bit);
        auto changed = text;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
        project.write(file, changed);
        CHECK_FALSE(logger.verify().is_intact());
    }
    // Of each line its last three bytes: the end of its link, and the newline.
    for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', end + 1)) {
        for (std::size_t bit = 8 * (end - 2); bit < 8 * (end + 1); ++bit) {
            CAPTURE(bit);
            auto changed = text;
            changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
            project.write(file, changed);
            CHECK_FALSE(logger.verify().is_intact());
        }
    }
}

TEST_CASE_FIXTURE(QueriesFixture,
                  "pages of a log that is written and rotated meanwhile have each line once")
{
    constexpr std::uint64_t max_bytes = 5000;
    log(100, max_bytes);
    boost::asio::io_context ctx;
    const auto logger = audit(ctx);
    AuditFilter filter;
    filter.limit = 97;
    check_pages([&] { log(1'500, max_bytes); }, filter, 1,
                [&logger](const AuditFilter& part, std::vector<std::int64_t>& numbers) {
                    const auto page = logger.query(part);
                    for (const auto& event : page.events)
                        numbers.push_back(event.at("seq").as_int64());
                    return page.next;
                });
    CHECK(logger.verify().last_seq == 1'600);
}

TEST_CASE_FIXTURE(QueriesFixture, "more logs than can be opened at once are read and verified")
{
    log(200, 2000);
    REQUIRE(std::filesystem::exists(project.path() / queried_audit / "execution_audit.log.30"));
    boost::asio::io_context ctx;
    const auto logger = audit(ctx);
    const test::FewDescriptorsLeft few(10);
    AuditFilter all;
    all.limit = 0;
    CHECK(logger.query(all).events.size() == 200);
    const auto found = logger.verify();
    CHECK(found.is_intact());
    CHECK(found.lines == 200);
}

TEST_CASE_FIXTURE(QueriesFixture, "logs that are rotated before their turn are read once, in order")
{
    const auto folder = records::Folder::of({}, project.path(), "audit");
    log(20, 2000);
    records::AuditLogs logs(folder);
    std::optional<std::uint64_t> expected;
    int count = 0;
    for (; auto found = logs.next(); ++count) {
        records::ReverseLines lines(std::move(found->file));
        while (const auto line = lines.next()) {
            if (expected) CHECK(seq_of(*line) == *expected);
            expected = seq_of(*line) - 1;
        }
        log(10, 2000);
    }
    CHECK(expected == 0);
    CHECK(count > 2);
}

TEST_CASE_FIXTURE(QueriesFixture, "a log that is removed before its turn is left out")
{
    const auto folder = records::Folder::of({}, project.path(), "audit");
    log(20, 2000);
    std::vector<std::string> reported;
    records::AuditLogs logs(
        folder, [&reported](const auto& path, error_code) { reported.push_back(path.filename()); });
    std::filesystem::remove(folder.path() / "execution_audit.log.2");
    std::vector<std::string> names;
    while (const auto found = logs.next()) names.push_back(found->name);
    CHECK(names.size() > 2);
    CHECK(names[1] == "execution_audit.log.1");
    CHECK(names[2] == "execution_audit.log.3");
    CHECK(reported.empty());
}

TEST_CASE_FIXTURE(QueriesFixture,
                  "a follower of a log that is written and rotated by another "
                  "thread reads each line once")
{
    records::LogFollower follower(records::Folder::of({}, project.path(), "audit"),
                                  records::audit_log_name);
    log(1);
    std::uint64_t last = 0;
    const auto read = [&] {
        follower.read([&last](std::string_view line) {
            CHECK(seq_of(line) == last + 1);
            last = seq_of(line);
        });
    };
    read();
    std::atomic<bool> is_done = false;
    std::jthread writer([&] {
        log(1'500, 5000);
        is_done = true;
    });
    while (!is_done) read();
    writer.join();
    read();
    CHECK(last == 1'501);
}

TEST_CASE_FIXTURE(QueriesFixture, "a follower reads all logs that were rotated since")
{
    log(1);
    records::LogFollower follower(records::Folder::of({}, project.path(), "audit"),
                                  records::audit_log_name);
    log(60, 2000);
    REQUIRE(std::filesystem::exists(project.path() / queried_audit / "execution_audit.log.4"));
    std::uint64_t last = 1;
    follower.read([&last](std::string_view line) {
        CHECK(seq_of(line) == last + 1);
        last = seq_of(line);
    });
    CHECK(last == 61);
}

TEST_CASE_FIXTURE(QueriesFixture, "pages of metrics that are written meanwhile have each once")
{
    const auto metrics_from = [](int first, int count) {
        std::vector<ExecutionMetric> some;
        for (int i = first; i < first + count; ++i) {
            ExecutionMetric metric;
            metric.execution_id = std::to_string(i);
            metric.completed_at = text::parse_iso("2026-01-20T10:00:00Z");
            some.push_back(metric);
        }
        return some;
    };
    record(metrics_from(0, 200));
    boost::asio::io_context ctx;
    const auto collector = metrics(ctx);
    MetricsFilter filter;
    filter.limit = 33;
    const auto write = [&] {
        for (int i = 200; i < 1'200; i += 20) record(metrics_from(i, 20));
    };
    check_pages(write, filter, 0,
                [&collector](const MetricsFilter& part, std::vector<std::int64_t>& numbers) {
                    const auto page = collector.query(part);
                    for (const auto& metric : page.metrics)
                        numbers.push_back(std::stoi(metric.execution_id));
                    return page.next;
                });
    CHECK(collector.get_summary().total_attempts == 1'200);
}

TEST_SUITE_END();
