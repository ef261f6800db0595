#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Repositories within a worktree, read as files. Their configuration names programs that git would
/// run, and any program may have written it, so git is never run there.
namespace autoexec::git {

/// A submodule in the index: a commit at a path.
struct Gitlink {
    std::string path;
    std::string id;
};

/// Parses `ls-files -s -z`.
std::vector<Gitlink> gitlinks_in(std::string_view listing);

/// Its folder, if it is reached without links and has a `.git`.
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

}  // namespace autoexec::git
