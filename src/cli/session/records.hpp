#pragma once

#include "autoexec/audit.hpp"
#include "autoexec/metrics.hpp"
#include "cli/cli.hpp"
#include "records/queries.hpp"

#include <chrono>
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

struct MetricsFilterOptions {
    std::string run;
    std::string workflow;
    std::string step;
    std::string agent;
    std::string worktree;
    std::string attempt;
    std::string status;
    std::string text;
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::chrono::system_clock::time_point> until;
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

struct AuditFilterOptions {
    std::string event;
    std::string execution;
    std::string attempt;
    std::string run;
    std::string step;
    std::string worktree;
    std::string text;
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::chrono::system_clock::time_point> until;
};

void add_audit_filter(CLI::App& app, AuditFilterOptions& options);
AuditFilter filter_of(const AuditFilterOptions& options);

void add_cursor(CLI::App& app, std::string& cursor);
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
