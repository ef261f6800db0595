#pragma once

#include "async/short_names.hpp"
#include "autoexec/config.hpp"
#include "cli/cli.hpp"
#include "config/reloader.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The configuration, for subcommands.
namespace autoexec::cli {

/// Prints its problems; nothing if it cannot be used.
std::optional<AutoExecutionConfig> load_configuration(AutoExecutionConfigManager& manager,
                                                      bool quiet);

/// Checks the files every second, and at each SIGHUP, until the `io_context` stops. A SIGHUP
/// because the terminal is gone becomes a SIGTERM, so that it still ends the program.
void watch_configuration(const asio::any_io_executor& ex, config::Reloader& reloader);

/// Prints them to standard error, with relative paths.
void print_problems(std::vector<Diagnostic> diagnostics);

/// `Configuration reloaded: retry.max_attempts; effective at the next start: durability.`
std::string changes_sentence(const std::vector<std::string>& changed);

/// The variables of the environment that locate files.
std::vector<std::string> variables_of_files();

/// Errors and warnings as JSON.
boost::json::array to_json_array(const std::vector<Diagnostic>& diagnostics);

}  // namespace autoexec::cli
