#include "git/repository_impl.hpp"
#include "git/salvage_message.hpp"

#include <fmt/format.h>

#include <utility>

namespace autoexec::git {

asio::awaitable<NewTree> Repository::Impl::restore(std::string ref, std::string name)
{
    NewTree made;
    const auto found = co_await git(bare, "for-each-ref", "--count=1",
                                    "--format=%(objectname)%00%(contents)%00%(refname)%00", ref);
    const auto parts = split_nul(found.output);
    // Git also lists refs below the name.
    if (!ref.starts_with(salvage_refs) || parts.size() < 3 || parts[2] != ref) {
        made.problem = fmt::format("The salvage '{}' does not exist.", shown(ref));
        co_return made;
    }
    const std::string commit(parts[0]);
    const auto record = read_salvage_message(parts[1]);
    // A salvage of an unborn branch has no other base.
    const auto base = record.head.empty() ? commit : record.head;
    made = co_await add_tree(std::move(name), base, false);
    if (!made.problem.empty()) co_return made;
    made.problem = co_await put_in_place(made, base, commit, record.index);
    if (made.problem.empty()) co_return made;
    made.problem =
        fmt::format("{} could not be restored into {}: {}", ref, made.path.string(), made.problem);
    auto removing = remove_new_tree(made.path);
    co_await std::move(removing);
    auto going = drop_new_branch(made.branch, base);
    co_await std::move(going);
    co_return made;
}

asio::awaitable<Problem> Repository::Impl::put_in_place(const NewTree& made, std::string base,
                                                        std::string commit, std::string index)
{
    const auto entry = find_entry(common, made.path);
    if (!entry) co_return "its folder does not exist";
    // In a sparse checkout, changed files outside the sparse part are restored, too.
    const auto written = co_await git(entry->context(), "-c", "core.sparseCheckout=false",
                                      "read-tree", "-m", "-u", base, commit);
    if (!written.ok()) co_return reason_of(written);
    const auto unstaged = co_await git(entry->context(), "reset", "--quiet", "--mixed");
    if (!unstaged.ok() || index.empty()) co_return unstaged.ok() ? Problem() : reason_of(unstaged);
    const auto staged = co_await git(entry->context(), "read-tree", "--reset", index);
    if (!staged.ok()) co_return reason_of(staged);
    (void)co_await git(entry->context(), "update-index", "-q", "--refresh");
    co_return Problem();
}

}  // namespace autoexec::git
