#pragma once

#include <autoexec/command.hpp>
#include <autoexec/error.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::inline v1 {

/// The kinds of events.
enum class EventType {
    command_detected,  ///< The command file has been published.
    execution_started,
    status_updated,    ///< The status word has changed.
    progress_updated,  ///< Only progress or output has changed. Not for the records.
    /// No agent has claimed the command for 10 s; once per attempt. Not for the records either.
    command_unclaimed,
    execution_completed,
    execution_failed,  ///< Also after a time-out: then `details.outcome` is `timeout`.
    execution_cancelled,
    execution_retry,
    execution_interrupted,  ///< Its executor died; another one found its files.
    status_rejected,        ///< A status file was not accepted.
    agent_lost,
    secret_in_command,
    input_needed,  ///< The command waits for a person: `question`.
    input_ended,   ///< It no longer does; `details.outcome`: `answered`, `denied` or `unanswered`.
    prompt_sent,   ///< What a person says to a running command was passed on to its agent.
    /// An agent has answered what its program asked permission for. Published by the agent.
    permission_decided,
    /// No file events come from the worktree, which is polled instead; once per execution.
    polling_only,
    /// No command starts, since too little memory or disk is free: `details.reason`. Published when
    /// it begins, with the ids of the first command that waits.
    starts_paused,
    starts_resumed,  ///< Commands start again.
    /// A failure names a time until which its agent gets no commands. `details` of this and of the
    /// following: `agent`, `code`, `until`, `reason`.
    agent_paused,
    breaker_opened,   ///< Too many failures in a row: the agent gets no commands for a while.
    breaker_closed,   ///< The agent works again.
    fallback_chosen,  ///< Another agent gets the command: `details.fallback`.
    /// A command waits until its agent gets commands again; once for each reason. Not for the
    /// records.
    waiting_for_agent,
    /// A command waits, since a person has paused starts: `details.reason`; once for each reason.
    /// Not for the records.
    waiting_for_resume,
    /// A command waits for a slot, of its agent or of all commands: `details.priority`. Those with
    /// a higher priority get one first, others in the order of these events. Not for the records.
    waiting_for_slot,
    /// A command waits, since another executor uses its worktree: `details.reason`. Not for the
    /// records.
    waiting_for_worktree,
};
std::string_view to_string(EventType type) noexcept;

/// The state of an attempt after an event.
enum class EventStatus { started, pending, running, completed, failed, cancelled, interrupted };
std::string_view to_string(EventStatus status) noexcept;

/// One line of `metrics/executions_YYYY-MM-DD.jsonl`: one finished attempt. What follows
/// `error_message` is only in `metrics/attempts_YYYY-MM-DD.jsonl`, since other readers of the first
/// file accept no further keys.
struct ExecutionMetric : ExecutionIds {
    std::string command;  ///< Redacted.
    ExecutionStatus status = ExecutionStatus::failed;
    std::chrono::duration<double, std::milli> duration{0};
    /// Absent: not known.
    std::optional<std::chrono::system_clock::time_point> started_at;
    int retry_count = 0;  ///< attempt − 1
    std::optional<std::chrono::system_clock::time_point> completed_at;
    std::optional<std::string> error_message;

    std::string attempt_id;
    std::string error_code;
    std::string agent;     ///< Its name in the agents file.
    std::string agent_id;  ///< Of the process that ran it.
    std::filesystem::path worktree;
    std::string host;  ///< Of the executor.
    std::string session;
    std::optional<Usage> usage;
    /// How long the execution waited in queues before this attempt. Zero also if not known.
    std::chrono::duration<double, std::milli> queued{0};
    /// How many of the expected artifacts the attempt left new or changed. Absent: none was
    /// expected, or not known.
    std::optional<Verification> verified;
    std::vector<std::string> missing_artifacts;  ///< The others.
    // How the program ended. Both absent: not known.
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::optional<ReportedStatus> reported;  ///< The last status that the agent reported.
    boost::json::object custom;              ///< What the application adds.

    bool operator==(const ExecutionMetric&) const = default;
};

/// Something that happened to an execution. Published once; audit log, metrics and progress are
/// derived from it. Its text is redacted already.
struct Event : Correlation {
    EventType type = EventType::status_updated;
    std::chrono::system_clock::time_point time;
    std::string command;
    std::filesystem::path worktree;
    std::optional<EventStatus> status;  ///< The audit line's `status`.
    boost::json::object details;
    std::optional<Progress> progress;
    std::optional<Question> question;       ///< Of `input_needed` and `input_ended`.
    std::optional<ExecutionMetric> metric;  ///< At the end of each attempt.
};

/// The records that a sink has not written.
struct UnwrittenRecords {
    std::uint64_t queued = 0;    ///< Kept; written as soon as possible.
    std::uint64_t lost = 0;      ///< Dropped: they will not be written.
    std::filesystem::path path;  ///< The file or folder that could not be written to.
    error_code reason;
};

}  // namespace autoexec::inline v1
