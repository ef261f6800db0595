#pragma once

#include "agent/agents_file_reader.hpp"
#include "autoexec/agent.hpp"
#include "autoexec/workflow_executor.hpp"
#include "support/workflows.hpp"
#include "support/worktree_fixture.hpp"
#include "workflow/journal/journal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace autoexec::test {

/// A step that runs a script in its worktree.
inline WorkflowStep script(std::string id, std::string text, Words depends_on = {})
{
    auto s = step(std::move(id), std::move(depends_on));
    s.argv = {"/bin/sh", "-c", std::move(text)};
    return s;
}

/// Runs of workflows in a real repository, by the bundled agent.
struct GitFixture : WorktreeFixture {
    const WorkflowResult& go(const Workflow& w, std::optional<WorkflowResumeOptions> resume = {})
    {
        asio::io_context ctx;
        ExecutorOptions o;
        o.project_root = root();
        o.notifier = local_notifier();
        o.enable_audit = false;
        MetricsOptions metrics;
        metrics.project_root = root();
        o.metrics = std::make_shared<ExecutionMetricsCollector>(ctx.get_executor(), metrics);
        BackgroundAgentAutoExecutor engine(ctx.get_executor(), o);
        AgentOptions a;
        a.project_root = root();
        auto reading = parse_agents(
            "agents: [{name: sh, type: background, commands: ['sh -c {command}'], "
            "accept_argv: true}]",
            "agents.yaml");
        a.agents = reading.file;
        a.notifier = o.notifier;
        a.find_worktrees = false;
        a.heartbeat_interval = std::chrono::milliseconds(0);
        a.spawner = options.spawner;
        BackgroundAgent agent(ctx.get_executor(), a);
        WorkflowExecutorOptions e;
        e.project_root = root();
        e.metrics = o.metrics;
        e.spawner = options.spawner;
        e.min_free_bytes = 0;
        e.on_worktree = [&](const fs::path& tree) { agent.add_worktree(tree); };
        WorkflowExecutor executor(engine, e);
        asio::co_spawn(ctx, agent.run(), asio::detached);
        const auto done = [&](error_code code, WorkflowResult r) {
            ec = code;
            result = std::move(r);
            asio::co_spawn(ctx, agent.stop(), asio::detached);
        };
        const auto checked_out = git({"status", "--porcelain", "--branch"}) + head();
        if (resume)
            executor.async_resume(workflow::list_runs(root()).front(), w, *resume, run_options,
                                  done);
        else
            executor.async_run(w, run_options, done);
        ctx.run();
        if (run_options.merge_into.empty())
            CHECK(git({"status", "--porcelain", "--branch"}) + head() == checked_out);
        return result;
    }
    [[nodiscard]] const StepResult& of(std::string_view id) const
    {
        for (const auto& s : result.steps)
            if (s.id == id) return s;
        FAIL("there is no step ", id);
        return result.steps.front();
    }
    [[nodiscard]] std::string made(const std::string& path) const
    {
        return content(result.branch, path);
    }

    WorkflowRunOptions run_options = [] {
        WorkflowRunOptions o;
        o.worktrees = WorktreeMode::step;
        return o;
    }();
    error_code ec;
    WorkflowResult result;
};

}  // namespace autoexec::test
