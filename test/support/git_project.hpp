#pragma once

#include "support/workflow_project.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::test {

/// A project with nothing left to commit, in which each step works in a worktree of its own.
class GitProject : public WorkflowProject {
public:
    void committed_steps(const Words& all);

    /// The words of a run as a person who says nothing of worktrees types them.
    [[nodiscard]] static Words words(const Words& more = {});
    Ended go(const Words& more = {}) const { return run(words(more)); }
    Ended resume(const Words& more = {}) const;
    [[nodiscard]] std::size_t lines_in_journals() const;
    /// Kills a run when its journal has so many lines, and resumes it unless it has ended.
    void go_with_kill_at(std::size_t lines) const;

    [[nodiscard]] std::string branch() const;
    [[nodiscard]] std::string rev(const std::string& name) const;
    [[nodiscard]] std::string shown(const std::string& path, const std::string& in = {}) const;
    /// Mode, hash and name of each file in a commit. The agents file is not the same in two
    /// projects.
    [[nodiscard]] Words files(const std::string& in = {}) const;
    [[nodiscard]] std::string listed(const std::string& in = {}) const;
    [[nodiscard]] bool is_untouched() const;

    /// The worktree in which a conflict stands, as it is told.
    [[nodiscard]] static fs::path place_of_conflict(const std::string& text);

private:
    std::string head_;
};

}  // namespace autoexec::test
