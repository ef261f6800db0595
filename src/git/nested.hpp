#pragma once

#include "git/entry.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <string_view>

/// Submodules: what is in them is not in the objects of the repository, so it can't be saved there.
/// Git is never run in them: see `NestedView`.
namespace autoexec::git {

/// A sentence where a submodule of the tree has changes that are not committed, or where that can't
/// be found out; else empty.
asio::awaitable<std::string> work_in_submodules(const Git& git, Entry entry);

/// A sentence where a submodule's repository, which goes with the tree, has commits that none of
/// its remotes has, or where the tree itself has become another repository; else empty.
asio::awaitable<std::string> commits_in_submodules(const Git& git, Entry entry);

/// The sentence for another repository in the tree, at this path.
std::string repository_within(const Entry& entry, std::string_view path);

}  // namespace autoexec::git
