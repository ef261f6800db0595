// What does a record cost, from what happened to the line in its file?
//
// The limit is one write(2) for each record of a text that is there already.
//
// And what do queries cost over many of them?
//
// usage: records lines|autoexec|spdlog 0 (metrics) | 1 (audit)   in bursts
//        records hashes               of as many audit lines
//        records synced 0|1           audit lines; 1: by many at once, in groups
//        records write MEGABYTES      metrics into the current folder
//        records summary|newest|rare|filter  of these metrics
//        records write-audit MEGABYTES  a log into the current folder
//        records verify               of that log

#include "autoexec/audit_logger.hpp"
#include "autoexec/metrics_collector.hpp"

#include "async/short_names.hpp"
#include "files/safe_files.hpp"
#include "measure.hpp"
#include "protocol/record_lines.hpp"
#include "records/audit_chain.hpp"
#include "records/audit_verification.hpp"
#include "records/queries.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <unistd.h>

#include <fstream>
#include <memory>

using namespace autoexec;
using namespace autoexec::bench;

namespace {

constexpr int burst = 10'000;
constexpr int bursts = 10;
constexpr int records_in_all = burst * bursts;

ExecutionMetric some_metric()
{
    ExecutionMetric m;
    m.execution_id = text::new_uuid();
    m.workflow_id = "review-2026-01";
    m.step_id = "step-17";
    m.command = "/review --file src/api/handlers.py";
    m.status = ExecutionStatus::completed;
    m.duration = std::chrono::duration<double, std::milli>(1512.25);
    m.started_at = std::chrono::system_clock::now();
    m.completed_at = m.started_at;
    return m;
}

Event some_event()
{
    Event e;
    e.type = EventType::execution_completed;
    e.time = std::chrono::system_clock::now();
    e.execution_id = text::new_uuid();
    e.attempt_id = text::new_uuid();
    e.attempt = 1;
    e.workflow_id = "review-2026-01";
    e.step_id = "step-17";
    e.command = "/review --file src/api/handlers.py";
    e.worktree = "/home/somebody/project/worktrees/step-17";
    e.status = EventStatus::completed;
    e.details["duration_ms"] = 1512.25;
    e.details["completion_method"] = "status_file";
    e.details["exit_code"] = 0;
    e.metric = some_metric();
    return e;
}

std::string audit_line(const Event& event)
{
    AuditRecord record{std::string(to_string(event.type))};
    record.ids() = event.ids();
    record.command = event.command;
    record.status = to_string(*event.status);
    record.details = event.details;
    record.more["worktree"] = event.worktree.string();
    return protocol::format_audit(record, event.time);
}

/// The finished text of a record: one line for each file.
std::vector<std::string> lines_of(bool metrics, const Event& event)
{
    if (!metrics) return {audit_line(event)};
    const auto lines = protocol::format_lines(*event.metric);
    return {lines.execution, lines.attempt};
}

files::UniqueFd create(const std::filesystem::path& path)
{
    files::UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    check(static_cast<bool>(fd), "creating a file");
    return fd;
}

void write_text(const std::filesystem::path& path, const std::string& text)
{
    const auto fd = create(path);
    for (int i = 0; i < records_in_all; ++i) check(!files::write_all(fd.get(), text), "writing");
}

void write_with_spdlog(const std::filesystem::path& folder, const std::vector<std::string>& lines)
{
    const AuditOptions limits;
    std::vector<spdlog::logger> loggers;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        loggers.emplace_back("records", std::make_shared<spdlog::sinks::rotating_file_sink_st>(
                                            (folder / std::to_string(i)).string(), limits.max_bytes,
                                            static_cast<std::size_t>(limits.max_backups)));
        loggers.back().set_pattern("%v");
    }
    for (int i = 0; i < records_in_all; ++i) {
        for (std::size_t file = 0; file < lines.size(); ++file)
            loggers[file].info(spdlog::string_view_t(lines[file]));
        if ((i + 1) % burst != 0) continue;
        for (auto& logger : loggers) logger.flush();
    }
}

/// A record, and then a wait until it is written, and again.
asio::awaitable<void> publish_each(EventSink& sink, const Event& event, int count)
{
    for (int i = 0; i < count; ++i) {
        sink.publish(event);
        check(!co_await sink.flush(), "flushing");
    }
}

asio::awaitable<void> publish_bursts(EventSink& sink, const Event& event)
{
    for (int n = 0; n < bursts; ++n) {
        for (int i = 0; i < burst; ++i) {
            sink.publish(event);
            if (sink.full()) (void)co_await sink.flush();
        }
        check(!co_await sink.flush(), "flushing");
    }
}

