#pragma once

/// Paths of the project's own files, relative to its root. Those in a worktree are in
/// `control_files.hpp`.
namespace autoexec::layout {

inline constexpr char records[] = ".tapps-agents";
inline constexpr char configuration[] = ".tapps-agents/auto_execution_config.yaml";
/// The original's; some of its keys are read.
inline constexpr char project_configuration[] = ".tapps-agents/config.yaml";
inline constexpr char running[] = ".tapps-agents/running";
inline constexpr char agents[] = ".tapps-agents/running/agents";
/// The locks of executors; their records are in folders of the same names, in `running`.
inline constexpr char engines[] = ".tapps-agents/running/engines";
inline constexpr char cancel_requests[] = ".tapps-agents/running/cancel";
inline constexpr char answers[] = ".tapps-agents/running/answers";
/// People's answers to manual steps: a folder for each run.
inline constexpr char decisions[] = ".tapps-agents/running/decisions";
/// The starts that people have paused.
inline constexpr char paused[] = ".tapps-agents/running/paused";
/// Requests that wait; below it, those that an engine has started, the results of those that have
/// ended, and requests that a run in the foreground has started.
inline constexpr char queue[] = ".tapps-agents/queue";
inline constexpr char started_requests[] = ".tapps-agents/queue/started";
inline constexpr char ended_requests[] = ".tapps-agents/queue/ended";
inline constexpr char kept_requests[] = ".tapps-agents/queue/kept";
/// Locks of the slots that all processes of the project share.
inline constexpr char slots[] = ".tapps-agents/slots";
/// What detached processes print.
inline constexpr char engine_logs[] = ".tapps-agents/engines";
/// The state of the agents.
inline constexpr char agent_health[] = ".tapps-agents/health";
inline constexpr char output[] = ".tapps-agents/output";
inline constexpr char logs[] = ".tapps-agents/logs";
inline constexpr char metrics[] = ".tapps-agents/metrics";
inline constexpr char audit[] = ".tapps-agents/audit";
inline constexpr char worktrees[] = ".tapps-agents/worktrees";
inline constexpr char journals[] = ".tapps-agents/workflow-state";
/// The locks of concurrency groups.
inline constexpr char run_groups[] = ".tapps-agents/workflow-state/groups";
inline constexpr char markers[] = ".tapps-agents/workflows/markers";

inline constexpr char agents_file[] = ".cursor/background-agents.yaml";

}  // namespace autoexec::layout
