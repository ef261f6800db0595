#pragma once

#include <autoexec/command.hpp>
#include <autoexec/workflow_result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What happens in a project, as its files show it: commands, runs of workflows and agents, those
/// of other processes like those of this one.
namespace autoexec::inline v1 {

/// The state of an execution that has not ended.
enum class ExecutionState {
    queued,       ///< Detached; waits until the engine of the queue starts it.
    starting,     ///< An engine has started it. It is not published yet, or between two attempts.
    waiting,      ///< Published; its agent has not started it.
    running,      ///< Its agent works.
    needs_input,  ///< It waits for the answer of a person.
    ending,       ///< Its agent has reported the end, which its executor has not accepted yet.
    interrupted,  ///< Its executor has died.
};
std::string_view to_string(ExecutionState state) noexcept;

/// An execution that has not ended, with its current attempt.
struct ExecutionEntry : Correlation {
    ExecutionState state = ExecutionState::waiting;
    std::string command;  ///< Redacted.
    /// Relative for `queued` and `starting`: the name of one that is created for it.
    std::filesystem::path worktree;
    std::string agent;  ///< Empty: not known.

    // Of `queued` and `starting`.
    std::optional<std::chrono::system_clock::time_point> submitted_at;
    int priority = 0;  ///< Higher ones start first, and of the same priority, lower ids.

    // Of all others.
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::int64_t pid = 0;          ///< Of its executor.
    std::string other_host;        ///< Where its executor may live, if that is not this host.
    std::filesystem::path output;  ///< What its program prints, redacted. It need not exist.

    // What its agent has reported. Absent: nothing yet, or the executor has died.
    std::optional<ReportedStatus> reported;
    std::optional<Progress> progress;  ///< Redacted.
    std::optional<Usage> usage;
    std::optional<Question> waiting_for;  ///< Set for `needs_input`. Redacted.

    /// Unique among the executions of a project. Each attempt has its own.
    [[nodiscard]] const std::string& key() const noexcept
    {
        return attempt_id.empty() ? execution_id : attempt_id;
    }

    bool operator==(const ExecutionEntry&) const = default;
};

/// An execution that has ended, with its last attempt.
struct EndedExecutionEntry : Correlation {
    ExecutionStatus status = ExecutionStatus::failed;
    std::string command;             ///< Redacted, as all text here.
    std::filesystem::path worktree;  ///< Empty: none was created for it.
    std::string agent;               ///< Empty: not known.
    /// Of the last attempt. Absent: there was none.
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::optional<std::chrono::system_clock::time_point> ended_at;
    /// Of the last attempt; of detached executions, of all.
    std::chrono::duration<double, std::milli> duration{0};
    std::optional<Usage> usage;  ///< The same.

    // What its program did. Both absent: not known, or it was not started.
    std::optional<int> exit_code;
    std::optional<int> signal;
    /// What its agent reported. Absent: not known, or nothing.
    std::optional<ReportedStatus> reported;
    /// How many of the expected artifacts were new or changed. Absent: none was expected.
    std::optional<Verification> verified;
    std::vector<std::string> missing_artifacts;  ///< The others.

    // Why it has not completed.
    std::string error_code;
    std::string error_message;

    std::filesystem::path output;  ///< What its last attempt has printed. It need not exist.

    /// Unique among the executions that have ended.
    [[nodiscard]] const std::string& key() const noexcept { return execution_id; }

    bool operator==(const EndedExecutionEntry&) const = default;
};

/// A step of a run.
struct StepEntry {
    std::string id;
    std::string agent;
    std::string action;
    StepState state = StepState::pending;
    int round = 0;
    std::string reason;  ///< Why skipped, or the error's sentence.
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::optional<std::chrono::system_clock::time_point> ended_at;
    std::string execution_id;
    std::string worktree;
    std::string branch;
    std::string commit;
    std::string cached_from;  ///< The run from which its work was taken. Empty: none.
    std::optional<double> duration_seconds;
    int attempts = 0;
    std::map<std::string, Usage> usage;  ///< In all rounds, by execution id.
    /// Of a manual step that waits. Absent if people do all steps of the run.
    std::optional<ManualWait> wait;
    std::optional<StepAnswer> answer;  ///< Of a manual step.
    std::string child_run;             ///< The run of the workflow that the step uses; empty: none.
    std::vector<std::string> child_runs;  ///< Of all its rounds.

