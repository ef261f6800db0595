#include "runner/worktree_trees.hpp"

#include "protocol/fields.hpp"
#include "protocol/text.hpp"
#include "runner/project.hpp"
#include "runner/runs.hpp"
#include "runner/tell.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <utility>

namespace autoexec::runner {
namespace {

// Of all rounds: each was told when it was made.
std::set<std::string> trees_of(const workflow::RunRecord& run)
{
    std::set<std::string> names;
    for (const auto& transition : run.transitions) {
        std::vector<std::string> ignored;
        if (auto name = protocol::Fields(&transition, ignored).string("tree"))
            names.insert(*std::move(name));
    }
    return names;
}

asio::awaitable<int> open_and_work(
    worktree::RepositoryOptions options, const char* verb,
    std::function<asio::awaitable<int>(std::shared_ptr<worktree::Repository>)> work)
{
    auto opening = worktree::Repository::open(std::move(options));
    const auto opened = co_await std::move(opening);
    if (!opened.problem.empty()) {
        tell(stderr, "autoexec worktree {}: {}\n", verb, protocol::printable(opened.problem, true));
        co_return exit_invalid;
    }
    auto working = work(opened.repository);
    co_return co_await std::move(working);
}

}  // namespace

std::vector<TreeRun> runs_with_trees(const std::filesystem::path& root)
{
    std::vector<TreeRun> runs;
    for (const auto& id : workflow::list_runs(root)) {
        std::string ignored;
        const auto run = workflow::read_run(root, id, ignored);
        if (!run) continue;
        TreeRun known{id, std::string(state_of(*run)), trees_of(*run), run->transitions.size()};
        if (!known.trees.empty()) runs.push_back(std::move(known));
    }
    return runs;
}

const TreeRun* owner_of(const worktree::TreeInfo& tree, const std::vector<TreeRun>& runs)
{
    const auto find = [&runs](auto is_owner) -> const TreeRun* {
        const auto found = std::find_if(runs.begin(), runs.end(), is_owner);
        return found == runs.end() ? nullptr : &*found;
    };
    if (const auto* const run =
            find([&](const TreeRun& one) { return one.trees.contains(tree.name); }))
        return run;
    // Those of conflicts are in no journal, and older ones do not say whose they are.
    return find([&](const TreeRun& one) {
        return tree.run_id.empty() ? tree.name.starts_with("workflow-" + one.run_id + "-")
                                   : tree.run_id == one.run_id;
    });
}

int with_repository(const CommonOptions& common, const char* verb,
                    std::function<asio::awaitable<int>(std::shared_ptr<worktree::Repository>)> work)
{
    worktree::RepositoryOptions options;
    options.project_root = project_root(common);
    options.spawner = supervised_spawner();
    options.clock = system_clock();
    asio::io_context ctx{1};
    int code = exit_engine;
    asio::co_spawn(ctx, open_and_work(std::move(options), verb, std::move(work)),
                   [&code](std::exception_ptr failure, int result) {
                       if (failure) std::rethrow_exception(failure);
                       code = result;
                   });
    ctx.run();
    return code;
}

}  // namespace autoexec::runner
