#include "autoexec/agent.hpp"
#include "autoexec/config.hpp"
#include "autoexec/executor.hpp"

#include <algorithm>
#include <utility>

namespace autoexec::inline v1 {

ExecutorOptions executor_options(const AutoExecutionConfig& config,
                                 std::filesystem::path project_root)
{
    ExecutorOptions o;
    static_cast<ExecutorSettings&>(o) = config.executor;
    o.project_root = std::move(project_root);
    if (!config.retry_enabled) o.retry.max_attempts = 1;
    if (!config.polling_enabled) {  // file events can get lost, so polling never stops
        o.polling_interval = std::max(o.polling_interval, o.max_polling_interval);
        o.adaptive_polling = false;
    }
    return o;
}

AgentOptions agent_options(const AutoExecutionConfig& config, std::filesystem::path project_root)
{
    AgentOptions o;
    static_cast<WorkOptions&>(o) = config.agent;
    o.project_root = std::move(project_root);
    o.status_file_name = config.executor.status_file_name;
    return o;
}

AuditOptions audit_options(const AutoExecutionConfig& config, std::filesystem::path project_root)
{
    AuditOptions o;
    o.project_root = std::move(project_root);
    o.max_bytes = config.executor.max_audit_bytes;
    o.max_backups = config.executor.max_audit_backups;
    if (!config.executor.audit_key_file.empty())
        o.key_file = o.project_root / config.executor.audit_key_file;
    o.durability = config.executor.durability;
    return o;
}

MetricsOptions metrics_options(const AutoExecutionConfig& config,
                               std::filesystem::path project_root)
{
    MetricsOptions o;
    o.project_root = std::move(project_root);
    o.durability = config.executor.durability;
    return o;
}

}  // namespace autoexec::inline v1
