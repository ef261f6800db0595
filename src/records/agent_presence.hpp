#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// Which agents are alive: `running/agents/<agent id>.json`, locked by the agent as long as it
/// lives. All of this blocks for microseconds only.
namespace autoexec::records {

struct AgentRecord {
    std::string agent_id;
    std::int64_t pid = 0;
    std::string host;
    std::string started_at;           ///< ISO-8601
    std::vector<std::string> agents;  ///< Those of the agents file that take commands.
};

/// The file of one agent: locked until destroyed, there until removed.
class AgentPresence {
public:
    /// Also removes what dead agents have left.
    static std::optional<AgentPresence> create(const std::filesystem::path& project_root,
                                               const AgentRecord& record, error_code& ec);
    void remove();

    /// The file was removed, as by a user who clears the folder.
    [[nodiscard]] bool vanished() const;

private:
    AgentPresence(files::UniqueFd folder, files::UniqueFd file, std::string name);

    files::UniqueFd folder_;
    files::UniqueFd file_;
    std::string name_;
};

struct AgentEntry {
    AgentRecord record;
    bool alive = false;  ///< It holds the lock.
};

/// All agents that serve the project, or did when they died; oldest first.
std::vector<AgentEntry> list_agents(const std::filesystem::path& project_root);

/// Removes the files of dead agents.
void sweep_agents(const std::filesystem::path& project_root);

/// For a person: `process 4711 (claude, codex)`.
std::string describe(const AgentRecord& record);

}  // namespace autoexec::records
