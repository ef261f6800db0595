#pragma once

#include "autoexec/command.hpp"
#include "autoexec/view.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Text ↔ struct for the files that show what runs: running records of attempts and agents, locks
/// of executors, and claims. Pure.
namespace autoexec::protocol {

/// `running/<executor id>/<attempt_id>.json`
struct RunningRecord : Correlation {
    std::string command;  ///< Redacted.
    std::string worktree;
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::string agent;
    std::int64_t pid = 0;
    std::optional<Question> waiting_for;        ///< Redacted.
    std::optional<std::int64_t> prompts_taken;  ///< As in the agent's status.
    std::vector<std::string> taken_prompts;     ///< The ids of the last of them.
    ArtifactBaseline artifacts;  ///< Omitted from the file if there are more than 1000.
};

inline constexpr std::size_t running_limit = 512 * 1024;

std::string format_running(const RunningRecord& record);

/// Nullopt if it does not name an attempt and its execution.
std::optional<RunningRecord> parse_running(std::string_view text);

/// `running/engines/<executor id>.lock`, locked by the executor while it lives.
struct ExecutorLockFile {
    std::string host;
    std::string boot_id;  ///< Of the host's kernel: containers on it share it. Empty: not known.
    std::int64_t pid = 0;
};

inline constexpr std::size_t executor_lock_limit = 4096;

std::string format_executor_lock(const ExecutorLockFile& lock);

/// Members that are missing are empty.
ExecutorLockFile parse_executor_lock(std::string_view text);

/// `running/agents/<agent_id>.json`, locked by the agent while it lives.
using AgentRecord = AgentProcessEntry;

inline constexpr std::size_t agent_limit = 64 * 1024;

std::string format_agent(const AgentRecord& record);

/// Nullopt if it does not name an agent.
std::optional<AgentRecord> parse_agent(std::string_view text);

/// `claims/<attempt_id>.json`, locked by the agent while it works.
struct ClaimFile : Correlation {  ///< Without workflow, step and number.
    std::string agent_id;
    std::string worktree;
    std::string host;
    std::int64_t pid = 0;
    std::optional<std::chrono::system_clock::time_point> claimed_at;
};

inline constexpr std::size_t claim_limit = 4096;

std::string format_claim(const ClaimFile& claim);

/// Members that another agent's claim lacks are empty.
ClaimFile parse_claim(std::string_view text);

}  // namespace autoexec::protocol
