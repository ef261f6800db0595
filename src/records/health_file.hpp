#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "protocol/agent_health.hpp"

#include <filesystem>
#include <functional>
#include <string>

/// The state of the project's agents: `health/agents.json`, shared by all executors of the project,
/// and locked (`flock`) for each change. All functions block only for microseconds; none waits for
/// the lock.
namespace autoexec::records {

struct AgentHealthReading {
    protocol::AgentHealthMap agents;
    std::string problem;  ///< Why the file does not count: then all agents work. Empty: it does.
    bool busy = false;    ///< It is being written, so nothing is known: read it again later.
};

AgentHealthReading read_agent_health(const std::filesystem::path& project_root,
                                     protocol::WallTime now);

/// The version of the file, at the cost of one system call; the empty stamp if there is none.
FileStamp agent_health_stamp(const std::filesystem::path& project_root);

/// Reads the file, changes its content and writes it, under its lock. A file that does not count is
/// replaced. `resource_unavailable_try_again`: another process has locked it.
error_code change_agent_health(const std::filesystem::path& project_root, protocol::WallTime now,
                               const std::function<void(protocol::AgentHealthMap&)>& change);

}  // namespace autoexec::records
