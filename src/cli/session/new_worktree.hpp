#pragma once

#include "git/repository.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <string>

namespace autoexec::cli {

/// Makes worktrees that are named `NAME[@REF]`: below `.tapps-agents/worktrees/`, on the new branch
/// `workflow/NAME`, from REF or HEAD. The repository is opened for the first of them.
class NewWorktrees {
public:
    explicit NewWorktrees(git::RepositoryOptions options) : options_(std::move(options)) {}

    /// Fixes the commit that REF names now: a command that runs in the checkout may move it.
    asio::awaitable<void> resolve(std::string wanted);

    asio::awaitable<git::NewTree> make(std::string wanted);

private:
    asio::awaitable<git::Problem> open();

    git::RepositoryOptions options_;
    std::shared_ptr<git::Repository> repository_;
    std::map<std::string, std::string> commits_;  ///< By REF.
};

}  // namespace autoexec::cli
