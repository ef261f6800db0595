#pragma once

#include <autoexec/command.hpp>
#include <autoexec/diagnostic.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec {

/// Whether a step must run and succeed.
enum class StepNeed {
    required,     ///< Its failure fails the workflow.
    optional,     ///< Its failure is recorded, and stops nothing.
    conditional,  ///< Runs only where a `next` or a gate leads to it.
};

/// Where a gate sends a workflow.
struct GateTarget {
    /// What the gate does.
    enum class Kind {
        next,   ///< To the step's `next`, or to all that waits for it.
        step,   ///< To a later step; of `on_fail`, also back to an earlier one.
        again,  ///< `retry`: the step itself runs again.
        end,    ///< The workflow ends here: completed.
        fail,   ///< The step has failed.
    };
    Kind kind = Kind::next;
    std::string step;  ///< For `Kind::step`.

    bool operator==(const GateTarget&) const = default;
};

/// Where steps work that don't name a worktree of their own.
enum class WorktreeMode {
    step,      ///< Each in a new worktree, from what the steps that it waits for have made.
    workflow,  ///< One after the other, in one new worktree of the run.
    in_place,  ///< One after the other, in a folder that is there: git is not asked.
};
std::string_view to_string(WorktreeMode mode) noexcept;

/// What is committed of a step's changes in a worktree of the run.
enum class CommitScope {
    all,      ///< All changes; the end of a step names those beside what it creates.
    creates,  ///< What it creates; all else stays in its worktree, uncommitted.
};

/// Judges a step that has completed.
struct WorkflowGate {
    std::string condition;  ///< See `doc/workflows.md`; empty: it passes.
    GateTarget on_pass{};
    GateTarget on_fail{GateTarget::Kind::fail, {}};
    /// How often the step runs at most, if this gate sends the workflow back each time. At least 1.
    std::optional<int> max_rounds;  ///< Absent: as the workflow says.
};

/// One step: a command to an agent, and when it runs.
struct WorkflowStep {
    std::string id;    ///< Unique in the workflow.
    std::string name;  ///< For people; may be empty.

    // What is run: agent and action, from which a command is built, or one of the others.
    std::string agent;
    std::string action;
    boost::json::object params;  ///< Flags of the built command.
    std::string command;
    std::vector<std::string> argv;

    // When.
    std::vector<std::string> needs;    ///< `requires`: artifacts that must be there.
    std::vector<std::string> creates;  ///< Artifacts, relative to the worktree.
    std::vector<std::string> depends_on;
    std::vector<std::string> optional_steps;  ///< Waited for, however they end.
    std::string next;                         ///< A step id; empty: none.
    std::optional<WorkflowGate> gate;
    StepNeed need = StepNeed::required;
    std::string condition;  ///< An expression: false means skipped. Empty: none.

    // How.
    bool continue_on_error = false;  ///< As `StepNeed::optional`.
    bool skip_on_fail = false;       ///< A failure counts as skipped.
    bool idempotent = false;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<RetryPolicy> retry;
    /// A retry begins from what the step began from; what the attempt before has left is saved.
    bool retry_from_clean = false;
    std::optional<CommitScope> commit;  ///< Absent: as the workflow says.
    std::vector<std::string> env_refs;
    /// Absent: true where another step requires one of `creates`.
    std::optional<bool> require_artifacts;
    std::filesystem::path worktree;  ///< Empty: that of the run.
    /// A JSON artifact of the step with what its gate, and others' conditions, ask for. Empty: a
    /// step that needs one has `reports/<id>.json`.
    std::string results;
    /// `scoring.thresholds`, without `_min`: what `scoring.passed` asks for.
    std::map<std::string, double, std::less<>> thresholds;

    // For people and agents; no rule looks at them.
    int context_tier = 2;
    std::vector<std::string> consults;
    std::string notes;
    bool repeats = false;
    boost::json::object metadata;
};

/// A workflow as its file says, or an application. What the keys mean: `doc/workflows.md`.
struct Workflow {
    std::string id;  ///< Not empty.
    std::string name;
    std::string description;
    std::string version = "1.0.0";
    std::string type = "greenfield";
    boost::json::object settings;
    boost::json::object metadata;
    boost::json::object params;  ///< Their defaults; null: must be given.
    std::vector<WorkflowStep> steps;

    WorktreeMode worktrees = WorktreeMode::step;
    CommitScope commit = CommitScope::all;
    std::size_t max_parallel = 0;  ///< Steps at once; zero: no limit of its own.
    int max_rounds = 3;            ///< Of gates that don't say.

    std::string path;  ///< Of the file; empty: made by an application.
    std::string hash;  ///< SHA-256 of the file, in hexadecimal; may be empty.
};

/// What a workflow file says, or why it can't be used.
struct LoadedWorkflow {
    std::optional<Workflow> workflow;  ///< Absent if there are errors.
    std::vector<Diagnostic> errors;    ///< Lines ascending.
    std::vector<Diagnostic> warnings;
};

/// What is wrong with a step, by rules of an application.
struct WorkflowStepProblem {
    std::string message;  ///< A sentence; the step's id is put before it.
    std::string hint;     ///< What to do about it; may be empty.
    bool warning = false;
};

/// How a workflow file is read.
struct WorkflowReadOptions {
    /// Keys that are not known are warnings. Otherwise they are errors: a step whose `if` was not
    /// read would run.
    bool lenient = false;
    /// Where artifacts that no step creates must be; empty: that is not looked at.
    std::filesystem::path worktree;
    /// Parameters that will be given, besides those with defaults. Absent: not looked at.
    std::optional<boost::json::object> params;
    /// Judges what a step names as its `agent`. Null: that is not looked at.
    std::function<std::optional<WorkflowStepProblem>(const WorkflowStep&)> check_agent;
};

/// Reads a file of at most 1 MiB. Says all that is wrong at once. Blocks.
LoadedWorkflow load_workflow(const std::filesystem::path& path,
                             const WorkflowReadOptions& options = {});

/// The same for a text; `path` is how it is called in diagnostics.
LoadedWorkflow parse_workflow(std::string_view text, const std::string& path,
                              const WorkflowReadOptions& options = {});

/// What is wrong with a workflow that an application made; empty if nothing.
std::vector<std::string> check_workflow(const Workflow& workflow);

/// The languages that graphs are drawn in.
enum class WorkflowDrawing { text, dot, mermaid };

/// The plan: who waits for whom, the levels, and the longest chain. Throws `system_error`
/// (`errc::invalid_workflow`) for a workflow that can't run.
std::string draw_workflow(const Workflow& workflow, WorkflowDrawing as);

}  // namespace autoexec
