#pragma once

#include <autoexec/boxed_optional.hpp>
#include <autoexec/output_rules.hpp>
#include <autoexec/question.hpp>

#include <boost/json/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// How often a command is retried, after which failures, and the delays before its retries.
/// `doc/file-protocol.md` describes which outcomes are retried.
struct RetryPolicy {
    /// Attempts, including the first. At least 1.
    int max_attempts = 3;
    std::chrono::milliseconds initial_delay = std::chrono::seconds{1};
    double backoff_multiplier = 2.0;  ///< At least 1.
    std::chrono::milliseconds max_delay = std::chrono::seconds{60};
    /// The classes of failures that are retried, and no others: the words are in
    /// `doc/file-protocol.md`. Empty: as `CommandRequest::idempotent` allows.
    std::vector<std::string> on{};

    bool operator==(const RetryPolicy&) const = default;
};

/// Limits of `CommandRequest::priority`; the lowest one is `-max_priority`.
inline constexpr int max_priority = 1000;

struct CommandHooks;

/// What the program of a command starts with, besides what its agent gives it.
struct CommandEnvironment {
    /// Variables, by name. They are in the command file, so secrets belong in
    /// `CommandRequest::env_refs`. Those of the agent's own `environment` take precedence.
    std::map<std::string, std::string> variables;
    /// Relative to the worktree, without `..`. Empty: that of the agent.
    std::string working_directory;
    /// The model that the agent's program uses, as it calls it. Empty: as the agent says.
    std::string model{};

    bool operator==(const CommandEnvironment&) const = default;
};

/// A session of an agent's program that a command continues. Agents that start a new session for
/// each attempt ignore it.
struct ResumedSession {
    std::string id;
    std::string failure;         ///< Why the last command in it failed.
    std::optional<Usage> usage;  ///< `ExecutionResult::session_usage` of that command.

    bool operator==(const ResumedSession&) const = default;
};

/// What identifies an execution in results and records.
struct ExecutionIds {
    std::string execution_id;  ///< Unique; empty in a request: a new UUID.
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;

    /// These members of a larger value.
    ExecutionIds& ids() noexcept { return *this; }
    /// The same of a constant value.
    [[nodiscard]] const ExecutionIds& ids() const noexcept { return *this; }

    bool operator==(const ExecutionIds&) const = default;
};

/// What identifies one attempt of an execution.
struct Correlation : ExecutionIds {
    std::string attempt_id;  ///< Empty: none, or not known.
    int attempt = 0;         ///< 1…; 0: not known.

    /// These members of a larger value.
    Correlation& ids() noexcept { return *this; }
    /// The same of a constant value.
    [[nodiscard]] const Correlation& ids() const noexcept { return *this; }

    bool operator==(const Correlation&) const = default;
};

/// The state of the expected artifacts before a command's first attempt: by path the version of the
/// file (only to be compared), or an empty text if it did not exist. Only an artifact that is new
/// or changed against it counts as made.
using ArtifactBaseline = std::map<std::string, std::string>;

/// One command for one worktree. It has constructors, since an aggregate temporary inside a
/// `co_await` expression is destroyed twice by GCC 12.
struct CommandRequest : ExecutionIds {
    CommandRequest(std::string command_text, std::filesystem::path worktree_path)
        : command(std::move(command_text)), worktree(std::move(worktree_path))
    {}

    /// A program and its arguments. `command` becomes their quoted form, for people to read.
    CommandRequest(std::vector<std::string> program, std::filesystem::path worktree_path);

    /// The same for words in braces, which would otherwise match both of the above.
    CommandRequest(std::initializer_list<std::string> program, std::filesystem::path worktree_path)
        : CommandRequest(std::vector<std::string>(program), std::move(worktree_path))
    {}

    std::string command;             ///< What the agent is asked to run. Not empty.
    std::filesystem::path worktree;  ///< Relative paths count from the project root.

    /// Files or directories that the command must create or change, relative to the worktree.
    std::vector<std::string> expected_artifacts;
    /// A missing expected artifact turns `completed` into `failed` (`artifact_missing`).
    bool require_artifacts = false;
    /// The baseline of an earlier execution whose work this one continues in the same worktree.
    /// Absent: taken before the first attempt.
    BoxedOptional<ArtifactBaseline> artifact_baseline;

    /// The agent that runs it. Empty: the only agent that accepts commands.
    std::string agent;
    /// Agents that may run it instead, in this order, while that one gets no commands: see
    /// `BreakerOptions`. Once an attempt has started, only if the command is `idempotent`.
    std::vector<std::string> fallback;
    /// If not empty, an agent that allows it (`accept_argv`) runs this as it is, instead of giving
    /// `command` to a program of its own.
    std::vector<std::string> argv;
    /// Names of variables that the agent takes from its own environment: the place for secrets.
    std::vector<std::string> env_refs;
    BoxedOptional<CommandEnvironment> environment;  ///< Absent: nothing more.
    BoxedOptional<ResumedSession> resumed_session;  ///< Of its first attempt.

    /// The command is safe to run twice: allows retries after a time-out, a lost agent, or a
    /// failure of which the agent did not report whether it is retryable.
    bool idempotent = false;

    /// Of the commands that wait for a slot, those with a higher number start first, and equal ones
    /// in the order in which they asked: those of this executor, and with `LimitScope::project`
    /// also those of others. The same applies to a worktree, within this executor.
    int priority = 0;

    // Instead of the executor's options of these names.
    std::optional<std::chrono::milliseconds> timeout;
    BoxedOptional<RetryPolicy> retry;
    std::optional<int> max_attempts;  ///< Takes precedence over that of `retry`.
    // Besides `max_cost_per_command` and `max_tokens_per_command`: the lower one counts.
    double max_cost = 0;  ///< USD; zero: no limit.
    std::int64_t max_tokens = 0;

