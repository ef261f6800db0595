#pragma once

#include "async/short_names.hpp"
#include "autoexec/audit_logger.hpp"
#include "autoexec/config.hpp"
#include "autoexec/event_sink.hpp"
#include "autoexec/metrics_collector.hpp"
#include "cli/cli.hpp"
#include "config/reloader.hpp"
#include "records/budget.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

/// The configuration, for subcommands.
namespace autoexec::cli {

/// Prints its problems. Throws `Failure` if it cannot be used.
AutoExecutionConfig load_configuration(AutoExecutionConfigManager& manager, bool quiet);

/// The budget of a run: the flags override the configuration.
BudgetConfig budget_limits(const SessionFlags& flags, const AutoExecutionConfig& config);

/// Adds to it what each attempt has used, before another command can start. It must outlive this.
std::shared_ptr<EventSink> budget_sink(records::Budget& budget);

/// For what only shows records: also those of a configuration that is otherwise invalid.
ModelPrices configured_prices(const std::filesystem::path& root);

/// Checks the files every second, and at each SIGHUP, until the `io_context` stops. A SIGHUP
/// because the terminal is gone becomes a SIGTERM, so that it still ends the program.
void watch_configuration(const asio::any_io_executor& ex, config::Reloader& reloader);

/// Prints them to standard error, with relative paths.
void print_problems(std::vector<Diagnostic> diagnostics);

/// `Configuration reloaded: retry.max_attempts; effective at the next start: durability.`
std::string changes_sentence(const std::vector<std::string>& changed);

/// The writers of records that the configuration enables.
struct RecordWriters {
    RecordWriters(const asio::any_io_executor& ex, const AutoExecutionConfig& config,
                  const std::filesystem::path& root);

    [[nodiscard]] std::vector<std::shared_ptr<EventSink>> sinks() const;
    asio::awaitable<void> stop() const;

    /// A message for each that has lost records.
    [[nodiscard]] std::vector<std::string> losses() const;

    std::shared_ptr<AuditLogger> audit;
    std::shared_ptr<ExecutionMetricsCollector> metrics;
};

/// Errors and warnings as JSON.
boost::json::array to_json_array(const std::vector<Diagnostic>& diagnostics);

}  // namespace autoexec::cli
