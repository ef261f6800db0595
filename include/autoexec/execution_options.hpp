#pragma once

#include <autoexec/command.hpp>
#include <autoexec/file.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace autoexec::inline v1 {

/// What to do when another executor has locked the worktree.
enum class OnBusy { fail, wait };

/// What to do when a command waits for a person's answer.
enum class OnInput {
    wait,
    fail,  ///< At once, with the code `input_needed`.
};

/// What to do with a command text that contains a secret.
enum class SecretsInCommand { warn, refuse, allow };

/// Who may read the files that an executor writes into worktrees: mode 0600, 0640 or 0644.
enum class FileAccess { owner, group, everyone };

/// Over what the limits of commands at once hold.
enum class LimitScope {
    executor,
    /// All executors of the project that have this scope, also those of other processes: together
    /// they run no more than the one with the highest limit. Where files cannot be locked, each
    /// executor has its own limit, and a result has a warning.
    project,
};

/// Whether changes in worktrees are seen by file events, besides polling. `automatic`: if the
/// agents are in other processes. `on`: in any case.
enum class FileEvents { automatic, on, off };

/// What the machine has left.
struct FreeResources {
    std::optional<std::uint64_t> memory_bytes;  ///< Absent: not known.
    std::optional<std::uint64_t> disk_bytes;    ///< Of the project's file system.
};

/// When an agent that is down gets no commands: `doc/agents.md`.
struct BreakerOptions {
    /// So many failures in a row open the breaker of an agent. Zero: it never opens.
    int max_failures = 3;
    /// How long the agent then gets no commands, before one command tests it. Doubles, up to 16
    /// times, each time that this command fails. Positive.
    std::chrono::milliseconds cool_down = std::chrono::seconds{60};
    /// Of a pause for which a failure asks. Zero: agents are not paused.
    std::chrono::milliseconds max_pause = std::chrono::hours{6};

    bool operator==(const BreakerOptions&) const = default;
};

/// Options of an executor that can change while it runs. Each execution uses those of its start;
/// one that waited in the queue uses those of the end of its wait.
struct ExecutionOptions {
    std::chrono::milliseconds polling_interval = std::chrono::seconds{5};  ///< Positive.
    std::chrono::milliseconds timeout = std::chrono::hours{1};  ///< Of each attempt. Positive.

    // Waiting.
    bool adaptive_polling = true;  ///< × 1.5 up to `max_polling_interval`, ± 10 %.
    /// Also the interval of polls while a notifier covers the worktree; then at most 100 of all
    /// executions in a second.
    std::chrono::milliseconds max_polling_interval = std::chrono::seconds{30};
    /// Of all attempts, including the delays between them. Zero: none.
    std::chrono::milliseconds total_timeout{0};
    /// From publishing to an agent's claim. Zero: none, for agents that do not claim.
    std::chrono::milliseconds start_timeout = std::chrono::seconds{60};
    /// Without a change of status, progress or output, except while it waits for a person. Zero:
    /// none.
    std::chrono::milliseconds stall_timeout{0};
    /// Time for an agent to stop before the executor continues without it (5 s are added).
    std::chrono::milliseconds stop_grace = std::chrono::seconds{10};

    // Behaviour.
    RetryPolicy retry;
    BreakerOptions breaker;
    bool error_handling = true;  ///< False: no retries.
    bool artifact_detection = true;
    bool status_tracking = true;  ///< False: no progress; the final status is still read.
    OnBusy on_busy = OnBusy::fail;
    OnInput on_input = OnInput::wait;
    SecretsInCommand secrets_in_command = SecretsInCommand::warn;
    /// True: a command is published only once its start is in the audit log, as durable as
    /// `durability` requires; otherwise it fails with the code `unrecorded`. Without effect if
    /// there is no audit log.
    bool strict_audit = false;

    // What all attempts of a command may use. Zero: no limit.
    double max_cost_per_command = 0;  ///< USD
    /// Those of input and output, and those written to a cache.
    std::int64_t max_tokens_per_command = 0;
    ModelPrices prices;  ///< To estimate costs that are not reported.

    /// Commands in flight at once; more wait in order. In any case, so many that the soft limit of
    /// open files suffices: each command needs 2 descriptors, with an agent in the process 12, and
    /// 32 are left for others. Zero: limited only by that.
    std::size_t max_parallel = 0;

    /// With less, no command starts; it waits, at most 10 minutes, and then fails with the code
    /// `no_resources`. Those that run are not affected. Zero: no minimum.
    std::uint64_t min_free_memory_bytes = 64 * 1024 * 1024;
    std::uint64_t min_free_disk_bytes = 64 * 1024 * 1024;  ///< The same, of the project's disk.

    bool operator==(const ExecutionOptions&) const = default;
};

/// All options of an executor that a configuration can set. `ExecutorOptions` adds the project and
/// the interfaces to the system.
struct ExecutorSettings : ExecutionOptions {
    std::string status_file_name = ".cursor-skill-status.json";
    bool enable_metrics = true;
    bool enable_audit = true;
    Durability durability = Durability::process;
    std::size_t max_status_bytes = 16 * 1024 * 1024;
    std::uint64_t max_audit_bytes = 10 * 1024 * 1024;  ///< The audit log is rotated before.
    int max_audit_backups = 5;
    std::string audit_key_file;  ///< See `AuditOptions::key_file`; relative to the project.
    FileAccess file_access = FileAccess::owner;  ///< Of the files in the worktree.
    /// Whoever creates the executor's notifier, such as the program, follows it. With `off`, the
    /// executor polls as if it had none.
    FileEvents file_events = FileEvents::automatic;

    bool operator==(const ExecutorSettings&) const = default;
};

}  // namespace autoexec::inline v1
