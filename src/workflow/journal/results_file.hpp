#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/expression/expression.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a step has left for its gate: a JSON object in its worktree.
namespace autoexec::workflow {

/// Reads it, at most 1 MiB. Links within the worktree are followed. Blocks.
std::optional<boost::json::object> read_results(const std::filesystem::path& worktree,
                                                const std::string& path, std::string& problem);

/// The value below a path of keys. Nothing, and a sentence, if there is none.
std::optional<boost::json::value> value_at(const boost::json::object& results,
                                           const std::vector<std::string>& path,
                                           std::string& problem);

/// `scoring.passed`: every threshold is reached, and the results don't say otherwise themselves.
/// A score stands below `scoring`, below `scores`, or at the top; one that is missing makes it
/// nothing, with a sentence.
std::optional<bool> scoring_passed(const boost::json::object& results, const WorkflowStep& step,
                                   std::string& problem);

/// True if a file or directory of that path is in the worktree, whatever links lead to it from
/// within.
bool is_in_worktree(const std::filesystem::path& worktree, const std::string& path);

}  // namespace autoexec::workflow
