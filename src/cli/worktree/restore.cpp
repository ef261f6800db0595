#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/worktree/trees.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace autoexec::cli {
namespace {

// The branch of the worktree that it was is still there, so it can't be called the same.
std::string default_name(const std::string& ref)
{
    return "restored-" + ref.substr(ref.rfind('/') + 1);
}

asio::awaitable<int> restore(const WorktreeRestoreOptions& o,
                             std::shared_ptr<git::Repository> repository)
{
    auto remembering = repository->salvages();
    const auto salvages = co_await std::move(remembering);
    const auto salvage = std::find_if(salvages.begin(), salvages.end(), [&](const auto& one) {
        return one.ref == o.ref || one.ref.ends_with("/" + o.ref) || one.tree == o.ref;
    });
    if (salvage == salvages.end()) {
        tell(stderr,
             "autoexec worktree restore: no saved work matches '{}'; see autoexec worktree list\n",
             text::printable(o.ref));
        co_return exit_usage;
    }
    const auto name = o.name.empty() ? default_name(salvage->ref) : o.name;
    auto restoring = repository->restore(salvage->ref, name);
    const auto tree = co_await std::move(restoring);
    if (!tree.problem.empty()) {
        tell(stderr, "autoexec worktree restore: {}\n", text::printable(tree.problem, true));
        co_return exit_engine;
    }
    for (const auto& warning : tree.warnings)
        tell(stderr, "warning: {}\n", text::printable(warning));
    if (o.common.json)
        print_json(boost::json::object{
            {"ref", salvage->ref}, {"path", tree.path.string()}, {"branch", tree.branch}});
    else
        tell(stdout, "restored {} in {}, on the branch {}\n", text::printable(salvage->ref),
             text::printable(shown_path(tree.path)), text::printable(tree.branch));
    co_return exit_completed;
}

}  // namespace

int worktree_restore(const WorktreeRestoreOptions& options)
{
    const auto root = project_root(options.common);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, true);
    if (!config) return exit_invalid;
    auto where = repository_options(root);
    where.min_free_bytes = config->worktrees.min_free_bytes;
    return with_repository(std::move(where), "restore",
                           [&](auto repository) { return restore(options, repository); });
}

}  // namespace autoexec::cli
