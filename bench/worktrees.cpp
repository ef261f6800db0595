// What does a workflow cost whose steps work in worktrees of their own?
//
// Steps side by side in a repository with many files, each of which changes one, and one that waits
// for all of them. The limit is what git itself needs for the same worktrees, commits and merges,
// by the commands that a person would type, one after the other.
//
// usage: worktrees git|autoexec STEPS FILES

#include "autoexec/agent.hpp"
#include "autoexec/workflow_executor.hpp"

#include "agent/agents_file_reader.hpp"
#include "async/short_names.hpp"
#include "measure.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>

using namespace autoexec;
using namespace autoexec::bench;
namespace fs = std::filesystem;

namespace {

void sh(const fs::path& folder, const std::string& script)
{
    const auto line = fmt::format("cd '{}' && {}", folder.string(), script);
    check(std::system(line.c_str()) == 0, line);
}

fs::path make_repository(const fs::path& folder, std::size_t files)
{
    const auto root = folder / "project";
    fs::create_directories(root);
    for (std::size_t i = 0; i < files; ++i) {
        const auto place = root / fmt::format("folder-{}", i / 100);
        fs::create_directories(place);
        std::ofstream(place / fmt::format("file-{}", i)) << "content " << i << "\n";
    }
    sh(root,
       "git init -q -b main . && git config user.name Bench && git config user.email "
       "bench@localhost "
       "&& git config gc.auto 0 && git add -A && git commit -q -m files");
    return root;
}

std::string work_of(std::size_t i)
{
    return fmt::format("echo changed >folder-{0}/file-{0}00", i);
}

Workflow make_workflow(std::size_t steps)
{
    Workflow w;
    w.id = "bench";
    WorkflowStep last;
    last.id = "last";
    last.argv = {"sh", "-c", "echo done >done"};
    for (std::size_t i = 0; i < steps; ++i) {
        WorkflowStep s;
        s.id = fmt::format("s{}", i);
        s.argv = {"sh", "-c", work_of(i)};
        last.depends_on.push_back(s.id);
        w.steps.push_back(std::move(s));
    }
    w.steps.push_back(std::move(last));
    return w;
}

void by_executor(const fs::path& root, std::size_t steps)
{
    raise_descriptor_limit();
    asio::io_context ctx(1);
    const auto spawner = supervised_spawner(AUTOEXEC_SUPERVISOR);
    ExecutorOptions o;
    o.project_root = root;
    o.notifier = local_notifier();
    o.max_parallel = 0;
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), o);
    AgentOptions a;
    a.project_root = root;
    const auto reading = parse_agents(
        "agents: [{name: sh, type: background, commands: ['sh -c {command}'], accept_argv: true}]",
        "agents.yaml");
    a.agents = reading.file;
    a.notifier = o.notifier;
    a.find_worktrees = false;
    a.spawner = spawner;
    BackgroundAgent agent(ctx.get_executor(), a);
    WorkflowExecutorOptions e;
    e.project_root = root;
    e.spawner = spawner;
    e.min_free_bytes = 0;
    e.on_worktree = [&](const fs::path& tree) { agent.add_worktree(tree); };
    WorkflowExecutor workflows(executor, e);
    asio::co_spawn(ctx, agent.run(), asio::detached);
    WorkflowRunOptions run;
    run.worktrees = WorktreeMode::step;
    workflows.async_run(make_workflow(steps), run, [&](error_code, WorkflowResult result) {
        check(result.status == WorkflowStatus::completed, result.error);
        asio::co_spawn(ctx, agent.stop(), asio::detached);
    });
    ctx.run();
}

// The merges in a tree of their own, as somebody's own checkout is not to be touched.
void by_hand(const fs::path& root, std::size_t steps)
{
    sh(root, "git worktree add -q -b all ../all");
    for (std::size_t i = 0; i < steps; ++i)
        sh(root, fmt::format("git worktree add -q -b s{0} ../s{0} && cd ../s{0} && {1} && "
                             "git add -A && git commit -q -m s{0}",
                             i, work_of(i)));
    for (std::size_t i = 0; i < steps; ++i)
        sh(root, fmt::format("git -C ../all merge -q -m m s{}", i));
    sh(root, "cd ../all && echo done >done && git add -A && git commit -q -m last");
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const auto steps = arguments.number(0, 100);
    const Scratch folder;
    const auto root = make_repository(folder.path(), arguments.number(1, 10'000));
    const auto work = arguments.way() == "autoexec" ? by_executor : by_hand;
    const auto cost = cost_of([&] { work(root, steps); });
    print_figures({{"cpu", cost.cpu}, {"wall", cost.wall}, {"count", static_cast<double>(steps)}});
}
