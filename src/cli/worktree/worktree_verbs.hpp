#pragma once

#include "cli/cli.hpp"

namespace CLI {
class App;
}

namespace autoexec::cli {

/// What `autoexec worktree` can do.
class WorktreeVerbs {
public:
    /// Defines them below `app`, which must outlive it.
    explicit WorktreeVerbs(CLI::App& app);
    WorktreeVerbs(const WorktreeVerbs&) = delete;
    WorktreeVerbs& operator=(const WorktreeVerbs&) = delete;

    /// Calls the one that was named.
    [[nodiscard]] int go() const;

private:
    void define_gc();
    void define_drop();

    CLI::App& list_verb_;
    CLI::App& gc_verb_;
    CLI::App& restore_verb_;
    CLI::App& drop_verb_;
    WorktreeListOptions list_;
    WorktreeGcOptions gc_;
    WorktreeRestoreOptions restore_;
    WorktreeDropOptions drop_;
};

}  // namespace autoexec::cli