void start(asio::io_context& ctx, asio::awaitable<void> work)
{
    asio::co_spawn(ctx, std::move(work), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
}

void publish(asio::io_context& ctx, EventSink& sink, const Event& event)
{
    start(ctx, publish_bursts(sink, event));
    ctx.run();
}

Cost ours(bool metrics, const Event& event)
{
    const Scratch scratch;
    asio::io_context ctx(1);
    return cost_of([&] {
        if (metrics) {
            MetricsOptions options;
            options.project_root = scratch.path();
            ExecutionMetricsCollector collector(ctx.get_executor(), options);
            publish(ctx, collector, event);
        } else {
            AuditOptions options;
            options.project_root = scratch.path();
            AuditLogger logger(ctx.get_executor(), options);
            publish(ctx, logger, event);
        }
    });
}

void hash_all(const std::string& line)
{
    const records::AuditChain chain;
    for (int i = 0; i < records_in_all; ++i) (void)chain.hash(line);
}

constexpr int synced_records = 1000;

/// `Durability::power`. In groups: 100 that write at once, each of which waits until its record is
/// on the disk before it writes the next.
Cost sync(bool in_groups, const Event& event)
{
    const Scratch scratch;
    if (!in_groups) {
        const auto text = audit_line(event) + '\n';
        return cost_of([&] {
            const auto fd = create(scratch.path() / "lines");
            for (int i = 0; i < synced_records; ++i)
                check(!files::write_all(fd.get(), text) && ::fdatasync(fd.get()) == 0, "syncing");
        });
    }
    constexpr int writers = 100;
    asio::io_context ctx(1);
    return cost_of([&] {
        AuditOptions options;
        options.project_root = scratch.path();
        options.durability = Durability::power;
        AuditLogger logger(ctx.get_executor(), options);
        for (int i = 0; i < writers; ++i)
            start(ctx, publish_each(logger, event, synced_records / writers));
        ctx.run();
    });
}

/// Days of attempts, one in 1,000 of a workflow of its own.
void write_metrics(std::size_t megabytes)
{
    constexpr std::size_t days = 20;
    auto metric = some_metric();
    metric.agent = "claude";
    metric.attempt_id = text::new_uuid();
    metric.worktree = "/home/somebody/project/worktrees/step-17";
    metric.usage.emplace().input_tokens = 12'000;
    metric.usage->cost_usd = 0.25;
    std::size_t number = 0;
    for (std::size_t day = 1; day <= days; ++day) {
        const auto date = fmt::format("2026-01-{:02}", day);
        std::ofstream file(records::metrics_file_name(records::MetricsFile::attempts, date));
        for (std::size_t bytes = 0; bytes < megabytes * 1'000'000 / days; ++number) {
            metric.execution_id = fmt::format("00000000-0000-4000-8000-{:012}", number);
            metric.workflow_id = number % 1000 == 0 ? "rare" : "review-2026-01";
            metric.duration = std::chrono::milliseconds(number % 60'000);
            const auto line = protocol::format_attempt(metric) + '\n';
            file << line;
            bytes += line.size();
        }
        check(file.good(), "writing metrics");
    }
}

void write_audit(std::size_t megabytes)
{
    std::string lines;
    for (int i = 0; i < 1000; ++i) lines += audit_line(some_event()) + '\n';
    const records::AuditChain chain;
    records::ChainLink last;
    std::ofstream file(records::audit_log_name);
    for (std::size_t bytes = 0; bytes < megabytes * 1'000'000;) {
        for (std::string_view rest = lines; !rest.empty();) {
            const auto chained = chain.extend(rest, 1'000'000, last);
            file << chained;
            bytes += chained.size();
        }
    }
    check(file.good(), "writing the log");
}

void query(const std::string& way)
{
    records::Folder folder;
    folder.base = std::filesystem::current_path();
    MetricsFilter filter;
    if (way != "newest") filter.workflow_id = "rare";
    if (way == "filter") filter.limit = 0;
    if (way == "verify")
        check(records::verify_audit(folder, records::AuditChain()).is_intact(), "verification");
    else if (way == "summary")
        check(records::summarize_metrics(folder, {}, MetricsGrouping::agent).total_attempts > 0,
              "no attempts");
    else
        check(!records::read_metrics(folder, filter).metrics.empty(), "no attempts");
}

Cost measure(const std::string& way, const Arguments& arguments)
{
    const bool first = arguments.number(0, 0) == 0;
    const auto event = some_event();
    if (way == "autoexec") return ours(first, event);
    if (way == "synced") return sync(!first, event);
    const Scratch scratch;
    return cost_of([&] {
        const auto lines = lines_of(first, event);
        if (way == "lines")
            return write_text(scratch.path() / "lines",
                              fmt::format("{}\n", fmt::join(lines, "\n")));
        if (way == "spdlog") return write_with_spdlog(scratch.path(), lines);
        if (way == "hashes") return hash_all(audit_line(event));
        if (way == "write") return write_metrics(arguments.number(0, 100));
        if (way == "write-audit") return write_audit(arguments.number(0, 100));
        query(way);
    });
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const auto cost = measure(arguments.way(), arguments);
    const int count = arguments.way() == "synced" ? synced_records : records_in_all;
    print_figures(
        {{"cpu", cost.cpu}, {"wall", cost.wall}, {"count", count}, {"peak_bytes", peak_bytes()}});
}
