#pragma once

#include "workflow/journal/journal.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// Runs of workflows, as people call them.
namespace autoexec::cli {

/// The one of that id, or the only one of which it is the beginning or the end, four characters or
/// more; with no name the newest. Nothing, and a sentence, if there is none.
std::optional<workflow::RunRecord> find_run(const std::filesystem::path& root,
                                            std::string_view wanted, std::string& problem);

/// The newest for which it holds.
std::optional<workflow::RunRecord> newest_run(
    const std::filesystem::path& root,
    const std::function<bool(const workflow::RunRecord&)>& holds);

/// `running`, `interrupted`, or how it ended.
std::string_view state_of(const workflow::RunRecord& run);

/// So far, or in all; nothing where nobody knows when it ended.
std::optional<std::chrono::milliseconds> duration_of(const workflow::RunRecord& run);

/// A step that will not run again, as far as is known.
bool has_ended(const workflow::StepRecord& step);
std::size_t count_ended(const workflow::RunRecord& run);

/// What all verbs tell of a run.
boost::json::object to_json(const workflow::RunRecord& run);

}  // namespace autoexec::cli
