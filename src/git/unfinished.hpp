#pragma once

#include "async/short_names.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// The unfinished operations of a tree: `merge`, `rebase`, `cherry-pick` …
Words unfinished(const Entry& entry);

/// Commits that are referenced only by these: the other side of a merge, the start of a rebase …
Words commits_of_unfinished(const Entry& entry);

/// The other sides of a merge in progress.
Words merge_heads(const Entry& entry);

/// All commits named in a tree's git directory, including its reflog; newest first.
Words commits_known_to(const Entry& entry);

/// The commits in the reflog of a branch, which git itself keeps.
Words reflog_of(const fs::path& common_dir, std::string_view branch);

/// Ends unfinished operations; files, index, HEAD and branches are not changed.
asio::awaitable<void> end_unfinished(const Git& git, Entry entry);

}  // namespace autoexec::git
