#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The program: one file a verb. `main.cpp` alone knows the command-line library; it fills these
/// in and calls the verb, which returns the exit code.
namespace autoexec::runner {

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

struct RunOptions {
    CommonOptions common;
    std::string command;
    std::vector<std::string> program;  ///< After `--`.
    std::string list;                  ///< JSONL file, `-` for stdin.
    std::vector<std::string> worktrees;
    std::vector<std::string> new_worktrees;  ///< NAME[@REF]
    std::optional<std::size_t> jobs;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<std::chrono::milliseconds> total_timeout;
    std::optional<std::chrono::milliseconds> polling_interval;
    std::optional<std::chrono::milliseconds> stop_grace;
    std::vector<std::string> expect;
    std::string workflow_id;
    std::string step_id;
    std::optional<int> retry;
    bool idempotent = false;
    bool external_agent = false;
    bool wait_for_worktree = false;
    std::string agent;
    std::vector<std::string> env_refs;
    std::string notify;
    bool show_output = false;
    bool quiet = false;
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
    bool dry_run = false;
    bool yes = false;
};

struct DebugOptions {
    CommonOptions common;
    std::optional<bool> change;  ///< Absent: only tell.
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

}  // namespace autoexec::runner
