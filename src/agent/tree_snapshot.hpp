#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <ctime>

namespace autoexec::agent {

/// Tells whether a program changed anything in a git worktree, by times and names, without running
/// git. When in doubt, it did.
class TreeSnapshot {
public:
    /// Just after the agent has written its status there. Nullopt outside git.
    static std::optional<TreeSnapshot> take(const std::filesystem::path& worktree,
                                            std::string status_file_name);

    /// False also if the worktree has more than 20,000 entries. Blocks.
    [[nodiscard]] bool unchanged() const;

private:
    TreeSnapshot() = default;
    [[nodiscard]] bool is_own(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names_in(int root) const;
    [[nodiscard]] bool is_later(const timespec& time) const;
    [[nodiscard]] bool folder_unchanged(int folder, const std::vector<std::string>& names,
                                        int depth, int& entries_left) const;

    std::filesystem::path worktree_;
    std::filesystem::path git_dir_;
    std::string status_file_name_;
    timespec start_{};  ///< By the clock of the file system.
    std::vector<std::string> names_;
};

}  // namespace autoexec::agent
