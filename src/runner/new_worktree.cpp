#include "runner/new_worktree.hpp"

#include <algorithm>
#include <utility>

namespace autoexec::runner {

asio::awaitable<git::NewTree> NewWorktrees::make(std::string wanted)
{
    git::NewTree made;
    if (!repository_) {
        auto opening = git::Repository::open(options_);
        auto opened = co_await std::move(opening);
        made.problem = std::move(opened.problem);
        repository_ = std::move(opened.repository);
    }
    if (!made.problem.empty()) co_return made;
    const auto at = std::min(wanted.find('@'), wanted.size());
    auto base = at == wanted.size() ? std::string("HEAD") : wanted.substr(at + 1);
    auto making = repository_->add_tree(wanted.substr(0, at), std::move(base));
    co_return co_await std::move(making);
}

}  // namespace autoexec::runner
