#pragma once

#include "async/short_names.hpp"
#include "files/safe_files.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <cstddef>
#include <ctime>

#include <sys/types.h>

namespace autoexec::agent {

/// Tells whether a program changed anything in a git worktree, by times and names, without running
/// git. When in doubt, it did.
class TreeSnapshot {
public:
    /// Just after the agent has written its status there. Nullopt outside git.
    static std::optional<TreeSnapshot> take(const std::filesystem::path& worktree,
                                            std::string status_file_name);

    /// False also if the worktree has more than 20,000 entries, or a mounted folder. Blocks for at
    /// most 1,000 entries at a time.
    [[nodiscard]] asio::awaitable<bool> unchanged() const;

private:
    struct OpenFolder {
        files::UniqueFd fd;
        std::vector<std::string> names;
        std::size_t next = 0;
    };

    TreeSnapshot() = default;
    [[nodiscard]] bool is_own(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names_in(int root) const;
    [[nodiscard]] bool is_later(const timespec& time) const;
    [[nodiscard]] bool next_unchanged(std::vector<OpenFolder>& open,
                                      std::size_t& entries_left) const;

    std::filesystem::path worktree_;
    std::filesystem::path git_dir_;
    std::string status_file_name_;
    dev_t device_ = 0;
    timespec start_{};  ///< By the clock of the file system.
    std::vector<std::string> names_;
};

}  // namespace autoexec::agent
