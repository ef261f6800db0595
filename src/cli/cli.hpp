#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The program: one file a verb. `main.cpp` and `cli_*.cpp` alone know the command-line library;
/// they fill these in and call the verb, which returns the exit code.
namespace autoexec::cli {

/// `doc/cli.md` lists them for users.
enum ExitCode {
    exit_completed = 0,
    exit_failed = 1,     ///< A command failed or timed out.
    exit_usage = 2,      ///< The call makes no sense.
    exit_invalid = 3,    ///< A file of the project is invalid.
    exit_engine = 4,     ///< The engine could not do its job.
    exit_unhealthy = 5,  ///< `autoexec health` found what keeps commands from running.
    exit_cancelled = 130,
};

struct CommonOptions {
    std::filesystem::path project;  ///< Empty: found from the current directory.
    bool json = false;
};

/// For verbs that run something.
struct EngineFlags {
    std::optional<std::size_t> jobs;
    std::optional<std::chrono::milliseconds> total_timeout;
    std::optional<std::chrono::milliseconds> polling_interval;
    std::optional<std::chrono::milliseconds> stop_grace;
    std::string agent;
    bool external_agent = false;
    bool wait_for_worktree = false;
    bool quiet = false;
};

struct RunOptions {
    CommonOptions common;
    EngineFlags engine;
    std::string command;
    std::vector<std::string> program;  ///< After `--`.
    std::string list;                  ///< JSONL file, `-` for stdin.
    std::vector<std::string> worktrees;
    std::vector<std::string> new_worktrees;  ///< NAME[@REF]
    std::optional<std::chrono::milliseconds> timeout;
    std::vector<std::string> expect;
    std::string workflow_id;
    std::string step_id;
    std::optional<int> retry;
    bool idempotent = false;
    std::vector<std::string> env_refs;
    std::string notify;
    bool show_output = false;
};

struct AgentVerbOptions {
    CommonOptions common;
    std::vector<std::string> worktrees;
    int jobs = 0;
    bool verbose = false;
};

struct StatusOptions {
    CommonOptions common;
};

struct HistoryOptions {
    CommonOptions common;
    std::string workflow_id;
    std::string step_id;
    std::string status;
    std::size_t limit = 20;
    bool summary = false;
};

struct CancelOptions {
    CommonOptions common;
    std::string execution;
    bool no_wait = false;
};

struct LogsOptions {
    CommonOptions common;
    std::string execution;
    bool follow = false;
    bool raw = false;
};

struct HealthVerbOptions {
    CommonOptions common;
    std::vector<std::string> worktrees;
    bool deep = false;
};

struct AgentsValidateOptions {
    CommonOptions common;
    std::string path;  ///< Empty: the project's.
};

struct AgentsListOptions {
    CommonOptions common;
};

struct AgentsInitOptions {
    CommonOptions common;
    std::vector<std::string> presets;
    std::string from_template;
    bool minimal = false;
    bool overwrite = false;
    bool to_stdout = false;
};

struct ConfigShowOptions {
    CommonOptions common;
    bool origin = false;
};

struct ConfigValidateOptions {
    CommonOptions common;
    std::string path;  ///< Empty: the project's.
    bool strict = false;
};

struct ConfigMigrateOptions {
    CommonOptions common;
    std::filesystem::path path;  ///< Empty: the project's.
    bool dry_run = false;
    bool yes = false;
};

struct DebugOptions {
    CommonOptions common;
    std::optional<bool> change;  ///< Absent: only tell.
};

/// For a run of a workflow, a new one or one to go on with.
struct WorkflowPlayOptions {
    CommonOptions common;
    EngineFlags engine;
    std::vector<std::string> params;  ///< NAME=VALUE
    std::optional<std::string> prompt;
    std::optional<int> retry;
    std::optional<std::chrono::milliseconds> timeout;
    bool fail_fast = false;
    bool lenient = false;           ///< Unknown keys of the workflow are warnings.
    std::optional<bool> automatic;  ///< Absent: as configured.
};

struct WorkflowRunVerbOptions : WorkflowPlayOptions {
    std::string path;
    std::string worktree;  ///< Empty: as the workflow says.
    bool in_place = false;
    std::string base;        ///< Empty: HEAD.
    std::string merge_into;  ///< Empty: no branch of the user's.
    bool dry_run = false;
    bool strict = false;
};

struct WorkflowResumeVerbOptions : WorkflowPlayOptions {
    std::string run;  ///< Empty: the newest that has not completed.
    std::vector<std::string> from;
    bool from_failed = false;
    bool accept_changed = false;
    bool allow_outside = false;  ///< The workflow's file may be outside the project.
};

struct WorkflowValidateOptions {
    CommonOptions common;
    std::vector<std::string> paths;
    bool strict = false;
    bool lenient = false;
};

struct WorkflowGraphOptions {
    std::string path;
    bool lenient = false;
    bool dot = false;
    bool mermaid = false;
};

struct WorkflowListOptions {
    CommonOptions common;
    std::size_t limit = 20;
};

struct WorkflowStatusOptions {
    CommonOptions common;
    std::string run;  ///< Empty: the newest.
};

struct WorkflowCancelOptions {
    CommonOptions common;
    std::string run;  ///< Empty: the newest that is alive.
    bool no_wait = false;
};

struct WorkflowMarkOptions {
    CommonOptions common;
    std::string step;
    std::string run;  ///< Empty: the one in which that step waits.
    bool done = true;
    std::string reason;
};

struct WorktreeListOptions {
    CommonOptions common;
};

struct WorktreeGcOptions {
    CommonOptions common;
    // Absent: as configured.
    std::optional<std::chrono::milliseconds> older_than;
    std::optional<std::size_t> keep;  ///< Runs, the newest ones.
    std::optional<bool> branches;
    bool include_ignored = false;
    bool all = false;
    bool dry_run = false;
};

struct WorktreeRestoreOptions {
    CommonOptions common;
    std::string ref;
    std::string name;  ///< Empty: made of the ref.
};

struct WorktreeDropOptions {
    CommonOptions common;
    std::vector<std::string> refs;
    std::optional<std::chrono::milliseconds> older_than;  ///< All that are; instead of `refs`.
    bool dry_run = false;
};

int run(const RunOptions& options);
int agent(const AgentVerbOptions& options);
int status(const StatusOptions& options);
int history(const HistoryOptions& options);
int cancel(const CancelOptions& options);
int logs(const LogsOptions& options);
int health(const HealthVerbOptions& options);
int agents_validate(const AgentsValidateOptions& options);
int agents_list(const AgentsListOptions& options);
int agents_init(const AgentsInitOptions& options);
int config_show(const ConfigShowOptions& options);
int config_validate(const ConfigValidateOptions& options);
int config_schema();
int config_reference();
int config_migrate(const ConfigMigrateOptions& options);
int debug(const DebugOptions& options);
int workflow_run(const WorkflowRunVerbOptions& options);
int workflow_resume(const WorkflowResumeVerbOptions& options);
int workflow_validate(const WorkflowValidateOptions& options);
int workflow_graph(const WorkflowGraphOptions& options);
int workflow_list(const WorkflowListOptions& options);
int workflow_status(const WorkflowStatusOptions& options);
int workflow_cancel(const WorkflowCancelOptions& options);
int workflow_mark(const WorkflowMarkOptions& options);
int worktree_list(const WorktreeListOptions& options);
int worktree_gc(const WorktreeGcOptions& options);
int worktree_restore(const WorktreeRestoreOptions& options);
int worktree_drop(const WorktreeDropOptions& options);

}  // namespace autoexec::cli
