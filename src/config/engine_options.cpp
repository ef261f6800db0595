#include "autoexec/agent.hpp"
#include "autoexec/config.hpp"
#include "autoexec/executor.hpp"

#include <cmath>

namespace autoexec {
namespace {

using std::chrono::milliseconds;

// Rounded up: what is more than nothing stays so.
milliseconds of_seconds(double seconds)
{
    return milliseconds(static_cast<milliseconds::rep>(std::ceil(seconds * 1000)));
}

void apply_polling(const PollingConfig& polling, ExecutionOptions& o)
{
    o.timeout = of_seconds(polling.timeout_seconds);
    o.max_polling_interval = of_seconds(polling.max_interval_seconds);
    o.polling_interval = of_seconds(polling.interval_seconds);
    o.adaptive_polling = polling.adaptive;
    if (polling.enabled) return;
    // Events may be lost, so it never stops looking altogether.
    o.polling_interval = std::max(o.polling_interval, o.max_polling_interval);
    o.adaptive_polling = false;
}

void apply_retry(const RetryConfig& retry, ExecutionOptions& o)
{
    o.retry.max_attempts = retry.enabled ? static_cast<int>(retry.max_attempts) : 1;
    o.retry.initial_delay = of_seconds(retry.initial_delay_seconds);
    o.retry.backoff_multiplier = retry.backoff_multiplier;
    o.retry.max_delay = of_seconds(retry.max_delay_seconds);
}

void apply_clocks(const ClocksConfig& clocks, ExecutionOptions& o)
{
    o.start_timeout = of_seconds(clocks.start_seconds);
    o.stall_timeout = of_seconds(clocks.stall_seconds);
    o.total_timeout = of_seconds(clocks.total_seconds);
    o.stop_grace = of_seconds(clocks.stop_grace_seconds);
}

}  // namespace

ExecutorOptions executor_options(const AutoExecutionConfig& config,
                                 std::filesystem::path project_root)
{
    ExecutorOptions o;
    o.project_root = std::move(project_root);
    apply_polling(config.polling, o);
    apply_retry(config.retry, o);
    apply_clocks(config.clocks, o);
    o.error_handling = config.features.error_handling;
    o.artifact_detection = config.features.artifact_detection;
    o.status_tracking = config.features.status_tracking;
    o.enable_metrics = config.features.metrics_collection;
    o.enable_audit = config.features.audit_logging;
    o.on_busy = config.on_busy;
    o.secrets_in_command = config.secrets.in_command;
    o.durability = config.durability;
    o.max_parallel = static_cast<std::size_t>(config.limits.max_concurrency);
    o.max_status_bytes = static_cast<std::size_t>(config.limits.status_bytes);
    o.max_audit_bytes = static_cast<std::uint64_t>(config.limits.audit_bytes);
    o.max_audit_backups = static_cast<int>(config.limits.audit_backups);
    o.status_file_name = config.files.status_name;
    o.file_access = config.files.access;
    return o;
}

AgentOptions agent_options(const AutoExecutionConfig& config, std::filesystem::path project_root)
{
    AgentOptions o;
    o.project_root = std::move(project_root);
    o.status_file_name = config.files.status_name;
    o.max_parallel = static_cast<int>(config.agent.max_parallel);
    o.stop_grace = of_seconds(config.clocks.stop_grace_seconds);
    o.scan_interval = of_seconds(config.agent.scan_interval_seconds);
    o.watch_paths_interval = of_seconds(config.agent.watch_paths_interval_seconds);
    o.heartbeat_interval = of_seconds(config.agent.heartbeat_seconds);
    o.max_output_bytes = static_cast<std::size_t>(config.limits.output_bytes);
    o.max_output_tail_bytes = static_cast<std::size_t>(config.limits.output_tail_bytes);
    return o;
}

AuditOptions audit_options(const AutoExecutionConfig& config, std::filesystem::path project_root)
{
    AuditOptions o;
    o.project_root = std::move(project_root);
    o.max_bytes = static_cast<std::uint64_t>(config.limits.audit_bytes);
    o.max_backups = static_cast<int>(config.limits.audit_backups);
    o.durability = config.durability;
    return o;
}

MetricsOptions metrics_options(const AutoExecutionConfig& config,
                               std::filesystem::path project_root)
{
    MetricsOptions o;
    o.project_root = std::move(project_root);
    o.durability = config.durability;
    return o;
}

}  // namespace autoexec
