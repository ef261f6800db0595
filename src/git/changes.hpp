#pragma once

#include "git/repository.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What work has changed: comparisons of two commits or trees, which change nothing.
namespace autoexec::git {

/// The ids of two commits or trees, and the paths to compare; none: all.
struct Comparison {
    Comparison() = default;
    Comparison(std::string from_id, std::string to_id, Words only = {})
        : from(std::move(from_id)), to(std::move(to_id)), paths(std::move(only))
    {}

    std::string from;
    std::string to;
    Words paths;  ///< As git's pathspecs, from the top of the tree.
};

/// `git diff`, with further options. No external diff, textconv or pager runs.
asio::awaitable<ProgramOutput> compare(const Repository& repository, Comparison what,
                                       Words options);

struct FileChange {
    std::string path;      ///< Any bytes.
    std::string old_path;  ///< Of a renamed or copied file; otherwise empty.
    char kind = 'M';       ///< As in `git diff --raw`: `A`, `D`, `M`, `R`, `C`, `T` or `U`.
    // Lines. Absent: it is binary.
    std::optional<std::int64_t> added;
    std::optional<std::int64_t> deleted;

    bool operator==(const FileChange&) const = default;
};

struct ChangeList {
    std::vector<FileChange> files;
    Problem problem;

    [[nodiscard]] std::int64_t added() const;
    [[nodiscard]] std::int64_t deleted() const;
};

asio::awaitable<ChangeList> list_changes(const Repository& repository, Comparison what);

/// Reads the output of `git diff-tree -r -z --raw --numstat`. Pure.
std::vector<FileChange> parse_changes(std::string_view output);

/// Precedes the id of the execution in the message of a commit of its work.
inline constexpr std::string_view execution_line = "Execution: ";

struct NamedCommit {
    std::string id;
    std::string execution_id;  ///< Of its message; empty: none.
    std::int64_t seconds = 0;  ///< When it was made, since 1970.
};

/// The commits by which `tip` follows `base`, newest first: at most 1000, of several parents the
/// first. Empty also if they cannot be read.
asio::awaitable<std::vector<NamedCommit>> list_commits(const Repository& repository,
                                                       std::string base, std::string tip);

/// Reads the output of `git log -z --format=%H%n%ct%n%B`. Pure.
std::vector<NamedCommit> parse_commits(std::string_view output);

/// The files of a worktree as they are, also those that are untracked, but not those that git
/// ignores.
struct CurrentFiles {
    std::string tree;  ///< The id of a tree; empty if there is a problem.
    std::string head;  ///< The commit that is checked out; empty: none yet.
    std::string head_tree;
    Words warnings;  ///< What it does not contain.
    Problem problem;
};

/// `folder`: in a worktree of the repository. The worktree is not changed.
asio::awaitable<CurrentFiles> current_files(Repository& repository, fs::path folder);

/// The commit that was checked out in a worktree earlier.
struct EarlierHead {
    std::string commit;      ///< Or its branch; empty: not known.
    bool is_logged = false;  ///< False: there is no log, and it is that of now.
};

/// In the worktree of `folder`, before the second of `time`, by the log of its HEAD; if that begins
/// later, its first commit.
EarlierHead head_before(const Repository& repository, const fs::path& folder,
                        std::chrono::system_clock::time_point time);

/// The same, for the text of the log; empty: it has no such commit. Pure.
std::string head_in_log(std::string_view log, std::chrono::system_clock::time_point time);

}  // namespace autoexec::git
