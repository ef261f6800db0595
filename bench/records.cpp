// How many metric and audit lines a second, made from what happened and written?
//
// The limit is one write(2) for each line of a text that is there already.
//
// And what do queries cost over many of them?
//
// usage: records lines|autoexec 0 (metrics) | 1 (audit)
//        records hashes               of as many audit lines
//        records write MEGABYTES      metrics into the current folder
//        records summary|newest|rare  of these metrics

#include "autoexec/audit_logger.hpp"
#include "autoexec/metrics_collector.hpp"

#include "async/short_names.hpp"
#include "files/safe_files.hpp"
#include "measure.hpp"
#include "protocol/record_lines.hpp"
#include "records/audit_chain.hpp"
#include "records/queries.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>

#include <fstream>

using namespace autoexec;
using namespace autoexec::bench;

namespace {

constexpr int lines = 100'000;

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

void write_lines(const std::filesystem::path& path, const std::string& line)
{
    const files::UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    for (int i = 0; i < lines; ++i) (void)files::write_all(fd.get(), line);
}

asio::awaitable<void> publish_all(EventSink& sink, const Event& event)
{
    for (int i = 0; i < lines; ++i) {
        sink.publish(event);
        if (sink.full()) (void)co_await sink.flush();
    }
    (void)co_await sink.flush();
}

void publish(asio::io_context& ctx, EventSink& sink, const Event& event)
{
    asio::co_spawn(ctx, publish_all(sink, event), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
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
    for (int i = 0; i < lines; ++i) (void)chain.hash(line);
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

void query(const std::string& way)
{
    records::Folder folder;
    folder.base = std::filesystem::current_path();
    MetricsFilter filter;
    if (way == "rare") filter.workflow_id = "rare";
    if (way == "summary")
        check(records::summarize_metrics(folder, {}, MetricsGrouping::agent).total_attempts > 0,
              "no attempts");
    else
        check(!records::read_metrics(folder, filter).metrics.empty(), "no attempts");
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const auto& way = arguments.way();
    const bool metrics = way != "hashes" && arguments.number(0, 0) == 0;
    const auto event = some_event();
    const auto line = metrics ? protocol::format_metric(*event.metric) : audit_line(event);
    const Scratch scratch;
    const auto cost = way == "autoexec" ? ours(metrics, event) : cost_of([&] {
        if (way == "lines") return write_lines(scratch.path() / "lines", line + "\n");
        if (way == "hashes") return hash_all(line);
        if (way == "write") return write_metrics(arguments.number(0, 100));
        query(way);
    });
    print_figures(
        {{"cpu", cost.cpu}, {"wall", cost.wall}, {"count", lines}, {"peak_bytes", peak_bytes()}});
}
