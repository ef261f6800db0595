#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Repositories within a worktree, read as files. A program may have made them, and what git runs
/// there is configured there: git never does.
namespace autoexec::git {

/// A repository that the index names as a submodule: a commit at a path.
struct Gitlink {
    std::string path;
    std::string id;
};

/// From `ls-files -s -z`.
std::vector<Gitlink> gitlinks_in(std::string_view listing);

/// Its folder, if that is one of the tree, reached without links, and has a `.git`.
std::optional<std::filesystem::path> populated(const std::filesystem::path& tree,
                                               const std::string& path);

/// What is in a git directory.
struct NestedFiles {
    std::filesystem::path git_dir;
    std::filesystem::path common_dir;
    std::string head;                         ///< Empty: a branch without a commit, or unreadable.
    std::map<std::string, std::string> refs;  ///< Ids by full name.
};

/// The git directory that `.git` in a folder is or names. Nothing if it is none.
std::optional<std::filesystem::path> nested_git_dir(const std::filesystem::path& folder);

NestedFiles read_nested(std::filesystem::path git_dir);

/// Whether a folder is a git directory.
bool is_repository(const std::filesystem::path& folder);

}  // namespace autoexec::git
