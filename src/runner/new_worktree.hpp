#pragma once

#include "autoexec/ports.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace autoexec::runner {

struct NewWorktree {
    std::filesystem::path path;
    std::string problem;  ///< Why there is none; else empty.
};

/// `NAME[@REF]`: a worktree below `.tapps-agents/worktrees/`, on the new branch `workflow/NAME`,
/// from REF or HEAD.
asio::awaitable<NewWorktree> make_worktree(std::shared_ptr<Spawner> spawner,
                                           std::filesystem::path project_root, std::string wanted);

}  // namespace autoexec::runner
