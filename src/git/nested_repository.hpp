#pragma once

#include "git/entry.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// Repositories within a worktree, read as files. Their configuration names programs that git would
/// run, and any program may have written it, so git is never run there.
namespace autoexec::git {

/// The folder of a submodule, if it is reached without links and has a `.git`.
std::optional<std::filesystem::path> populated(const std::filesystem::path& tree,
                                               const std::string& path);

/// The content of a git directory.
struct NestedFiles {
    std::filesystem::path git_dir;
    std::filesystem::path common_dir;
    std::string head;                         ///< Empty: an unborn branch, or unreadable.
    std::map<std::string, std::string> refs;  ///< Object ids by full ref name.
};

/// The git directory that `.git` in a folder is or points to; nullopt if there is none.
std::optional<std::filesystem::path> nested_git_dir(const std::filesystem::path& folder);

NestedFiles read_nested(std::filesystem::path git_dir);

/// True if a folder is a git directory.
bool is_repository(const std::filesystem::path& folder);

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
    [[nodiscard]] GitContext context(std::filesystem::path tree = {}) const;
    /// False if the index could not be copied. A repository without an index has no files.
    [[nodiscard]] bool has_index() const noexcept { return has_index_; }

private:
    std::filesystem::path folder_;
    std::filesystem::path objects_;
    bool has_index_ = false;
};

}  // namespace autoexec::git
