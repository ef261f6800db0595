#pragma once

#include "git/repository.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>

namespace autoexec::runner {

/// Makes worktrees that are named `NAME[@REF]`: below `.tapps-agents/worktrees/`, on the new branch
/// `workflow/NAME`, from REF or HEAD. The repository is opened for the first of them.
class NewWorktrees {
public:
    explicit NewWorktrees(git::RepositoryOptions options) : options_(std::move(options)) {}

    asio::awaitable<git::NewTree> make(std::string wanted);

private:
    git::RepositoryOptions options_;
    std::shared_ptr<git::Repository> repository_;
};

}  // namespace autoexec::runner
