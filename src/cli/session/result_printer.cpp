#include "cli/session/result_printer.hpp"

#include "cli/session/configuration.hpp"
#include "cli/session/find_execution.hpp"
#include "cli/session/output.hpp"
#include "protocol/result_format.hpp"
#include "records/queries.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

// A writer of metrics may keep a line for a second.
constexpr milliseconds record_timeout{5000};

ExecutionResult result_of(const std::vector<ExecutionMetric>& attempts)
{
    const auto& last = attempts.front();
    ExecutionResult result;
    result.ids() = last.ids();
    result.status = last.status;
    result.attempt_id = last.attempt_id;
    result.command = last.command;
    result.worktree = last.worktree;
    result.attempts = last.retry_count + 1;
    result.duration = std::chrono::duration_cast<milliseconds>(last.duration);
    result.usage = last.usage;
    if (last.error_message)
        result.error = CommandError{*last.error_message, last.error_code, {}, 0};
    return result;
}

// The history has attempts only, and it may have been cancelled before the next one.
void apply_cancellation(const std::filesystem::path& root, const ExecutionMetric& last,
                        ExecutionResult& result)
{
    if (result.status == ExecutionStatus::completed || result.status == ExecutionStatus::cancelled)
        return;
    AuditFilter filter;
    filter.execution_id = result.execution_id;
    filter.event_type = "execution_cancelled";
    filter.since = last.completed_at;
    filter.limit = 1;
    const auto page = records::read_audit(records::Folder::of({}, root, "audit"), filter);
    if (page.events.empty()) return;
    std::vector<std::string> ignored;
    const auto details = text::Fields(&page.events.front(), ignored).object("details");
    result.status = ExecutionStatus::cancelled;
    result.error = CommandError{details.string("error").value_or(""), "cancelled", false, 0};
}

ExecutionResult lost_result(const std::string& execution_id)
{
    ExecutionResult result;
    result.execution_id = execution_id;
    result.error =
        CommandError{"It was interrupted: its executor has ended, or its records are lost.",
                     "interrupted",
                     {},
                     0};
    return result;
}

ExecutionStatus status_of(const RunEntry& run)
{
    if (run.status == WorkflowStatus::completed) return ExecutionStatus::completed;
    return run.status == WorkflowStatus::cancelled ? ExecutionStatus::cancelled
                                                   : ExecutionStatus::failed;
}

}  // namespace

ResultPrinter::ResultPrinter(std::filesystem::path root, bool as_json, Use use)
    : root_(std::move(root)),
      as_json_(as_json),
      use_(use),
      folder_(root_),
      prices_(configured_prices(root_))
{}

bool ResultPrinter::print(const std::string& execution_id, bool is_interrupted)
{
    const auto state = folder_.state_of(execution_id);
    if (state == queue::RequestState::ended) return print_queued(execution_id);
    if (state != queue::RequestState::absent) return false;
    const auto attempts =
        is_interrupted ? std::vector<ExecutionMetric>() : attempts_of(root_, execution_id);
    if (attempts.empty()) {
        // The record of its last attempt may still be in the memory of its executor.
        const auto now = std::chrono::steady_clock::now();
        const auto since = missing_since_.try_emplace(execution_id, now).first->second;
        if (!is_interrupted && now - since < record_timeout) return false;
    }
    auto result = attempts.empty() ? lost_result(execution_id) : result_of(attempts);
    if (!attempts.empty()) apply_cancellation(root_, attempts.front(), result);
    print_line(result, to_json(result), false);
    return true;
}

bool ResultPrinter::print_queued(const std::string& execution_id)
{
    std::string problem;
    auto ended = folder_.result(execution_id, problem);
    const auto result = ended ? protocol::read_result(ended->result) : std::nullopt;
    if (!result) {
        if (folder_.state_of(execution_id) != queue::RequestState::ended) return false;
        fail(exit_internal, "the result of {} cannot be read: {}", execution_id, problem);
    }
    print_line(*result, ended->result, ended->internal_error);
    if (!ended->reported_at && use_ == Use::final) {
        ended->reported_at = std::chrono::system_clock::now();
        (void)folder_.put_result(*ended);
    }
    return true;
}

void ResultPrinter::print(const RunEntry& run)
{
    ++count_;
    ++outcome_.ends[status_of(run)];
    const auto state =
        run.status == WorkflowStatus::running ? "interrupted" : to_string(run.status);
    if (as_json_)
        print_json(
            {{"run_id", run.run_id}, {"state", state}, {"error", text::text_or_null(run.error)}});
    else
        print_result("{:9} {}{}{}\n", state, text::printable(run.run_id),
                     run.error.empty() ? "" : "  ", text::printable(run.error));
}

void ResultPrinter::print_line(const ExecutionResult& result, const boost::json::object& line,
                               bool is_internal_error)
{
    ++count_;
    outcome_.add(result, is_internal_error);
    if (as_json_)
        print_json(line);
    else
        print_execution(result, prices_);
}

}  // namespace autoexec::cli
