#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// Records of live agents: `running/agents/<agent id>.json`, locked by the agent while it lives.
/// All functions block only for microseconds.
namespace autoexec::records {

/// The file of one agent: locked until destruction, kept until `remove`.
class AgentPresence {
public:
    /// Also removes files of dead agents.
    static std::optional<AgentPresence> create(const std::filesystem::path& project_root,
                                               const protocol::AgentRecord& record, error_code& ec);
    void remove();

    /// True if the file was removed, for example by a user who cleared the folder.
    [[nodiscard]] bool is_removed() const;

private:
    AgentPresence(files::UniqueFd folder, files::UniqueFd file, std::string name);

    files::UniqueFd folder_;
    files::UniqueFd file_;
    std::string name_;
};

struct AgentEntry {
    protocol::AgentRecord record;
    bool alive = false;  ///< The agent holds the lock.
};

/// All agents that serve the project, including dead ones; oldest first.
std::vector<AgentEntry> list_agents(const std::filesystem::path& project_root);

/// Removes the files of dead agents.
void sweep_agents(const std::filesystem::path& project_root);

/// For messages: `process 4711 (coder, reviewer)`.
std::string describe(const protocol::AgentRecord& record);

}  // namespace autoexec::records
