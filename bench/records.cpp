// How many metric and audit lines a second, made from what happened and written?
//
// The limit is one write(2) for each line of a text that is there already.
//
// usage: records lines|autoexec 0 (metrics) | 1 (audit)

#include "autoexec/audit_logger.hpp"
#include "autoexec/metrics_collector.hpp"

#include "async/short_names.hpp"
#include "files/safe_files.hpp"
#include "measure.hpp"
#include "protocol/record_lines.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>

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

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const bool metrics = arguments.number(0, 0) == 0;
    const auto event = some_event();
    const auto line = metrics ? protocol::format_metric(*event.metric) : audit_line(event);
    const Scratch scratch;
    const auto cost = arguments.way() == "autoexec"
                          ? ours(metrics, event)
                          : cost_of([&] { write_lines(scratch.path() / "lines", line + "\n"); });
    print_figures({{"cpu", cost.cpu}, {"wall", cost.wall}, {"count", lines}});
}
