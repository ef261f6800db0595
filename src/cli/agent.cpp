#include "autoexec/agent.hpp"

#include "agent/agents_file_reader.hpp"
#include "autoexec/audit_logger.hpp"
#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "autoexec/metrics_collector.hpp"
#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "logging/log.hpp"
#include "protocol/layout.hpp"
#include "records/debug_log.hpp"
#include "records/unwritten.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <memory>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_agent_jobs = 10'000;  // as the setting agent.max_parallel

struct AgentCommandOptions {
    CommonOptions common;
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

// Logs how many records were lost; true if any was.
bool report_lost(const EventSink* sink)
{
    const auto records = sink == nullptr ? UnwrittenRecords{} : sink->unwritten();
    if (records.lost == 0) return false;
    logging::log(logging::LogLevel::error, "{}", records::lost_sentence(records));
    return true;
}

/// The writers that the configuration enables.
struct Records {
    Records(const asio::any_io_executor& ex, const AutoExecutionConfig& config,
            const fs::path& root)
    {
        if (config.executor.enable_audit)
            audit = std::make_shared<AuditLogger>(ex, audit_options(config, root));
        if (config.executor.enable_metrics)
            metrics =
                std::make_shared<ExecutionMetricsCollector>(ex, metrics_options(config, root));
    }

    [[nodiscard]] std::vector<std::shared_ptr<EventSink>> sinks() const
    {
        std::vector<std::shared_ptr<EventSink>> all{records::logging_sink()};
        if (audit) all.push_back(audit);
        if (metrics) all.push_back(metrics);
        return all;
    }

    [[nodiscard]] bool report_lost() const
    {
        const bool audit_lost = cli::report_lost(audit.get());
        const bool metrics_lost = cli::report_lost(metrics.get());
        return audit_lost || metrics_lost;
    }

    std::shared_ptr<AuditLogger> audit;
    std::shared_ptr<ExecutionMetricsCollector> metrics;
};

// Runs the agent until a signal.
asio::awaitable<void> serve(asio::io_context& ctx, asio::signal_set& signals,
                            BackgroundAgent& worker, Records records)
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
    if (records.audit) (void)co_await records.audit->stop();
    if (records.metrics) (void)co_await records.metrics->stop();
    ctx.stop();
}

config::Reloader reloader_for(BackgroundAgent& worker, AutoExecutionConfigManager& manager,
                              const AgentCommandOptions& options, const Records& records)
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

int run_agent(const AgentCommandOptions& options)
{
    if (options.verbose) spdlog::set_level(spdlog::level::debug);
    const auto root = project_root(options.common);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, false);
    if (!config) return exit_invalid;
    records::set_debug_log(root, config->debug);
    auto loaded = load_agents(root);
    if (!loaded.errors.empty()) {
        print_message(to_string(loaded.errors));
        return exit_invalid;
    }
    print_message(to_string(loaded.file.warnings));

    std::string names;
    for (const auto& definition : loaded.file.agents)
        if (autoexec::agent::accepts_commands(definition))
            names += (names.empty() ? "" : ", ") + definition.name;
    if (names.empty()) {
        print_error("agent",
                    "no enabled agent in {} has a command with {{command}} or "
                    "{{command_file_path}}",
                    (root / layout::agents_file).string());
        return exit_invalid;
    }

    asio::io_context ctx(1);
    asio::signal_set signals(ctx, SIGINT, SIGTERM);  // before the agent announces itself
    const Records records(ctx.get_executor(), *config, root);
    auto worker_options = agent_options(options, *config, root);
    worker_options.agents = std::move(loaded.file);
    worker_options.sinks = records.sinks();
    BackgroundAgent worker(ctx.get_executor(), std::move(worker_options));
    auto reloader = reloader_for(worker, manager, options, records);
    watch_configuration(ctx.get_executor(), reloader);
    logging::log(logging::LogLevel::info, "looking for commands in {} as {}", root.string(), names);
    asio::co_spawn(ctx, serve(ctx, signals, worker, records), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    ctx.run();
    return records.report_lost() ? exit_internal : exit_completed;
}

SubcommandBody define_agent(CLI::App& app)
{
    const auto o = std::make_shared<AgentCommandOptions>();
    add_common(app, o->common);
    app.add_option("-w,--worktree", o->worktrees,
                   "Also watch DIR, besides the repository's worktrees; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    add_count(
        app, "-j,--jobs,--max-parallel", max_agent_jobs,
        [o](std::size_t n) { o->jobs = static_cast<int>(n); },
        "Run at most N commands at once; 0: use the limits of the agents file");
    app.add_flag("-v,--verbose", o->verbose, "Log each ignored command with the reason");
    app.footer(
        "The agents are read from the project's .cursor/background-agents.yaml. Ctrl-C stops the\n"
        "agent and its commands.\n"
        "\nExample:\n  autoexec agent --project ~/src/app");
    return {[o] { return run_agent(*o); }};
}

}  // namespace

extern const Subcommand agent_subcommand{
    "agent", "Run as an agent: claim and run published commands until stopped", define_agent};

}  // namespace autoexec::cli
