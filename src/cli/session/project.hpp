#pragma once

#include "cli/cli.hpp"

#include <boost/json/value.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

/// What several verbs need.
namespace autoexec::cli {

/// The folder that `.tapps-agents/` is in: the given one, else the main tree of the repository that
/// the current folder is in, else the nearest folder above with `.tapps-agents`, else the current
/// one.
std::filesystem::path project_root(const CommonOptions& common);

/// The root of the worktree that the current folder is in, if that is one of the project's, else
/// the project's root: where the artifacts of a workflow count from.
std::filesystem::path current_worktree(const CommonOptions& common,
                                       const std::filesystem::path& root);

/// Whether a path is below a folder once all links are followed. False if that can't be found out.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& folder);

/// A file that was named by a person, of at most 1 MiB. Nothing, and a sentence, if it can't be
/// read.
std::optional<std::string> read_text(const std::filesystem::path& path, std::string& problem);

/// The end of an id, by which people call it: the beginning is the time, so alike for all that
/// began together.
std::string short_id(std::string_view id);

/// True when `wanted` is the id or at least the last four characters of it.
bool is_called(std::string_view id, std::string_view wanted);

/// One JSON object as one line on standard output.
void print_json(const boost::json::value& value);

/// One line, cut to `width` columns, safe for a terminal.
std::string cell(std::string_view text, std::size_t width);

/// A path as people would type it here.
std::string shown_path(const std::filesystem::path& path);

/// Nothing for an option that was not given.
std::optional<std::string> if_given(const std::string& text);

}  // namespace autoexec::cli
