#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/expression/expression.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The results of a step for gates and conditions: a JSON object in its worktree.
namespace autoexec::workflow {

/// Reads at most 1 MiB. Links within the worktree are followed. Blocks.
std::optional<boost::json::object> read_results(const std::filesystem::path& worktree,
                                                const std::string& path, std::string& problem);

/// The value at a path of keys. Empty, with a sentence, if there is none.
std::optional<boost::json::value> value_at(const boost::json::object& results,
                                           const std::vector<std::string>& path,
                                           std::string& problem);

/// `scoring.passed`: true if every score reaches its threshold and the results do not contain
/// `scoring.passed: false`. Scores are read from `scoring`, `scores`, or the top level. Empty, with
/// a sentence, if one is missing.
std::optional<bool> scoring_passed(const boost::json::object& results, const WorkflowStep& step,
                                   std::string& problem);

/// Whether the worktree contains a file or folder of that path; links within it are followed.
bool is_in_worktree(const std::filesystem::path& worktree, const std::string& path);

}  // namespace autoexec::workflow
