#pragma once

#include "async/short_names.hpp"
#include "git/worktrees.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <string>

namespace autoexec::cli {

/// Creates the worktrees that `NAME[@REF]` describes: `.tapps-agents/worktrees/NAME` on the new
/// branch `workflow/NAME`, at REF or HEAD. Opens the repository when it is first needed.
class NewWorktrees {
public:
    explicit NewWorktrees(git::RepositoryOptions options) : options_(std::move(options)) {}

    /// Resolves REF before any command runs, since a command may move it.
    asio::awaitable<void> resolve(std::string wanted);

    asio::awaitable<git::NewTree> make(std::string wanted);

private:
    asio::awaitable<git::Problem> open();

    git::RepositoryOptions options_;
    std::shared_ptr<git::Repository> repository_;
    std::map<std::string, std::string> commits_;  ///< By REF.
};

}  // namespace autoexec::cli
