#include "protocol/text.hpp"
#include "runner/cli.hpp"
#include "runner/project.hpp"
#include "runner/tell.hpp"
#include "runner/worktree_trees.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdio>

namespace autoexec::runner {
namespace {

namespace json = boost::json;
using worktree::TreeInfo;

bool is_wanted(const WorktreeGcOptions& o, const TreeInfo& tree, const TreeOwner* owner)
{
    if (tree.busy || (owner != nullptr && owner->state == "running")) return false;
    const auto now = std::chrono::system_clock::now();
    if (o.older_than && now - tree.last_used < *o.older_than) return false;
    if (owner != nullptr && owner->age < o.keep) return false;
    // Somebody may want to go on with all others.
    return o.all || (owner != nullptr && owner->state == "completed");
}

void tell_result(const WorktreeGcOptions& o, const TreeInfo& tree, const worktree::Salvage& saved)
{
    const bool done = !o.dry_run && saved.problem.empty();
    if (o.common.json) {
        const auto or_null = [](const std::string& text) {
            return text.empty() ? json::value(nullptr) : json::value(text);
        };
        print_json(json::object{{"name", tree.name},
                                {"path", tree.path.string()},
                                {"branch", or_null(tree.branch)},
                                {"dirty", tree.dirty},
                                {"removed", done},
                                {"saved_as", or_null(saved.ref)},
                                {"problem", or_null(saved.problem)}});
        return;
    }
    const auto name = protocol::printable(tree.name);
    if (o.dry_run)
        tell(stdout, "would remove {}{}\n", name, tree.dirty ? ", and save what is in it" : "");
    else if (!done)
        tell(stderr, "{} stays: {}\n", name, protocol::printable(saved.problem, true));
    else if (saved.ref.empty())
        tell(stdout, "removed {}\n", name);
    else
        tell(stdout, "removed {}; saved as {}\n", name, protocol::printable(saved.ref));
}

asio::awaitable<int> collect(const WorktreeGcOptions& o,
                             std::shared_ptr<worktree::Repository> repository)
{
    auto looking = repository->trees();
    const auto trees = co_await std::move(looking);
    const auto owners = owners_of(trees, project_root(o.common));
    worktree::SalvageOptions how;
    how.include_ignored = o.include_ignored;
    how.reason = "Before its worktree was removed";
    int code = exit_completed;
    std::size_t count = 0;
    for (const auto& tree : trees) {
        const auto owner = owners.find(tree.name);
        if (!is_wanted(o, tree, owner == owners.end() ? nullptr : &owner->second)) continue;
        worktree::Salvage saved;
        if (!o.dry_run) {
            auto removing = repository->remove(tree.path, how);
            saved = co_await std::move(removing);
        }
        if (!saved.problem.empty()) code = exit_engine;
        tell_result(o, tree, saved);
        ++count;
    }
    if (count == 0 && !o.common.json) tell(stderr, "There is nothing to remove.\n");
    co_return code;
}

}  // namespace

int worktree_gc(const WorktreeGcOptions& options)
{
    return with_repository(options.common, "gc",
                           [&](auto repository) { return collect(options, repository); });
}

}  // namespace autoexec::runner
