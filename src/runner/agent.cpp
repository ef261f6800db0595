#include "autoexec/agent.hpp"

#include "autoexec/audit.hpp"
#include "autoexec/diagnostic.hpp"
#include "autoexec/metrics.hpp"
#include "agent/agents_file.hpp"
#include "platform/log.hpp"
#include "runner/cli.hpp"
#include "runner/project.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>

namespace autoexec::runner {
namespace {

namespace fs = std::filesystem;

AgentOptions agent_options(const AgentVerbOptions& o, const fs::path& root, AgentsFile file)
{
    AgentOptions a;
    a.project_root = root;
    a.agents = std::move(file);
    a.max_parallel = o.jobs;
    for (const auto& tree : o.worktrees) a.worktrees.push_back(fs::absolute(tree).lexically_normal());
    return a;
}

// Two lives side by side: the agent's, and the wait for the signal that ends it.
asio::awaitable<void> serve(asio::io_context& ctx, BackgroundAgent& worker,
                            std::shared_ptr<AuditLogger> audit,
                            std::shared_ptr<ExecutionMetricsCollector> metrics)
{
    asio::co_spawn(ctx, worker.run(), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    asio::signal_set signals(ctx, SIGINT, SIGTERM);
    error_code ec;
    co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    platform::log(platform::LogLevel::info,
                  "stopping; what runs is told to end, then killed. Once more ends at once.");
    signals.clear();
    co_await worker.async_stop();
    (void)co_await audit->async_stop();
    (void)co_await metrics->async_stop();
    ctx.stop();
}

}  // namespace

int agent(const AgentVerbOptions& options)
{
    if (options.verbose) spdlog::set_level(spdlog::level::debug);
    const auto root = project_root(options.common);
    auto loaded = load_agents(root);
    if (!loaded.errors.empty()) {
        fmt::print(stderr, "{}", to_string(loaded.errors));
        return exit_invalid;
    }
    fmt::print(stderr, "{}", to_string(loaded.file.warnings));

    std::string names;
    for (const auto& definition : loaded.file.agents)
        if (autoexec::agent::takes_commands(definition))
            names += (names.empty() ? "" : ", ") + definition.name;
    if (names.empty()) {
        fmt::print(stderr,
                   "autoexec agent: no enabled agent in {} has a command with {{command}} or "
                   "{{command_file_path}}\n",
                   (root / ".cursor/background-agents.yaml").string());
        return exit_invalid;
    }

    asio::io_context ctx(1);
    AuditOptions audit_options;
    audit_options.project_root = root;
    MetricsOptions metrics_options;
    metrics_options.project_root = root;
    const auto audit = std::make_shared<AuditLogger>(ctx.get_executor(), audit_options);
    const auto metrics =
        std::make_shared<ExecutionMetricsCollector>(ctx.get_executor(), metrics_options);
    auto worker_options = agent_options(options, root, std::move(loaded.file));
    worker_options.sinks = {audit, metrics};
    BackgroundAgent worker(ctx.get_executor(), std::move(worker_options));
    platform::log(platform::LogLevel::info, "looking for commands in {} as {}", root.string(),
                  names);
    asio::co_spawn(ctx, serve(ctx, worker, audit, metrics), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    ctx.run();
    return exit_completed;
}

}  // namespace autoexec::runner
