#pragma once

#include "view/read_check.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace autoexec::view {

/// The linked worktrees of the project's repository, as its git directory lists them.
class Worktrees {
public:
    explicit Worktrees(std::filesystem::path project_root) : project_root_(std::move(project_root))
    {}

    /// Begins to look at everything.
    void begin_sweep();
    /// Does a part of that, some ten system calls. False: nothing is left.
    bool step();

    /// Where git lists them. Empty: there is no repository.
    [[nodiscard]] std::filesystem::path folder() const { return folder_.value_or(""); }

    /// The paths that have come or gone since the last call.
    [[nodiscard]] std::set<std::string> take_changed() { return std::exchange(changed_, {}); }
    [[nodiscard]] bool has(const std::string& path) const { return paths_.contains(path); }

private:
    struct Known {
        ReadCheck check{};
        std::string path{};  ///< Empty: not known.
    };

    void set_path(Known& tree, std::string path);

    std::filesystem::path project_root_;
    std::optional<std::filesystem::path> folder_;
    ReadCheck check_;
    std::map<std::string, Known> known_;        ///< By git's names for them.
    std::map<std::string, std::size_t> paths_;  ///< How many of them have it.
    std::set<std::string> changed_;

    // Of a sweep.
    bool sweeping_ = false;
    std::string name_;  ///< Before the next one.
};

}  // namespace autoexec::view
