#pragma once

#include "autoexec/command.hpp"
#include "autoexec/execution_options.hpp"
#include "cli/cli.hpp"
#include "notify/notification.hpp"

#include <boost/json/object.hpp>

#include <map>
#include <string>

namespace autoexec::cli {

/// How the commands of a batch have ended.
struct BatchOutcome {
    /// `is_internal_error`: `async_execute_command` had an error.
    void add(const ExecutionResult& result, bool is_internal_error);

    /// `1 completed, 2 timed out`
    [[nodiscard]] std::string to_text() const;
    [[nodiscard]] ExitCode exit_code() const;

    std::map<ExecutionStatus, int> ends;
    bool has_internal_error = false;
    bool needed_input = false;
    std::string last_execution;
};

/// The end of a run as a notification: that of a single command is about its execution.
notify::Notification run_end_of(const BatchOutcome& outcome, std::string text);

/// The result as `autoexec run --json` prints it, with an estimate of its cost.
boost::json::object json_of(const ExecutionResult& result, const ModelPrices& prices);

/// Whether the last lines of a failed command's output are shown.
enum class Excerpt { of_failures, none };

/// Prints the line of a result; as messages, its warnings and the end of its output.
void print_execution(const ExecutionResult& result, const ModelPrices& prices,
                     Excerpt excerpt = Excerpt::of_failures);

}  // namespace autoexec::cli
