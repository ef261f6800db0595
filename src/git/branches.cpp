#include "git/repository_impl.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::git {
namespace {

constexpr std::size_t max_message_length = 64 * 1024;
constexpr std::string_view engine_name = "autoexec";
constexpr std::string_view engine_email = "autoexec@localhost";

std::string message_text(std::string text)
{
    text = text::valid_utf8(text.substr(0, max_message_length));
    std::erase(text, '\0');
    return text;
}

std::string blocked_by(std::string_view other, std::string_view branch)
{
    const auto above = branch.substr(0, other.size() + 1);
    return fmt::format(
        "The repository has a branch named '{0}', so no branch '{1}…' can be created. Rename it: "
        "git branch -m {0} NAME",
        other, above);
}

}  // namespace

asio::awaitable<Commit> Repository::Impl::resolve(std::string revision)
{
    Commit found;
    const bool sound =
        !revision.empty() && revision.front() != '-' && revision.find('\0') == std::string::npos;
    if (sound) {
        const auto output =
            co_await git(project, "rev-parse", "--verify", "--quiet", revision + "^{commit}");
        if (output.ok()) found.id = line_of(output);
        found.problem = output.exit.error;
    }
    if (found.problem.empty() && !is_object_id(found.id)) {
        found.id.clear();
        found.problem = fmt::format("'{}' is not a commit of this repository.", shown(revision));
    }
    co_return found;
}

asio::awaitable<bool> Repository::Impl::holds(std::string commit, std::string path)
{
    const auto plain = std::filesystem::path(path).lexically_normal();
    if (plain.empty() || plain.is_absolute() || *plain.begin() == "..") co_return false;
    auto name = plain.string();
    if (name.ends_with('/')) name.pop_back();
    const auto found = co_await resolve(std::move(commit));
    if (!found.problem.empty() || name == ".") co_return found.problem.empty();
    const auto listing = co_await git(bare, "--literal-pathspecs", "ls-tree", "-z", "--name-only",
                                      "--full-tree", found.id, "--", name);
    co_return listing.ok() && !listing.output.empty();
}

asio::awaitable<std::string> Repository::Impl::tip_of(std::string branch)
{
    const auto output =
        co_await git(bare, "rev-parse", "--verify", "--quiet", branch_ref(branch) + "^{commit}");
    co_return output.ok() ? line_of(output) : std::string();
}

asio::awaitable<bool> Repository::Impl::contains(std::string commit, std::string ancestor)
{
    if (commit == ancestor) co_return true;
    if (commit.empty() || ancestor.empty()) co_return false;
    const auto answer = co_await git(bare, "merge-base", "--is-ancestor", ancestor, commit);
    co_return answer.ok();
}

asio::awaitable<bool> Repository::Impl::contains_both(std::string commit, std::string one,
                                                      std::string other)
{
    const bool first = co_await contains(commit, std::move(one));
    if (!first) co_return false;
    co_return co_await contains(std::move(commit), std::move(other));
}

asio::awaitable<Problem> Repository::Impl::set_branch(std::string branch, std::string commit,
                                                      std::string old)
{
    const auto named = co_await git(bare, "check-ref-format", branch_ref(branch));
    if (!named.ok()) co_return fmt::format("'{}' is not a valid branch name.", shown(branch));
    const auto target = co_await resolve(std::move(commit));
    if (!target.problem.empty()) co_return target.problem;
    co_return co_await move_branch(std::move(branch), target.id, std::move(old));
}

asio::awaitable<Problem> Repository::Impl::move_branch(std::string branch, std::string commit,
                                                       std::string old)
{
    // An agent may have made the branch a symbolic ref; its target must not be changed.
    const auto moved = co_await git(bare, "update-ref", "--no-deref", "--create-reflog", "-m",
                                    "autoexec", branch_ref(branch), commit, old);
    if (moved.ok()) co_return Problem();
    for (auto slash = branch.find('/'); slash != std::string::npos;
         slash = branch.find('/', slash + 1)) {
        const auto above = branch.substr(0, slash);
        const auto tip = co_await tip_of(above);
        if (!tip.empty()) co_return blocked_by(above, branch);
    }
    const auto tip = co_await tip_of(branch);
    if (old.empty() && !tip.empty())
        co_return fmt::format("The branch '{}' already exists.", shown(branch));
    if (tip != old)
        co_return fmt::format("The branch '{}' was moved by another process: it is now at {}.",
                              shown(branch), tip.empty() ? "nothing" : tip.substr(0, 12));
    co_return fmt::format("The branch '{}' cannot be set: {}", shown(branch), reason_of(moved));
}

asio::awaitable<Commit> Repository::Impl::commit_tree(std::string tree, Words parents,
                                                      std::string message, std::string date)
{
    co_await ensure_identity();
    auto context = bare;
    context.date = std::move(date);
    Words words{"commit-tree", std::move(tree)};
    for (auto& parent : parents) {
        if (std::find(words.begin(), words.end(), parent) != words.end()) continue;
        words.emplace_back("-p");
        words.push_back(std::move(parent));
    }
    words.emplace_back("-m");
    words.push_back(message_text(std::move(message)));
    const auto output = co_await git.run(context, std::move(words));
    Commit made;
    if (output.ok())
        made.id = line_of(output);
    else
        made.problem = fmt::format("The commit cannot be written: {}", reason_of(output));
    co_return made;
}

asio::awaitable<void> Repository::Impl::ensure_identity()
{
    if (identity_checked) co_return;
    bool known = true;
    for (const auto* const role : {"GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT"}) {
        const auto answer = co_await git(project, "var", role);
        known = known && answer.ok();
    }
    if (identity_checked) co_return;  // another operation was faster
    identity_checked = true;
    if (known) co_return;
    git.set_identity(engine_name, engine_email);
    identity_warning = fmt::format(
        "Git has no user name, so commits are made as '{} <{}>'. To change that: git config "
        "user.name NAME; git config user.email ADDRESS",
        engine_name, engine_email);
}

void Repository::Impl::warn_of_identity(std::vector<std::string>& warnings)
{
    if (identity_warning.empty()) return;
    warnings.push_back(std::exchange(identity_warning, {}));
}

}  // namespace autoexec::git
