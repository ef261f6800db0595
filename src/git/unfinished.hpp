#pragma once

#include "git/entry.hpp"
#include "git/git.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// What somebody began in a tree and did not end: `merge`, `rebase`, `cherry-pick` …
std::vector<std::string> unfinished(const Entry& entry);

/// Commits that git remembers only for these: the other side of a merge, where a rebase began …
std::vector<std::string> commits_of_unfinished(const Entry& entry);

/// The other sides of a merge in progress.
std::vector<std::string> merge_heads(const Entry& entry);

/// All commits that a tree's git directory names, its reflog included; the newest ones first.
std::vector<std::string> commits_known_to(const Entry& entry);

/// Those in the reflog of a branch: git keeps them without our help.
std::vector<std::string> reflog_of(const std::filesystem::path& common_dir,
                                   std::string_view branch);

/// Ends what is unfinished; files, index, HEAD and branches stay.
asio::awaitable<void> quit_unfinished(const Git& git, Entry entry);

}  // namespace autoexec::git
