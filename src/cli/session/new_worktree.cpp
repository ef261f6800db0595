#include "cli/session/new_worktree.hpp"

#include <algorithm>
#include <utility>

namespace autoexec::cli {
namespace {

std::string ref_of(const std::string& wanted)
{
    const auto at = wanted.find('@');
    return at == std::string::npos ? std::string("HEAD") : wanted.substr(at + 1);
}

}  // namespace

asio::awaitable<void> NewWorktrees::resolve(std::string wanted)
{
    auto ref = ref_of(wanted);
    if (commits_.contains(ref)) co_return;
    const auto problem = co_await open();
    if (!problem.empty()) co_return;
    auto resolving = repository_->resolve(ref);
    auto commit = co_await std::move(resolving);
    // `make` reports a REF that cannot be resolved.
    if (commit.problem.empty()) commits_.emplace(std::move(ref), std::move(commit.id));
}

asio::awaitable<git::NewTree> NewWorktrees::make(std::string wanted)
{
    git::NewTree made;
    made.problem = co_await open();
    if (!made.problem.empty()) co_return made;
    auto base = ref_of(wanted);
    if (const auto known = commits_.find(base); known != commits_.end()) base = known->second;
    auto making = git::add_tree(*repository_, wanted.substr(0, wanted.find('@')), std::move(base));
    co_return co_await std::move(making);
}

asio::awaitable<git::Problem> NewWorktrees::open()
{
    if (repository_) co_return git::Problem();
    auto opening = git::Repository::open(options_);
    auto opened = co_await std::move(opening);
    repository_ = std::move(opened.repository);
    co_return std::move(opened.problem);
}

}  // namespace autoexec::cli
