#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"
#include "protocol/trace_context.hpp"
#include "records/attempt_spans.hpp"
#include "records/running.hpp"
#include "workflow/journal/run_spans.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace autoexec::cli {
namespace {

using std::chrono::system_clock;

struct TraceOptions : CommonOptions {
    std::string run;
    std::optional<system_clock::time_point> since;
};

/// Attempts of one execution are at most so far apart.
constexpr std::chrono::hours max_execution_age{24 * 7};
constexpr std::size_t page_size = 1000;

/// Prints the spans of runs, then those of attempts and of commands outside of these runs.
class Exporter {
public:
    Exporter(std::filesystem::path root, std::optional<system_clock::time_point> since)
        : root_(std::move(root)), since_(since)
    {
        for (const auto& entry : records::list_running(root_))
            running_.insert(entry.record.execution_id);
    }

    void add_run(const workflow::RunRecord& run)
    {
        known_runs_.insert(run.run_id);
        const auto spans = workflow::spans_of_run(run);
        if (run.alive || (since_ && spans.front().end < *since_)) return;
        exported_runs_.insert(run.run_id);
        earliest_ = std::min(earliest_, spans.front().start);
        for (const auto& span : spans) spans_.insert(span.span_id);
        print_result(std::string_view(protocol::format_spans(spans, {})));
    }

    /// Newest first, so an execution is complete with its first attempt.
    void add_attempts(MetricsFilter filter, const records::ReportUnreadable& report)
    {
        filter.limit = page_size;
        if (since_) filter.since = std::min(earliest_, *since_ - max_execution_age);
        do {
            auto page =
                records::read_metrics(records::Folder::of({}, root_, "metrics"), filter, report);
            for (auto& metric : page.metrics) add(std::move(metric));
            filter.cursor = std::move(page.next);
        } while (!filter.cursor.empty());
        for (const auto& [id, attempts] : open_) print_execution(attempts);
    }

private:
    void add(ExecutionMetric metric)
    {
        if (running_.contains(metric.execution_id)) return;
        const bool is_first = metric.retry_count == 0;
        const auto open = open_.try_emplace(metric.execution_id).first;
        open->second.push_back(std::move(metric));
        if (!is_first) return;
        print_execution(open->second);
        open_.erase(open);
    }

    void print_execution(const std::vector<ExecutionMetric>& attempts)
    {
        const auto& last = attempts.front();
        const auto run = last.workflow_id.value_or("");
        const bool in_run = exported_runs_.contains(run);
        const bool is_old = since_ && last.completed_at && *last.completed_at < *since_;
        if (!in_run && (known_runs_.contains(run) || is_old)) return;
        std::vector<protocol::Span> spans;
        if (!spans_.contains(protocol::span_id_of_execution(last.execution_id)))
            spans.push_back(records::span_of_execution(
                attempts, in_run ? protocol::span_id_of_run(run) : std::string()));
        for (auto it = attempts.rbegin(); it != attempts.rend(); ++it)
            spans.push_back(records::span_of_attempt(*it));
        print_result(std::string_view(protocol::format_spans(spans, last.host)));
    }

    std::filesystem::path root_;
    std::optional<system_clock::time_point> since_;
    system_clock::time_point earliest_ = system_clock::time_point::max();
    std::set<std::string> known_runs_;
    std::set<std::string> exported_runs_;
    std::unordered_set<std::string> spans_;    // of exported runs
    std::unordered_set<std::string> running_;  // executions
    std::unordered_map<std::string, std::vector<ExecutionMetric>> open_;
};

int trace(const TraceOptions& options)
{
    const auto root = project_root(options);
    UnreadableRecords unreadable;
    Exporter exporter(root, options.since);
    MetricsFilter filter;
    int code = exit_completed;
    if (!options.run.empty()) {
        const auto run = find_run(root, options.run);
        if (run.alive) fail(exit_usage, "run {} has not ended", run.run_id);
        filter.workflow_id = run.run_id;
        filter.since = run.started_at;
        exporter.add_run(run);
    } else {
        for (const auto& id : workflow::list_runs(root)) {
            std::string problem;
            if (const auto run = workflow::read_run(root, id, problem)) {
                exporter.add_run(*run);
            } else {
                print_message("warning: {}\n", problem);
                code = exit_internal;
            }
        }
    }
    exporter.add_attempts(std::move(filter), unreadable.report());
    return std::max<int>(code, unreadable.exit_code());
}

void define_trace(CLI::App& app, TraceOptions& o)
{
    add_project(app, o);
    auto* const run =
        app.add_option("--run", o.run, "Only this run: its id, or its beginning or end")
            ->type_name("ID");
    add_since(app, o.since, "Only what ended since then: 2h, 30d, or a time")->excludes(run);
}

}  // namespace

extern const Subcommand trace_subcommand =
    subcommand("trace", "Export runs and commands as traces (OTLP/JSON)", define_trace, trace);

}  // namespace autoexec::cli