    bool operator==(const StepEntry&) const = default;
};

/// What a run waits for before its steps start.
struct RunWait {
    std::string group;   ///< Its concurrency group. Redacted.
    std::string run_id;  ///< The run that has the group; empty: not known.

    bool operator==(const RunWait&) const = default;
};

/// A run of a workflow.
struct RunEntry {
    std::string run_id;
    std::string workflow_id;
    std::string name;
    std::string path;    ///< Of the workflow's file.
    std::string branch;  ///< Receives the work of all steps.
    std::string commit;  ///< Its head, once merged.
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::optional<std::chrono::system_clock::time_point> ended_at;
    WorkflowStatus status = WorkflowStatus::running;
    bool alive = false;  ///< Its executor lives. Neither alive nor ended: interrupted.
    std::string error;
    std::int64_t pid = 0;
    bool automatic = true;  ///< False: commands are published for people.
    // Of a child run: the step that uses its workflow, and the run of that step. Otherwise empty.
    std::string parent_run;
    std::string parent_step;
    std::optional<RunWait> waits_for;
    std::vector<StepEntry> steps;

    /// Unique among the runs of a project.
    [[nodiscard]] const std::string& key() const noexcept { return run_id; }

    bool operator==(const RunEntry&) const = default;
};

/// A process that runs commands of other processes, such as `autoexec agent`.
struct AgentProcessEntry {
    std::string agent_id;
    std::int64_t pid = 0;
    std::string host;
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::vector<std::string> agents;  ///< Names of the agents file that accept commands.

    /// Unique among these processes.
    [[nodiscard]] const std::string& key() const noexcept { return agent_id; }

    bool operator==(const AgentProcessEntry&) const = default;
};

/// An agent that gets no commands for now: see `BreakerOptions`.
struct HeldAgentEntry {
    std::string name;
    std::string reason;   ///< A sentence for people, with the time until which it is held.
    std::string code;     ///< Of its last failure.
    std::string message;  ///< The same; redacted.
    std::chrono::system_clock::time_point since;
    std::chrono::system_clock::time_point until;

    /// Unique among the agents.
    [[nodiscard]] const std::string& key() const noexcept { return name; }

    bool operator==(const HeldAgentEntry&) const = default;
};

/// An executor: of `autoexec run`, of a run, of the engine of the queue, or of an application. One
/// that publishes nothing yet is not known.
struct ExecutorEntry {
    std::string executor_id;
    std::int64_t pid = 0;  ///< Zero: not known, as for an empty `host`.
    std::string host;
    bool alive = false;  ///< True also if it may live on another host.

    /// Unique among the executors.
    [[nodiscard]] const std::string& key() const noexcept { return executor_id; }

    bool operator==(const ExecutorEntry&) const = default;
};

/// The process that starts the detached executions of a project.
struct QueueEngineEntry {
    bool alive = false;     ///< False: the last one has ended. What follows is about that.
    bool draining = false;  ///< It starts nothing more, and ends when its executions have ended.
    std::int64_t pid = 0;   ///< Zero: it has just begun, and the rest is not known yet.
    std::string host;
    std::string version;  ///< Of autoexec.
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::filesystem::path log;  ///< What it prints; empty: to a terminal.

    bool operator==(const QueueEngineEntry&) const = default;
};

/// A worktree that git has linked to the project's repository.
struct WorktreeEntry {
    std::filesystem::path path;  ///< It may have been removed without git.
    std::string execution_id;    ///< Of the execution that uses it; empty: none of the project.

    /// Unique among the worktrees.
    [[nodiscard]] const std::string& key() const noexcept { return path.native(); }

    bool operator==(const WorktreeEntry&) const = default;
};

/// Starts that a person has paused. What runs continues.
struct PauseEntry {
    /// Of which commands.
    enum class Scope { all, agent, workflow };
    Scope scope = Scope::all;
    std::string name;  ///< Of the agent, or the id of the workflow or of its run. Empty for `all`.
    std::string reason;  ///< A sentence part for people, with the following.
    std::optional<std::chrono::system_clock::time_point> since;
    std::string by;  ///< `user@host`