    /// Functions of the application that are called meanwhile; null: none.
    std::shared_ptr<const CommandHooks> hooks;
};

/// How a command ended.
enum class ExecutionStatus { completed, failed, timeout, cancelled };
std::string_view to_string(ExecutionStatus status) noexcept;

/// How the executor learned that the command has ended. `none`: the executor ended the wait itself.
enum class CompletionMethod { none, status_file, artifact_detection };
std::string_view to_string(CompletionMethod method) noexcept;

/// How many of the expected artifacts exist and are new or changed. `none` also if none was
/// expected.
enum class Verification { none, partial, all };
std::string_view to_string(Verification verification) noexcept;

/// How far a command has come, as its agent reports.
struct Progress {
    double percentage = 0;  ///< 0–100
    std::string current_step;
    std::string message;

    bool operator==(const Progress&) const = default;
};

/// Why a command failed, as reported by its agent or by the executor.
struct CommandError {
    std::string message;
    std::string code;               ///< e.g. `timeout`, `cancelled`, `agent_lost`; may be empty.
    std::optional<bool> retryable;  ///< Absent: not reported.
    int retry_count = 0;
    /// How long to wait before a retry can help, if the program said so.
    std::optional<std::chrono::milliseconds> retry_after{};

    bool operator==(const CommandError&) const = default;
};

/// The `status` of a status file.
enum class ReportedStatus { pending, running, completed, failed };
std::string_view to_string(ReportedStatus word) noexcept;

/// A status file, read by the rules of `doc/file-protocol.md`.
struct AgentStatus : Correlation {
    bool structured = false;  ///< Version "1.0"; everything else is read as legacy.
    ReportedStatus status = ReportedStatus::pending;
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::optional<std::chrono::system_clock::time_point> completed_at;
    std::optional<Progress> progress;
    std::optional<CommandError> error;
    std::vector<std::string>
        artifacts;  ///< As the agent wrote them; partial results take precedence.
    std::optional<std::string> output;
    std::optional<std::string> command;

    // Written only by agents of protocol 1.1 or later, as are the ids of execution and attempt.
    std::optional<std::string> agent_id;
    std::optional<std::string> agent;  ///< Its name in the agents file.
    std::optional<std::string> outcome;
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::optional<std::int64_t> pid;
    std::optional<std::int64_t> sequence;
    bool output_truncated = false;
    std::optional<Usage> usage;
    std::optional<std::string> session;  ///< The id of the session of the agent's program.
    /// The program ended its work, but was not allowed to use a tool: a sentence.
    std::optional<std::string> permission_denied;
    bool tree_unchanged = false;  ///< The program changed nothing in the worktree.
    /// Why the program does not come forward, or did not until it was stopped.
    std::optional<CommandError> cause;
    std::optional<Question> waiting_for;  ///< While a person's answer is needed.
    /// How many prompts of a person it has taken, for further turns. Absent: it takes none.
    std::optional<std::int64_t> prompts_taken;

    std::vector<std::string> warnings;  ///< Dropped fields, unknown words.

    /// True for `completed` and `failed`.
    [[nodiscard]] bool is_final() const noexcept
    {
        return status == ReportedStatus::completed || status == ReportedStatus::failed;
    }
};

/// The result of `BackgroundAgentAutoExecutor::check_status`.
struct StatusCheck {
    bool completed = false;  ///< The status is final, and no agent holds a claim there.
    bool status_file_exists = false;
    std::optional<AgentStatus> status;  ///< Absent: no file, incomplete, or malformed.
    std::string problem;                ///< Why an existing file could not be read.
};

/// The result of an execution. All text is redacted; paths and ids are not.
struct ExecutionResult : ExecutionIds {
    ExecutionStatus status = ExecutionStatus::failed;
    std::string attempt_id;  ///< Of the last attempt; empty if none was made.
    std::string command;
    std::filesystem::path worktree;

    /// The last status that the agent reported. Absent: it reported none.
    std::optional<ReportedStatus> reported;

    /// The artifacts that the agent reported, relative to the worktree. The bundled agent reports
    /// the expected ones that exist.
    std::vector<std::string> artifacts;
    Verification verified = Verification::none;
    std::vector<std::string> missing_artifacts;  ///< Expected, but neither new nor changed.

    std::optional<CommandError> error;  ///< Set unless `completed`.
    /// From the first publishing to the end, including delays before retries.
    std::chrono::milliseconds duration{0};
    /// How long it waited for its worktree, a slot, resources, or an agent that is held back. What
    /// was before the first publishing is not part of `duration`.
    std::chrono::milliseconds queued{0};
    int attempts = 0;
    CompletionMethod completion_method = CompletionMethod::none;
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::optional<Progress> last_progress;
    std::string output;          ///< The end of the output, as the agent reported it.
    std::optional<Usage> usage;  ///< Of all attempts; absent: nothing was reported.
    std::string session;  ///< The id of the last session of the agent's program; may be empty.
    /// Of that session, with earlier commands, if its program reports usage so.
    std::optional<Usage> session_usage;
    std::vector<std::string> warnings;
    /// A final status that arrived after the agent was asked to stop.
    std::optional<ReportedStatus> status_during_stop;
    /// A final status whose agent had not released its claim when the executor ended the wait.
    std::optional<ReportedStatus> unreleased_status;
};

/// What `autoexec run --json` prints; `doc/cli.md` lists the keys.
boost::json::object to_json(const ExecutionResult& result);

}  // namespace autoexec::inline v1
