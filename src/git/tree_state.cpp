#include "git/tree_state.hpp"

#include "git/git.hpp"
#include "git_files/git_dir.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <utility>

namespace autoexec::git {
namespace {

constexpr std::size_t max_state = 4096;
// It is only a description, so a retry waits no longer for it.
constexpr std::chrono::seconds time_limit{10};

}  // namespace

std::optional<GitContext> git_context_of(const fs::path& folder)
{
    error_code shortage;  // then there is no description
    auto found = git_files::find_recent_tree_in(std::nullopt, folder, shortage);
    if (!found) return std::nullopt;
    return git_context_of(*std::move(found));
}

GitContext git_context_of(GitTree tree)
{
    GitContext context(std::move(tree.git_dir), std::move(tree.common_dir), std::move(tree.top));
    context.trusted = TrustedConfig::user;
    return context;
}

asio::awaitable<std::string> tree_state(std::shared_ptr<Spawner> spawner,
                                        std::shared_ptr<Clock> clock,
                                        std::shared_ptr<Interrupt> interrupt, GitContext context)
{
    Git git(std::move(spawner), std::move(clock), std::move(interrupt));
    git.limit_to(time_limit);
    const auto status =
        co_await git(context, "status", "--porcelain", "--branch", "--ignore-submodules=dirty");
    if (!status.ok()) co_return fmt::format("unknown: {}", reason_of(status));
    co_return text::valid_utf8(status.output.substr(0, max_state));
}

}  // namespace autoexec::git
