#pragma once

#include "async/short_names.hpp"
#include "autoexec/config.hpp"
#include "cli/session/command_session.hpp"
#include "files/safe_files.hpp"
#include "git/worktrees.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <string>

namespace autoexec::cli {

/// Creates the worktrees of commands. The repository is opened when one is needed.
class NewWorktrees {
public:
    /// `interrupt` cancels the calls of git.
    NewWorktrees(const CommandSession& session, const WorktreesConfig& config,
                 std::shared_ptr<git::Interrupt> interrupt);

    /// The commit of REF now: a later command may move it. REF itself if it cannot be resolved;
    /// `create` then has the problem.
    asio::awaitable<std::string> commit_of(std::string ref);

    /// Prints warnings. With `reuse`, an existing worktree of that name is used as it is. While
    /// another operation or process creates one of that name, it waits.
    asio::awaitable<git::NewTree> create(std::string name, std::string commit, bool reuse = false);

    /// Commits all changes of a completed command to the branch of the worktree that was created
    /// for it, as those of a step. Problems become warnings of `result`, which must outlive the
    /// operation. Returns the branch; empty: there was nothing to commit.
    asio::awaitable<std::string> commit(std::string name, ExecutionResult& result);

private:
    asio::awaitable<void> open();
    /// Empty, with a sentence in `problem`, if it cannot be locked.
    asio::awaitable<files::UniqueFd> lock_name(std::string name, std::string& problem);

    git::RepositoryOptions options_;
    std::shared_ptr<const Redactor> redactor_;
    git::Repository::Opened opened_;
    std::map<std::string, std::string> commits_;  ///< By REF.
};

}  // namespace autoexec::cli
