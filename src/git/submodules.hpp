#pragma once

#include "async/short_names.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <string_view>

/// Submodules. Their content is not in the repository's objects, so it cannot be saved there. Git
/// is never run in them: see `NestedView`.
namespace autoexec::git {

/// A sentence if a submodule of the tree has uncommitted changes or cannot be checked; otherwise
/// empty.
asio::awaitable<std::string> work_in_submodules(const Git& git, Entry entry);

/// A sentence if the repository of a submodule, which is removed with the tree, has unpushed
/// commits, or if the tree itself has become a separate repository; otherwise empty.
asio::awaitable<std::string> commits_in_submodules(const Git& git, Entry entry);

/// The sentence for a separate repository at this path in the tree.
std::string repository_within(const Entry& entry, std::string_view path);

}  // namespace autoexec::git
