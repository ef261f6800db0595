#pragma once

#include "async/short_names.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// Repositories within a worktree: submodules, and others. Their configuration names programs that
/// git would run, and any program may have written it. So git is never run there: they are read as
/// files, or through a `NestedView`.
namespace autoexec::git {

/// The folder of a submodule, if it is reached without links and has a `.git`.
std::optional<fs::path> populated(const fs::path& tree, const std::string& path);

/// The content of a git directory.
struct NestedFiles {
    fs::path git_dir;
    fs::path common_dir;
    std::string head;                         ///< Empty: an unborn branch, or unreadable.
    std::map<std::string, std::string> refs;  ///< Object ids by full ref name.
};

/// The git directory that `.git` in a folder is or points to; nullopt if there is none.
std::optional<fs::path> nested_git_dir(const fs::path& folder);

NestedFiles read_nested(fs::path git_dir);

/// A temporary git directory with the refs, HEAD, index and objects of a nested repository, but
/// without its configuration and hooks. Git uses this one, so it runs nothing that a program has
/// configured there. Removed on destruction.
class NestedView {
public:
    /// Prefix of its name, in `autoexec/` of the entry.
    static constexpr std::string_view prefix = "nested-";

    NestedView(const Entry& entry, const NestedFiles& files);
    ~NestedView();
    NestedView(const NestedView&) = delete;
    NestedView& operator=(const NestedView&) = delete;

    /// `tree`: its work tree; empty: not needed.
    [[nodiscard]] GitContext context(fs::path tree = {}) const;
    /// False if the index could not be copied. A repository without an index has no files.
    [[nodiscard]] bool has_index() const noexcept { return has_index_; }

private:
    fs::path folder_;
    fs::path objects_;
    bool has_index_ = false;
};

/// A sentence if a submodule of the tree has uncommitted changes or cannot be checked; otherwise
/// empty.
asio::awaitable<std::string> work_in_submodules(const Git& git, Entry entry);

/// A sentence if the repository of a submodule, which is removed with the tree, has unpushed
/// commits, or if the tree itself has become a separate repository; otherwise empty.
asio::awaitable<std::string> commits_in_submodules(const Git& git, Entry entry);

/// The sentence for a separate repository at this path in the tree.
std::string repository_within(const Entry& entry, std::string_view path);

}  // namespace autoexec::git
