#pragma once

#include "cli/cli.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// What several subcommands need.
namespace autoexec::cli {

/// Throws `Failure` if it was removed.
std::filesystem::path current_folder();

/// The folder that contains `.tapps-agents/`: the given one, else the main worktree of the current
/// folder's repository, else the nearest parent folder with a `.tapps-agents`, else the current
/// folder. Throws `Failure` if the given one cannot be used.
std::filesystem::path project_root(const CommonOptions& common);

/// The root of the current folder's worktree if it belongs to the project, else the project's root.
/// Artifacts of a workflow are relative to it.
std::filesystem::path current_worktree(const CommonOptions& common,
                                       const std::filesystem::path& root);

/// Whether a path is below a folder when all links are followed. False if that cannot be
/// determined.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& folder);

/// Reads a file of at most 1 MiB that the user has named; nothing, and the reason without the name,
/// if it cannot be read.
std::optional<std::string> read_text(const std::filesystem::path& path, std::string& problem);

/// The last characters of an id. The first ones are the time, so they hardly differ.
std::string short_id(std::string_view id);

/// True when `wanted` is the id or at least the last four characters of it.
bool is_called(std::string_view id, std::string_view wanted);

/// Why an id does not name one execution: a sentence part for messages.
std::string unmatched(std::string_view id, bool several);

/// One line, cut to `width` columns, safe for a terminal.
std::string cell(std::string_view text, std::size_t width);

/// A path relative to the current folder, if that is near.
std::string shown_path(const std::filesystem::path& path);

/// Waits until a cancelled execution or run, the `subject`, has ended. Throws `Failure` after 30 s.
void wait_for_end(std::string_view subject, const std::function<bool()>& has_ended);

/// Who uses this process: `user@host`.
std::string user_at_host();

/// Nothing for an option that was not given.
std::optional<std::string> if_given(const std::string& text);

}  // namespace autoexec::cli
