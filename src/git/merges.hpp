#pragma once

#include "git/worktrees.hpp"

namespace autoexec::git {

/// A path on which two sides cannot be merged.
struct Conflict {
    std::string path;
    std::string kind;  ///< As git calls it: `content`, `modify/delete`, `add/add` …

    bool operator==(const Conflict&) const = default;
};

struct Merged {
    std::string commit;  ///< Empty if there are conflicts or a problem.
    std::vector<Conflict> conflicts;
    Problem problem;
};

/// Merges `theirs` into `ours` without a checkout. If one contains the other, it is the result.
asio::awaitable<Merged> merge(Repository& repository, std::string ours, std::string theirs,
                              std::string message);

/// Merges a commit into a user's branch. If it is checked out, the checkout is updated, too; if
/// changes there prevent that, it is a problem and nothing is changed.
asio::awaitable<Merged> merge_into(Repository& repository, std::string branch, std::string commit,
                                   std::string message);

/// Sets a branch, which may be checked out, to a commit: the checkout is updated, too. If changes
/// there prevent that, or it would not be a fast-forward, nothing is changed.
asio::awaitable<Problem> advance(Repository& repository, std::string branch, std::string commit,
                                 std::string old);

/// A merge in a new worktree `name`, with conflict markers in the files, for a person to resolve
/// and commit.
asio::awaitable<NewTree> open_conflict(Repository& repository, std::string name, std::string ours,
                                       std::string theirs, std::string message);
/// The person's resolution: a commit that contains both sides, in a clean tree. A problem until
/// then.
asio::awaitable<Commit> resolved_conflict(Repository& repository, std::string name,
                                          std::string ours, std::string theirs);

/// The ids of two commits, or a problem.
asio::awaitable<std::pair<std::string, std::string>> resolve_both(Repository& repository,
                                                                  std::string ours,
                                                                  std::string theirs,
                                                                  Problem& problem);

/// Prefix of the names of folders that merges use, in `autoexec/` of the common directory.
constexpr std::string_view attributes_prefix = "attributes-";

}  // namespace autoexec::git
