#pragma once

#include "autoexec/view.hpp"
#include "view/entries.hpp"
#include "view/read_check.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::view {

/// The linked worktrees of the project's repository, as its git directory lists them.
class Worktrees {
public:
    explicit Worktrees(std::filesystem::path project_root) : project_root_(std::move(project_root))
    {}

    /// Reads again what has changed.
    void refresh();

    /// All. `user_of`: the id of the execution that uses a worktree, or an empty text.
    [[nodiscard]] EntryList<WorktreeEntry> list(
        const std::function<std::string(const std::filesystem::path&)>& user_of);

private:
    struct Known {
        ReadCheck check{};
        std::filesystem::path path{};  ///< Empty: not known.
        std::shared_ptr<const WorktreeEntry> entry{};
    };

    std::filesystem::path project_root_;
    std::optional<std::filesystem::path> folder_;
    ReadCheck check_;
    std::map<std::string, Known> known_;  ///< By git's names for them.
};

}  // namespace autoexec::view
