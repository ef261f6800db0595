#pragma once

#include "workflow/journal/journal.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Finds runs of workflows by the names that users type.
namespace autoexec::cli {

/// True when `wanted` is the id, or at least its first or last four characters.
bool is_run_called(std::string_view id, std::string_view wanted);

/// The run with this id, or the only one whose id begins or ends with these characters, at least
/// four; if empty, the newest that is no child run. Throws `Failure` if there is none.
workflow::RunRecord find_run(const std::filesystem::path& root, std::string_view wanted);

/// Puts the steps for items behind the step whose items they are, in the order of its list.
void order_items(workflow::RunRecord& run);

/// A repository may contain a journal. So by default only a workflow file in the project or in the
/// current worktree is run because a journal names it. Also true if it names none.
bool is_file_inside(const RunEntry& run, const std::filesystem::path& root,
                    const std::filesystem::path& worktree);

/// The newest run for which `holds` returns true.
std::optional<workflow::RunRecord> newest_run(
    const std::filesystem::path& root,
    const std::function<bool(const workflow::RunRecord&)>& holds);

/// `running`, `waiting` (for its group), `interrupted`, or how it ended.
std::string_view state_of(const RunEntry& run);

/// `waits for RUN of group 'NAME'`. Empty: it does not wait.
std::string waiting_words(const RunEntry& run);

/// So far, or in total; nothing if the end is unknown.
std::optional<std::chrono::milliseconds> duration_of(const RunEntry& run);

/// Whether a step has ended.
bool has_ended(const StepEntry& step);
std::size_t count_ended(const RunEntry& run);

/// Of all its steps.
protocol::UsageByExecution usage_of(const RunEntry& run);

/// Adds to the usage of steps what their child runs have used.
void add_usage_of_children(const std::filesystem::path& root, std::vector<StepEntry>& steps);

/// The keys of a run that all subcommands print.
boost::json::object to_json(const RunEntry& run);
/// The same with its steps, and an estimate of what was not reported.
boost::json::object to_json_with_steps(const RunEntry& run, const ModelPrices& prices);

}  // namespace autoexec::cli
