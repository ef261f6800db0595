#include "autoexec/agent.hpp"

#include "agent/agents_file_reader.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "logging/log.hpp"
#include "protocol/layout.hpp"
#include "records/debug_log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <spdlog/spdlog.h>

#include <csignal>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_agent_jobs = 10'000;  // as the setting agent.max_parallel

struct AgentCommandOptions : CommonOptions {
    std::vector<std::string> worktrees;
    int jobs = 0;
    bool verbose = false;
};

// Flags override the configuration.
AgentOptions agent_options(const AgentCommandOptions& o, const AutoExecutionConfig& config,
                           const fs::path& root)
{
    auto a = autoexec::agent_options(config, root);
    if (o.jobs > 0) a.max_parallel = o.jobs;
    for (const auto& tree : o.worktrees)
        a.worktrees.push_back(fs::absolute(tree).lexically_normal());
    return a;
}

// Runs the agent until a signal.
asio::awaitable<void> serve(asio::io_context& ctx, asio::signal_set& signals,
                            BackgroundAgent& worker, RecordWriters records)
{
    asio::co_spawn(ctx, worker.run(), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    error_code ec;
    co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    logging::log(logging::LogLevel::info,
                 "stopping running commands. Press Ctrl-C again to kill them.");
    signals.clear();
    co_await worker.stop();
    co_await records.stop();
    ctx.stop();
}

config::Reloader reloader_for(BackgroundAgent& worker, AutoExecutionConfigManager& manager,
                              const AgentCommandOptions& options, const RecordWriters& records)
{
    const auto take = [&](const AutoExecutionConfig& config, const auto& changed) {
        worker.set_options(agent_options(options, config, manager.project_root()));
        records::set_debug_log(manager.project_root(), config.debug);
        logging::log(logging::LogLevel::info, "{}", changes_sentence(changed));
    };
    const auto refuse = [](const auto& problems) {
        print_problems(problems);
        logging::log(logging::LogLevel::error, "The previous configuration stays in effect.");
    };
    return {manager, records.audit, take, refuse};
}

// Prints the warnings.
AgentsFile usable_agents(const fs::path& root)
{
    auto loaded = load_agents(root);
    print_problems(loaded.errors);
    print_problems(loaded.file.warnings);
    if (!loaded.errors.empty()) throw Failure(exit_invalid);
    return std::move(loaded.file);
}

int run_agent(const AgentCommandOptions& options)
{
    if (options.verbose) spdlog::set_level(spdlog::level::debug);
    const auto root = project_root(options);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, false);
    records::set_debug_log(root, config.debug);
    auto agents = usable_agents(root);
    std::string names;
    for (const auto& definition : agents.agents)
        if (autoexec::agent::accepts_commands(definition))
            names += (names.empty() ? "" : ", ") + definition.name;
    if (names.empty())
        fail(exit_invalid,
             "no enabled agent in {} has a command with {{command}} or {{command_file_path}}",
             (root / layout::agents_file).string());

    asio::io_context ctx(1);
    asio::signal_set signals(ctx, SIGINT, SIGTERM);  // before the agent announces itself
    const RecordWriters records(ctx.get_executor(), config, root);
    auto worker_options = agent_options(options, config, root);
    worker_options.agents = std::move(agents);
    worker_options.sinks = records.sinks();
    worker_options.sinks.push_back(records::logging_sink());
    if (config.executor.file_events != FileEvents::off)
        worker_options.notifier =
            file_notifier(ctx.get_executor(), {root, config.executor.status_file_name, false});
    BackgroundAgent worker(ctx.get_executor(), std::move(worker_options));
    auto reloader = reloader_for(worker, manager, options, records);
    watch_configuration(ctx.get_executor(), reloader);
    logging::log(logging::LogLevel::info, "looking for commands in {} as {}", root.string(), names);
    asio::co_spawn(ctx, serve(ctx, signals, worker, records), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    ctx.run();
    const auto losses = records.losses();
    for (const auto& loss : losses) logging::log(logging::LogLevel::error, "{}", loss);
    return losses.empty() ? exit_completed : exit_internal;
}

void define_agent(CLI::App& app, AgentCommandOptions& o)
{
    add_common(app, o);
    add_list(app, "-w,--worktree", o.worktrees, "DIR",
             "Also watch DIR, besides the repository's worktrees")
        ->allow_extra_args();
    add_count(
        app, "-j,--jobs,--max-parallel", max_agent_jobs,
        [&o](std::size_t n) { o.jobs = static_cast<int>(n); },
        "Run at most N commands at once; 0: use the limits of the agents file");
    app.add_flag("-v,--verbose", o.verbose, "Log each ignored command with the reason");
    app.footer(
        "The agents are read from the project's .cursor/background-agents.yaml. Ctrl-C stops the\n"
        "agent and its commands.\n"
        "\nExample:\n  autoexec agent --project ~/src/app");
}

}  // namespace

extern const Subcommand agent_subcommand =
    subcommand("agent", "Run as an agent: claim and run published commands until stopped",
               define_agent, run_agent);

}  // namespace autoexec::cli
