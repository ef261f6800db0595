#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// `workflows/markers/<run>/step-<step>/{DONE,FAILED}.json`: how a step ended, for agents
/// and scripts of the original system. Formats: `doc/file-protocol.md`. Blocks for
/// microseconds.
namespace autoexec::workflow {

struct Marker {
    std::string workflow_id;  ///< The run's id.
    std::string step_id;
    std::string agent;
    std::string action;
    bool done = true;       ///< DONE; false: FAILED.
    std::string timestamp;  ///< ISO-8601; local and naive in files of the original.
    std::string error;      ///< Of FAILED.

    // If empty, left out of the file.
    std::string worktree_name;
    std::string worktree_path;
    std::vector<std::string> expected_artifacts;
    std::vector<std::string> found_artifacts;
    std::optional<double> duration_seconds;
    std::string started_at;
    std::string completed_at;  ///< Of DONE.
    std::string error_type;    ///< Of FAILED.
    boost::json::object metadata;
};

/// With the keys in the order of the original system, indented by 2.
std::string format_marker(const Marker& marker);

/// Reads a DONE.json or FAILED.json. Any JSON object is valid; a field of a wrong type counts as
/// absent. Empty, with a sentence in `problem`, for other texts.
std::optional<Marker> parse_marker(std::string_view text, bool done, std::string& problem);

/// The folder of a step's markers.
std::filesystem::path marker_folder(const std::filesystem::path& project_root,
                                    std::string_view run_id, std::string_view step_id);

/// Writes DONE.json or FAILED.json atomically; the other one stays.
error_code write_marker(const std::filesystem::path& project_root, const Marker& marker);

/// Removes both.
error_code remove_markers(const std::filesystem::path& project_root, std::string_view run_id,
                          std::string_view step_id);

/// The marker of a step, if there is one; the newer one of two. An unreadable or invalid marker
/// counts as absent, with a sentence in `problem`.
std::optional<Marker> find_marker(const std::filesystem::path& project_root,
                                  std::string_view run_id, std::string_view step_id,
                                  std::string& problem);

}  // namespace autoexec::workflow
