#pragma once

#include "autoexec/audit.hpp"
#include "autoexec/metrics.hpp"
#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "records/queries.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// Records: the options that choose among them, and the forms in which they are printed.
namespace autoexec::cli {

/// What both kinds of records have.
struct RecordFilterOptions {
    std::string run;
    std::string step;
    std::string attempt;
    std::string worktree;
    std::string text;
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::chrono::system_clock::time_point> until;
};

struct MetricsFilterOptions : RecordFilterOptions {
    std::string workflow;
    std::string agent;
    std::string status;
    std::optional<std::chrono::milliseconds> min_duration;
    std::optional<double> min_cost;
};

void add_metrics_filter(CLI::App& app, MetricsFilterOptions& options);
MetricsFilter filter_of(const MetricsFilterOptions& options);

/// `--since` and `--until`: a time, or a duration before now.
void add_times(CLI::App& app, std::optional<std::chrono::system_clock::time_point>& since,
               std::optional<std::chrono::system_clock::time_point>& until);

/// `--since` alone.
CLI::Option* add_since(CLI::App& app, std::optional<std::chrono::system_clock::time_point>& since,
                       const char* help);

struct AuditFilterOptions : RecordFilterOptions {
    std::string event;
    std::string execution;
};

void add_audit_filter(CLI::App& app, AuditFilterOptions& options);
AuditFilter filter_of(const AuditFilterOptions& options);

/// Which records of a list are printed.
struct PageOptions {
    std::size_t limit = 20;
    std::string cursor;
    bool csv = false;
};

void add_page(CLI::App& app, PageOptions& options);
void add_csv(CLI::App& app, bool& csv);
/// Prints a result as one line of CSV (RFC 4180).
void print_csv(const std::vector<std::string>& fields);

/// Ends the program with `exit_usage`.
[[noreturn]] void fail_by_lost_cursor();

/// Warns of records that cannot be read; `exit_code()` is then `exit_internal`.
class UnreadableRecords {
public:
    records::ReportUnreadable report();
    [[nodiscard]] int exit_code() const noexcept { return code_; }

private:
    int code_ = exit_completed;
};

/// Reads a page by `read` and prints it by `print`; where programs read it (`json`), with the
/// cursor of the next one. Returns the exit code.
template <class Filter, class Read, class Print>
int print_page(Filter filter, const PageOptions& options, bool json, Read read, Print print)
{
    UnreadableRecords unreadable;
    filter.limit = options.limit;
    filter.cursor = options.cursor;
    const auto page = read(filter, unreadable.report());
    if (page.cursor_is_lost && unreadable.exit_code() == exit_completed) fail_by_lost_cursor();
    print(page);
    if (!page.next.empty() && (json || options.csv))
        print_message("next page: --cursor {}\n", page.next);
    return unreadable.exit_code();
}

/// How the totals of records are printed.
struct SummaryForm {
    MetricsGrouping grouping = MetricsGrouping::none;
    bool json = false;
    bool csv = false;
    bool prometheus = false;
};

/// Prints the totals of the attempts that match. Returns the exit code.
int print_summary(const std::filesystem::path& root, const MetricsFilter& filter,
                  const SummaryForm& form);

}  // namespace autoexec::cli
