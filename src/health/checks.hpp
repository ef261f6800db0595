#pragma once

#include "autoexec/health.hpp"

/// The checks. Their options are complete: the project is absolute and no probe is empty.
namespace autoexec::health {

HealthCheckResult check_configuration(const HealthOptions& options);

HealthCheckResult check_file_system(const HealthOptions& options);
HealthCheckResult check_status_file_access(const HealthOptions& options);
HealthCheckResult check_command_file_access(const HealthOptions& options);

HealthCheckResult check_supervisor(const HealthOptions& options);
HealthCheckResult check_agent_programs(const HealthOptions& options);
HealthCheckResult check_git(const HealthOptions& options);

HealthCheckResult check_disk_space(const HealthOptions& options);
HealthCheckResult check_inotify(const HealthOptions& options);
HealthCheckResult check_clock(const HealthOptions& options);

HealthCheckResult check_records(const HealthOptions& options);
HealthCheckResult check_claims_and_locks(const HealthOptions& options);
HealthCheckResult check_leftovers(const HealthOptions& options);
HealthCheckResult check_agents(const HealthOptions& options);

}  // namespace autoexec::health
