#pragma once

#include "autoexec/config.hpp"
#include "cli/cli.hpp"
#include "config/reloader.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The configuration, for verbs that run something.
namespace autoexec::cli {

/// Says on standard error what is wrong with it; nothing if it can't be used.
std::optional<AutoExecutionConfig> load_configuration(AutoExecutionConfigManager& manager,
                                                      bool quiet);

/// Looks at the files every second, and at each SIGHUP, until the `io_context` stops. A hang-up
/// that means that the terminal is gone becomes a SIGTERM, so that it ends the program as always.
void keep_configuration_fresh(const asio::any_io_executor& ex, config::Reloader& reloader);

/// On standard error, with paths as people would type them here.
void print_problems(std::vector<Diagnostic> diagnostics);

/// `Configuration reloaded: retry.max_attempts; at the next start: durability.`
std::string changes_sentence(const std::vector<std::string>& changed);

/// The part of the environment that says where files are.
std::vector<std::string> variables_of_files();

/// Errors and warnings as JSON.
boost::json::array to_json(const std::vector<Diagnostic>& diagnostics);

}  // namespace autoexec::cli
