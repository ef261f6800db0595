#pragma once

#include <autoexec/command.hpp>
#include <autoexec/diagnostic.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::workflow {
struct Plan;
}

namespace autoexec::inline v1 {

/// Whether a step must run and succeed.
enum class StepNeed {
    required,     ///< Its failure fails the workflow.
    optional,     ///< Its failure is recorded, but does not fail the workflow.
    conditional,  ///< Runs only if a `next` or a gate leads to it.
};

/// The part of a workflow to which a step belongs: each begins when those before it have ended.
enum class StepPhase {
    main,
    on_failure,  ///< Runs only if a step before has failed.
    finally,     ///< Runs also after failures, and if a gate has ended the workflow.
};

/// Where a gate leads.
struct GateTarget {
    /// What the gate does.
    enum class Kind {
        next,   ///< To the step's `next`, or to all steps that wait for it.
        step,   ///< To a later step; for `on_fail`, also back to an earlier one.
        again,  ///< `retry`: the step itself runs again.
        end,    ///< The workflow ends here: completed.
        fail,   ///< The step fails.
    };
    Kind kind = Kind::next;
    std::string step;  ///< For `Kind::step`.

    bool operator==(const GateTarget&) const = default;
};

/// Where steps work that do not name a worktree.
enum class WorktreeMode {
    step,      ///< Each in a new worktree, starting from the work of the steps that it waits for.
    workflow,  ///< One after the other, in one new worktree of the run.
    in_place,  ///< One after the other, in an existing folder, without git.
};
std::string_view to_string(WorktreeMode mode) noexcept;

/// Which of a step's changes in a worktree of the run are committed.
enum class CommitScope {
    all,      ///< All changes; the end of a step names those beside what it creates.
    creates,  ///< What it creates; other changes stay in its worktree, uncommitted.
};

/// Decides what follows a completed step.
struct WorkflowGate {
    std::string condition;  ///< See `doc/workflows.md`; empty: it passes.
    GateTarget on_pass{};
    GateTarget on_fail{GateTarget::Kind::fail, {}};
    /// The maximum number of rounds of the step, if this gate goes back each time. At least 1.
    std::optional<int> max_rounds;  ///< Absent: that of the workflow.
};

/// A step that waits for a person: for a decision, or for work by hand.
struct ManualStep {
    std::string by;  ///< The person to be asked, as text to be shown; may be empty.
    /// How long it waits, from its start. Absent: without a limit.
    std::optional<std::chrono::milliseconds> until;
    bool approved_at_deadline = false;  ///< Otherwise it times out then.
};

/// The items that a step is run for, once for each.
struct WorkflowItems {
    /// The list's name: `plan.results.tasks`, in the results of another step, or `params.files`.
    /// Empty: `list`.
    std::string source;
    boost::json::array list;
    std::size_t max_items = 100;   ///< With more, the step fails. At most 1000.
    std::size_t max_parallel = 0;  ///< Items at once; zero: no limit of its own.
    bool fail_fast = false;        ///< The first failure cancels the other items.
    /// If not empty, only the work for the best item is used: that with the largest number of this
    /// name in its results.
    std::string best_by;
};

struct Workflow;

/// A step: a command for an agent, and the conditions under which it runs.
struct WorkflowStep {
    std::string id;    ///< Unique in the workflow.
    std::string name;  ///< For people; may be empty.

    // What it runs: agent and action, from which a command is built, or one of the others.
    std::string agent;
    std::string model;  ///< That its agent uses, as the program calls it. Empty: as the agent says.
    std::string action;
    boost::json::object params;  ///< Flags of the built command, or parameters of `used`.
    std::string command;
    std::vector<std::string> argv;
    /// A person does it, also where agents run the other steps: the command is for the person, and
    /// may be absent.
    std::optional<ManualStep> manual;
    /// Another workflow, which runs in a run of its own: the file, as this one names it, and what
    /// it has. Both or none.
    std::string uses;
    std::shared_ptr<const Workflow> used;

    // When.
    std::vector<std::string> needs;    ///< `requires`: artifacts that must be there.
    std::vector<std::string> creates;  ///< Artifacts, relative to the worktree.
    std::vector<std::string> depends_on;
    std::vector<std::string> optional_steps;  ///< Waited for; may fail.
    std::string next;                         ///< A step id; empty: none.
    std::optional<WorkflowGate> gate;
    StepPhase phase = StepPhase::main;
    StepNeed need = StepNeed::required;
    std::string condition;  ///< An expression: false means skipped. Empty: none.

    /// Run once for each item, as `ID.1`, `ID.2`, …: the step itself only reads the list. With a
    /// list of its own, `agent` and `model` may be `{item}` or `{item.NAME}`.
    std::optional<WorkflowItems> for_each;

