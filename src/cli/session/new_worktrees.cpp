#include "cli/session/new_worktrees.hpp"

#include "cli/session/output.hpp"
#include "cli/worktree/trees.hpp"
#include "text/text.hpp"

#include <utility>

namespace autoexec::cli {

NewWorktrees::NewWorktrees(const CommandSession& session, const WorktreesConfig& config,
                           std::shared_ptr<git::Interrupt> interrupt)
    : options_(repository_options(session.root()))
{
    options_.spawner = session.spawner();
    options_.min_free_bytes = config.min_free_bytes;
    options_.interrupt = std::move(interrupt);
}

asio::awaitable<void> NewWorktrees::open()
{
    if (opened_.repository) co_return;
    auto opening = git::Repository::open(options_);
    opened_ = co_await std::move(opening);
}

asio::awaitable<std::string> NewWorktrees::commit_of(std::string ref)
{
    co_await open();
    const auto known = commits_.find(ref);
    if (known != commits_.end()) co_return known->second;
    if (!opened_.repository) co_return ref;
    auto resolving = opened_.repository->resolve(ref);
    const auto commit = co_await std::move(resolving);
    co_return commits_.emplace(ref, commit.problem.empty() ? commit.id : ref).first->second;
}

asio::awaitable<git::NewTree> NewWorktrees::create(std::string name, std::string commit, bool reuse)
{
    co_await open();
    git::NewTree made;
    made.problem = opened_.problem;
    if (!opened_.repository) co_return made;
    auto making = git::add_tree(*opened_.repository, std::move(name), std::move(commit), reuse);
    made = co_await std::move(making);
    for (const auto& warning : made.warnings)
        print_message("warning: {}\n", text::printable(warning));
    co_return made;
}

}  // namespace autoexec::cli
