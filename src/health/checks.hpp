#pragma once

#include "health/finding_list.hpp"

#include <string>

/// The checks. Each reports its problems, and returns the message for the case that there are none.
/// Their options are complete: the project is absolute and no probe is empty.
namespace autoexec::health {

// In the order of `HealthChecker::check_all`, which has a function for each.
#define AUTOEXEC_HEALTH_CHECKS(CHECK) \
    CHECK(configuration)              \
    CHECK(file_system)                \
    CHECK(status_file_access)         \
    CHECK(command_file_access)        \
    CHECK(supervisor)                 \
    CHECK(agent_programs)             \
    CHECK(agent_setup)                \
    CHECK(git)                        \
    CHECK(disk_space)                 \
    CHECK(inotify)                    \
    CHECK(clock)                      \
    CHECK(records)                    \
    CHECK(claims_and_locks)           \
    CHECK(leftovers)                  \
    CHECK(agents)                     \
    CHECK(starts)

#define AUTOEXEC_DECLARE_CHECK(name) \
    std::string check_##name(FindingList& findings, const HealthOptions& options);
AUTOEXEC_HEALTH_CHECKS(AUTOEXEC_DECLARE_CHECK)
#undef AUTOEXEC_DECLARE_CHECK

/// `probes` with empty ones replaced by the real implementation. Null `spawner`: the supervised
/// one.
HealthProbes real_where_empty(HealthProbes probes, std::shared_ptr<Spawner> spawner);

}  // namespace autoexec::health
