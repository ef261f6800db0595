#pragma once

#include "agent/glob.hpp"
#include "agent/work_finder.hpp"
#include "files/safe_files.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::agent {

/// The rules of a `.gitignore` for folders at the top. Only patterns for a single name are used,
/// with `!`; others are ignored.
class IgnoreRules {
public:
    explicit IgnoreRules(std::string_view text);

    [[nodiscard]] bool ignores(std::string_view name) const;

private:
    std::vector<std::pair<Glob, bool>> rules_;  // false: the line began with `!`
};

/// Searches the project for command files, level by level, so that a limit skips the deepest
/// folders.
class FolderWalk {
public:
    FolderWalk(std::filesystem::path root, std::vector<Glob> globs, const WalkLimits& limits);

    WatchedFolders run();

private:
    void visit(const std::string& folder);
    [[nodiscard]] bool should_visit(const std::string& folder, const std::string& name) const;
    [[nodiscard]] bool matches(const std::string& path) const;

    std::filesystem::path root_path_;
    files::UniqueFd root_;
    std::vector<Glob> globs_;
    IgnoreRules ignored_;
    std::size_t entries_left_;
    std::vector<std::string> next_level_;  // paths relative to the root
    WatchedFolders found_;
    int depth_left_;
};

}  // namespace autoexec::agent
