#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "autoexec/mailbox.hpp"
#include "autoexec/spawner.hpp"
#include "git/git_context.hpp"
#include "git/interrupt.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::git {

/// The git context of a folder, now or within the last second. Determine it before a program runs
/// there: afterwards `.git` may point anywhere. Returns nullopt outside git.
std::optional<GitContext> git_context_of(const fs::path& folder);
GitContext git_context_of(GitTree tree);

/// `git status --porcelain --branch`, at most 4 KiB, or a description of the problem. Runs no
/// program that the repository configures.
asio::awaitable<std::string> tree_state(std::shared_ptr<Spawner> spawner,
                                        std::shared_ptr<Clock> clock,
                                        std::shared_ptr<Interrupt> interrupt, GitContext context);

}  // namespace autoexec::git
