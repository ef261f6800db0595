#pragma once

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

/// When a command is tried again, and how long the engine waits before it does.
/// See `doc/file-protocol.md` for which ends are retried at all.
struct RetryPolicy {
    /// Attempts in all; 1: never again. At least 1.
    int max_attempts = 3;
    std::chrono::milliseconds initial_delay = std::chrono::seconds{1};
    double backoff_multiplier = 2.0;  ///< At least 1.
    std::chrono::milliseconds max_delay = std::chrono::seconds{60};

    bool operator==(const RetryPolicy&) const = default;
};

struct CommandHooks;

/// What was there of the expected artifacts before a command's first attempt: by path, which
/// version of the file it was (only to be compared), or an empty text for none. Only what is new or
/// changed against it counts as made.
using ArtifactBaseline = std::map<std::string, std::string>;

/// One command for one worktree. It has constructors, since an aggregate temporary inside a
/// `co_await` expression is destroyed twice by GCC 12.
struct CommandRequest {
    CommandRequest(std::string command_text, std::filesystem::path worktree_path)
        : command(std::move(command_text)), worktree(std::move(worktree_path))
    {}

    /// A program and its arguments. `command` becomes their quoted form, for people to read.
    CommandRequest(std::vector<std::string> program, std::filesystem::path worktree_path);

    /// The same with the words in braces, which could otherwise be meant for either of the above.
    CommandRequest(std::initializer_list<std::string> program, std::filesystem::path worktree_path)
        : CommandRequest(std::vector<std::string>(program), std::move(worktree_path))
    {}

    std::string command;             ///< What the agent is asked to run. Not empty.
    std::filesystem::path worktree;  ///< Relative paths count from the project root.

    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    /// How the execution is called from its beginning, in results and records. Unique; empty: a new
    /// UUID.
    std::string execution_id;

    /// Files or directories that the command must create or change, relative to the worktree.
    std::vector<std::string> expected_artifacts;
    /// A missing expected artifact turns `completed` into `failed` (`artifact_missing`).
    bool require_artifacts = false;
    /// Of an earlier execution whose work this one continues in the same tree. Absent: taken before
    /// the first attempt.
    std::optional<ArtifactBaseline> artifact_baseline;

    /// Which agent takes it. Empty: the only one there that takes commands.
    std::string agent;
    /// If not empty, an agent that allows it (`accept_argv`) runs this as it is, instead of giving
    /// `command` to a program of its own.
    std::vector<std::string> argv;
    /// Names of variables that the agent takes from its own environment: the place for secrets.
    std::vector<std::string> env_refs;

    /// Running the command twice does no harm: allows retries after a time-out, a lost agent,
    /// or a failure that does not say whether it is retryable.
    bool idempotent = false;

    // Instead of the executor's options of these names.
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<RetryPolicy> retry;
    std::optional<int> max_attempts;  ///< Wins over those of `retry`.

    /// What the application does meanwhile; null: nothing.
    std::shared_ptr<const CommandHooks> hooks;
};

/// How a command ended.
enum class ExecutionStatus { completed, failed, timeout, cancelled };
std::string_view to_string(ExecutionStatus status) noexcept;

/// What told the engine that the command is over. `none`: the engine ended the wait itself.
enum class CompletionMethod { none, status_file, artifact_detection };
std::string_view to_string(CompletionMethod method) noexcept;

/// How many of the expected artifacts are there, new or changed. `none` also where none was
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

/// Why a command failed, as its agent says, or the engine.
struct CommandError {
    std::string message;
    std::string code;               ///< e.g. `timeout`, `cancelled`, `agent_lost`; may be empty.
    std::optional<bool> retryable;  ///< Absent: the agent did not say.
    int retry_count = 0;

    bool operator==(const CommandError&) const = default;
};

/// The `status` of a status file.
enum class ReportedStatus { pending, running, completed, failed };
std::string_view to_string(ReportedStatus word) noexcept;

/// A status file, read by the rules of `doc/file-protocol.md`.
struct AgentStatus {
    bool structured = false;  ///< Version "1.0"; everything else is read as legacy.
    ReportedStatus status = ReportedStatus::pending;
    std::optional<std::string> started_at;
    std::optional<std::string> completed_at;
    std::optional<Progress> progress;
    std::optional<CommandError> error;
    std::vector<std::string> artifacts;  ///< As the agent wrote them; partial results win.
    std::optional<std::string> output;

    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::optional<std::string> command;

    // Only agents that know this protocol write these.
    std::optional<std::string> execution_id;
    std::optional<std::string> attempt_id;
    std::optional<std::string> agent_id;
    std::optional<std::string> outcome;
    std::optional<int> attempt;
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::optional<std::int64_t> pid;
    std::optional<std::int64_t> sequence;
    bool output_truncated = false;

    std::vector<std::string> warnings;  ///< Fields that were dropped, words not known.

    /// True for `completed` and `failed`.
    [[nodiscard]] bool is_final() const noexcept
    {
        return status == ReportedStatus::completed || status == ReportedStatus::failed;
    }
};

/// What `BackgroundAgentAutoExecutor::check_status` finds.
struct StatusCheck {
    bool completed = false;  ///< The status is final, and no agent holds a claim there.
    bool status_file_exists = false;
    std::optional<AgentStatus> status;  ///< Absent: no file, not whole yet, or malformed.
    std::string problem;                ///< Why a file that exists was not understood.
};

/// What became of an execution. All text is redacted; paths and ids are not.
struct ExecutionResult {
    ExecutionStatus status = ExecutionStatus::failed;
    std::string execution_id;
    std::string attempt_id;  ///< Of the last attempt; empty if none was made.
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::string command;
    std::filesystem::path worktree;

    /// The last word of the agent's status: what it claims. Absent where it has reported none.
    std::optional<ReportedStatus> reported;

    /// What the agent names, relative to the worktree. The bundled agent names those of the
    /// expected ones that are there.
    std::vector<std::string> artifacts;
    Verification verified = Verification::none;
    std::vector<std::string> missing_artifacts;  ///< Expected, and neither new nor changed.

    std::optional<CommandError> error;  ///< Set unless `completed`.
    /// From the first publishing to the end, waits for retries included.
    std::chrono::milliseconds duration{0};
    int attempts = 0;
    CompletionMethod completion_method = CompletionMethod::none;
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::optional<Progress> last_progress;
    std::string output;  ///< The tail that the agent reported.
    std::vector<std::string> warnings;
    /// A final status that came too late, after the agent was told to stop.
    std::optional<ReportedStatus> status_during_stop;
    /// A final status whose agent had not released its claim when the engine ended the wait.
    std::optional<ReportedStatus> unreleased_status;
};

/// What `autoexec run --json` prints; `doc/cli.md` lists the keys.
boost::json::object to_json(const ExecutionResult& result);

}  // namespace autoexec::inline v1