    // How.
    bool continue_on_error = false;  ///< As `StepNeed::optional`.
    bool skip_on_fail = false;       ///< A failure counts as skipped.
    bool idempotent = false;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<RetryPolicy> retry;  ///< Absent: that of the workflow.
    // Of its command; zero: no limit of its own.
    double max_cost = 0;  ///< USD
    std::int64_t max_tokens = 0;
    /// Its work is taken from an earlier run that had the same command and the same files.
    bool cache = false;
    /// A retry starts from the same state as the step; the changes of the last attempt are saved.
    bool retry_from_clean = false;
    std::optional<CommitScope> commit;  ///< Absent: that of the workflow.
    std::vector<std::string> env_refs;
    /// Variables of its command; they may contain values (`{params.NAME}` …).
    std::map<std::string, std::string> env;
    /// Where its program starts, relative to the worktree. Empty: as its agent says.
    std::string working_directory;
    /// A program, with its first arguments, that gets `-c` and `command`, a script. Empty: its
    /// agent runs the command.
    std::vector<std::string> shell;
    /// Absent: true if another step requires one of `creates`.
    std::optional<bool> require_artifacts;
    std::filesystem::path worktree;  ///< Empty: that of the run.
    /// A JSON artifact with values for its gate and for conditions of other steps. Empty: if one is
    /// used, `reports/<id>.json`.
    std::string results;
    /// `scoring.thresholds`, without `_min`: for `scoring.passed`.
    std::map<std::string, double, std::less<>> thresholds;
    /// Those whose number is a parameter: by metric the parameter's name.
    std::map<std::string, std::string, std::less<>> threshold_params;

    // For people and agents; no rule uses them.
    int context_tier = 2;
    std::vector<std::string> consults;
    std::string notes;
    bool repeats = false;
    boost::json::object metadata;
};

/// Which runs of a project, of this workflow or of others, do not run at the same time.
struct WorkflowConcurrency {
    /// At most one run of a group is active. May contain `{params.NAME}`. Empty: no group.
    std::string group;
    /// A new run cancels the active one. Otherwise it only waits for its end.
    bool cancel_running = false;
};

/// A workflow, from a file or an application. The keys: `doc/workflows.md`.
struct Workflow {
    std::string id;  ///< Not empty.
    std::string name;
    std::string description;
    std::string version = "1.0.0";
    std::string type = "greenfield";
    boost::json::object settings;
    boost::json::object metadata;
    boost::json::object params;  ///< Their defaults; null: required.
    /// Variables of all commands, by name; a step's own take precedence.
    std::map<std::string, std::string> env;
    std::vector<WorkflowStep> steps;

    WorktreeMode worktrees = WorktreeMode::step;
    CommitScope commit = CommitScope::all;
    std::size_t max_parallel = 0;      ///< Steps at once; zero: no limit of its own.
    int max_rounds = 3;                ///< For gates without a limit.
    std::optional<RetryPolicy> retry;  ///< Of steps without their own. Absent: the executor's.
    std::optional<int> max_retries;    ///< Of all steps of a run together. Absent: no limit.
    WorkflowConcurrency concurrency;
    // What a run may cost, with all its rounds and resumptions; zero: no limit of its own. The
    // program enforces it; an application does so by `WorkflowRunOptions::refuse_start`.
    double max_cost = 0;  ///< USD
    std::int64_t max_tokens = 0;
    /// Of the steps of the phase `main`, from the start of the run or its resumption. Absent: none.
    std::optional<std::chrono::milliseconds> timeout;

    std::string path;  ///< Of the file; empty: made by an application.
    /// SHA-256 of the file and of those that it uses, in hexadecimal; may be empty.
    std::string hash;
};

/// A workflow from a file, or the reasons why it cannot be used.
struct LoadedWorkflow {
    std::optional<Workflow> workflow;  ///< Absent if there are errors.
    /// Those of the file, lines ascending, then those of each file that it uses.
    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings;
    /// The dependencies between its steps, for `WorkflowRunOptions::plan`.
    std::shared_ptr<const workflow::Plan> plan;
};

/// A problem with a step, by rules of an application.
struct WorkflowStepProblem {
    std::string message;  ///< A sentence; prefixed with the step's id.
    std::string hint;     ///< How to fix it; may be empty.
    bool warning = false;
};

/// How a workflow file is read.
struct WorkflowReadOptions {
    /// Unknown keys are warnings. Otherwise they are errors: a step whose `if` was not read would
    /// run.
    bool lenient = false;
    /// Where files must be that steps use, after links are resolved. Empty: in the folder of the
    /// file that is read.
    std::filesystem::path project_root;
    /// Where artifacts that no step creates must exist; empty: not checked.
    std::filesystem::path worktree;
    /// Parameters that will be given, besides those with defaults. Absent: not checked.
    std::optional<boost::json::object> params;
    /// Checks the `agent` of a step, also in files that are used. Null: not checked.
    std::function<std::optional<WorkflowStepProblem>(const WorkflowStep&)> check_agent;
    /// Called when a workflow without errors has been read, to set `worktree` and `params` by what
    /// it declares. May be null.
    std::function<void(const Workflow&, WorkflowReadOptions&)> prepare;
};

/// Reads a file of at most 1 MiB. Reports all problems at once. Blocks.
LoadedWorkflow load_workflow(const std::filesystem::path& path,
                             const WorkflowReadOptions& options = {});

/// The same for a text; `path` is its name in diagnostics.
LoadedWorkflow parse_workflow(std::string_view text, const std::string& path,
                              const WorkflowReadOptions& options = {});

/// The problems of a workflow that an application made; empty if none.
std::vector<std::string> check_workflow(const Workflow& workflow);

/// The formats of graphs.
enum class WorkflowDrawing { text, dot, mermaid };

/// Draws the plan: dependencies, levels, and the critical path. Throws `system_error`
/// (`errc::invalid_workflow`) for a workflow that cannot run.
std::string draw_workflow(const Workflow& workflow, WorkflowDrawing as);

}  // namespace autoexec::inline v1
