#include "runner/worktree_trees.hpp"

#include "protocol/fields.hpp"
#include "protocol/text.hpp"
#include "runner/project.hpp"
#include "runner/runs.hpp"
#include "runner/tell.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <exception>
#include <set>
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

std::map<std::string, TreeOwner> owners_of(const std::vector<worktree::TreeInfo>& trees,
                                           const std::filesystem::path& root)
{
    std::map<std::string, TreeOwner> owners;
    std::size_t age = 0;
    for (const auto& id : workflow::list_runs(root)) {
        std::string ignored;
        const auto run = workflow::read_run(root, id, ignored);
        if (!run) continue;
        const auto names = trees_of(*run);
        bool has_some = false;
        for (const auto& tree : trees) {
            // Those of conflicts are in no journal.
            if (!names.contains(tree.name) && !tree.name.starts_with("workflow-" + id + "-"))
                continue;
            owners.emplace(tree.name, TreeOwner{id, std::string(state_of(*run)), age});
            has_some = true;
        }
        if (has_some) ++age;
    }
    return owners;
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
