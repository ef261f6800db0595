#include "cli/session/records.hpp"

#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "protocol/words.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <filesystem>

namespace autoexec::cli {
namespace {

using std::chrono::system_clock;

CLI::Option* add_time(CLI::App& app, const char* name,
                      std::optional<system_clock::time_point>& value, const char* help)
{
    return app
        .add_option_function<std::string>(
            name,
            [&value, name](const std::string& text) {
                if (const auto ago = text::parse_duration(text))
                    value = system_clock::now() - *ago;
                else
                    value = text::parse_local_time(text);
                if (!value)
                    throw CLI::ValidationError(
                        name, fmt::format("invalid time '{}'; use 2h, 30d, 2026-01-31 or "
                                          "2026-01-31T10:00 (local time)",
                                          text::printable(text)));
            },
            help)
        ->type_name("TIME");
}

// A worktree is recorded with the path that the executor was given, made absolute.
std::optional<std::string> absolute_path(const std::string& path)
{
    if (path.empty()) return std::nullopt;
    std::error_code ec;
    const auto whole = std::filesystem::weakly_canonical(path, ec);
    return ec ? path : whole.string();
}

template <class Filter>
Filter common_filter_of(const RecordFilterOptions& o)
{
    Filter filter;
    filter.workflow_id = if_given(o.run);
    filter.step_id = if_given(o.step);
    filter.attempt_id = if_given(o.attempt);
    filter.worktree = absolute_path(o.worktree);
    filter.text = if_given(o.text);
    filter.since = o.since;
    filter.until = o.until;
    return filter;
}

}  // namespace

CLI::Option* add_since(CLI::App& app, std::optional<system_clock::time_point>& since,
                       const char* help)
{
    return add_time(app, "--since", since, help);
}

void add_times(CLI::App& app, std::optional<system_clock::time_point>& since,
               std::optional<system_clock::time_point>& until)
{
    add_time(app, "--since", since, "Only what happened since then: 2h, 30d, or a time");
    add_time(app, "--until", until, "Only what happened before then");
}

void add_metrics_filter(CLI::App& app, MetricsFilterOptions& o)
{
    add_times(app, o.since, o.until);
    app.add_option("--workflow", o.workflow, "Only runs of this workflow")->type_name("NAME");
    app.add_option("--run,--workflow-id", o.run, "Only commands of this run")->type_name("ID");
    app.add_option("--step,--step-id", o.step, "Only commands of this step")->type_name("ID");
    app.add_option("--agent", o.agent, "Only attempts of this agent")->type_name("NAME");
    app.add_option("--worktree", o.worktree, "Only attempts in this worktree")->type_name("DIR");
    app.add_option("--attempt", o.attempt, "Only this attempt")->type_name("ID");
    add_choice(
        app, "--status", {"completed", "failed", "timeout", "cancelled"},
        [&o](const std::string& word) { o.status = word; },
        "Only attempts with this result: completed, failed, timeout or cancelled")
        ->type_name("STATUS");
    add_duration(app, "--min-duration", o.min_duration, "Only attempts that took at least so long");
    add_usd(app, "--min-cost", o.min_cost, "Only attempts that cost at least so much");
    app.add_option("--grep", o.text, "Only attempts with this text in the command or the error")
        ->type_name("TEXT");
}

MetricsFilter filter_of(const MetricsFilterOptions& o)
{
    auto filter = common_filter_of<MetricsFilter>(o);
    filter.workflow = if_given(o.workflow);
    filter.agent = if_given(o.agent);
    filter.status = protocol::parse_word<ExecutionStatus>(o.status);
    filter.min_duration = o.min_duration;
    filter.min_cost = o.min_cost;
    return filter;
}

void add_audit_filter(CLI::App& app, AuditFilterOptions& o)
{
    add_times(app, o.since, o.until);
    app.add_option("--event", o.event, "Only events of this type")->type_name("TYPE");
    app.add_option("--execution", o.execution, "Only events of this execution (whole id)")
        ->type_name("ID");
    app.add_option("--attempt", o.attempt, "Only events of this attempt")->type_name("ID");
    app.add_option("--run", o.run, "Only events of this run")->type_name("ID");
    app.add_option("--step", o.step, "Only events of this step")->type_name("ID");
    app.add_option("--worktree", o.worktree, "Only events in this worktree")->type_name("DIR");
    app.add_option("--grep", o.text, "Only lines with this text")->type_name("TEXT");
}

AuditFilter filter_of(const AuditFilterOptions& o)
{
    auto filter = common_filter_of<AuditFilter>(o);
    filter.event_type = if_given(o.event);
    filter.execution_id = if_given(o.execution);
    return filter;
}

void add_page(CLI::App& app, PageOptions& o)
{
    add_limit(app, o.limit);
    app.add_option("--cursor", o.cursor, "Continue after the page that named this cursor")
        ->type_name("CURSOR");
    add_csv(app, o.csv);
}

void fail_by_lost_cursor()
{
    fail(exit_usage,
         "the cursor's log is gone, or --cursor is not what a page named; begin without --cursor");
}

void add_csv(CLI::App& app, bool& csv)
{
    app.add_flag("--csv", csv, "Print results as CSV, with a header")
        ->excludes("--json")
        ->excludes("--format");
}

void print_csv(const std::vector<std::string>& fields)
{
    std::string line;
    for (const auto& field : fields) {
        if (&field != &fields.front()) line += ',';
        if (field.find_first_of(",\"\r\n") == field.npos) {
            line += field;
            continue;
        }
        line += '"';
        for (const char c : field) line.append(c == '"' ? 2 : 1, c);
        line += '"';
    }
    print_result(std::string_view(line += '\n'));
}

records::ReportUnreadable UnreadableRecords::report()
{
    return [this](const std::filesystem::path& path, error_code ec) {
        print_warning(fmt::format("{} cannot be read, so the history is incomplete: {}",
                                  path.string(), ec.message()));
        code_ = exit_internal;
    };
}

}  // namespace autoexec::cli