    bool operator==(const PauseEntry&) const = default;
};

/// The state of a project, or the part of it that has changed.
struct ProjectState {
    std::vector<ExecutionEntry> executions;  ///< Oldest first; then queued ones, in their order.
    /// The newest that have ended, newest first. None of them is among `executions`.
    std::vector<EndedExecutionEntry> ended;
    std::vector<RunEntry> runs;  ///< Newest first.
    std::vector<AgentProcessEntry> agent_processes;
    std::vector<HeldAgentEntry> held_agents;
    std::vector<ExecutorEntry> executors;
    std::vector<WorktreeEntry> worktrees;
    std::optional<QueueEngineEntry> queue_engine;  ///< Absent: there has been none.
    std::vector<PauseEntry> pauses;                ///< Of starts. Always all.
    std::string pauses_problem;       ///< Why pauses cannot be read, so nothing is paused.
    std::string executions_problem;   ///< Why executions cannot be found; empty: they can.
    std::string held_agents_problem;  ///< Why held agents are not known; empty: they are.

    bool operator==(const ProjectState&) const = default;
};

/// A point in the history of a project, as one reader has seen it.
struct ViewPosition {
    std::uint64_t epoch = 0;  ///< Differs between readers. Zero: of none.
    std::uint64_t sequence = 0;

    bool operator==(const ViewPosition&) const = default;
};

/// What has changed between two positions. An entry that has changed several times is listed once,
/// in its current state.
struct ProjectChanges {
    ViewPosition position;  ///< The later one.
    /// True: `changed` is the whole state. The earlier position is unknown or too old.
    bool is_snapshot = false;
    /// New and changed entries. The problems and the engine of the queue are always set.
    ProjectState changed;

    // The keys of entries that are gone.
    std::vector<std::string> ended_executions;
    std::vector<std::string> forgotten_executions;  ///< Of `ended`: they are old, or run again.
    std::vector<std::string> removed_runs;
    std::vector<std::string> ended_agent_processes;
    std::vector<std::string> released_agents;
    std::vector<std::string> ended_executors;
    std::vector<std::string> removed_worktrees;
};

/// What a `ProjectReader` reads.
struct ProjectReaderOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    std::string status_file_name = ".cursor-skill-status.json";
    /// Of the newest runs; older ones are listed only while their executor lives.
    std::size_t max_runs = 20;
    /// Of the newest executions that have ended.
    std::size_t max_ended = 200;
};

/// Reads the state of a project from its files alone: it writes nothing, locks files for
/// microseconds only, and disturbs no executor.
///
/// Only files that have changed are read again. No state is missed that lasts until the next
/// `refresh`, whatever the file system's resolution of times is, down to 20 ms.
///
/// Thread safety: distinct objects are safe, a shared one is not.
class ProjectReader {
public:
    /// Reads nothing yet.
    explicit ProjectReader(ProjectReaderOptions options = {});
    ~ProjectReader();
    ProjectReader(ProjectReader&&) noexcept;
    ProjectReader& operator=(ProjectReader&&) noexcept;

    /// Brings the state up to date; true if it has changed. Blocks for some microseconds for each
    /// execution, run and worktree. What cannot be read is left out, or named as a problem.
    bool refresh();

    /// As of the last `refresh`.
    [[nodiscard]] ProjectState state() const;

    /// As of the last `refresh`.
    [[nodiscard]] ViewPosition position() const noexcept;

    /// What has changed since an earlier `position` of this reader. For any other position, and
    /// after very many changes, the whole state.
    [[nodiscard]] ProjectChanges changes_since(const ViewPosition& earlier) const;

    /// The ids of all runs, newest first, as of now. Blocks while it reads a line of each.
    [[nodiscard]] std::vector<std::string> run_ids() const;

    /// Any run, as of now. Absent, with a sentence in `problem`, if there is none of this id, or if
    /// it cannot be read.
    [[nodiscard]] std::optional<RunEntry> read_run(std::string_view run_id,
                                                   std::string& problem) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
