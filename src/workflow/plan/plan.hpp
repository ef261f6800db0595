#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/expression/expression.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The dependencies between the steps of a workflow. Pure.
namespace autoexec::workflow {

/// An error or a warning. `field` and `item` say where: `requires` and 1 is the second requirement
/// of a step.
struct PlanProblem {
    std::optional<std::size_t> step;  ///< Absent: the workflow as a whole.
    std::string field;                ///< As in the file; `gate.condition` for what is nested.
    std::size_t item = 0;
    std::string message;
    std::string hint{};
    bool warning = false;
    std::optional<std::size_t> offset{};  ///< In the text of an expression.
};

/// The exit of a step by which it leads to another.
enum class Exit { pass, fail };

/// `from` leads to a step, if it takes that exit.
struct Entry {
    std::size_t from = 0;
    Exit by = Exit::pass;
};

/// A required artifact, and the steps that create it: at least one.
struct ArtifactNeed {
    std::string artifact;
    std::vector<std::size_t> creators;
};

struct PlanStep {
    std::vector<ArtifactNeed> artifacts;
    std::vector<std::string> from_repository;  ///< Required, and created by no step.
    std::vector<std::size_t> depends_on;
    std::vector<std::size_t> after;  ///< Must have ended, in whatever state.
    std::vector<Entry> entries;      ///< If there are any, one must have been taken.

    /// The later steps to which its exits lead, if any.
    std::optional<std::size_t> pass_to;
    std::optional<std::size_t> fail_to;
    /// The step to which the gate goes back: an earlier one, or itself for `retry`.
    std::optional<std::size_t> back_to;
    int max_rounds = 1;

    Expression condition;
    Expression gate;
    bool has_gate = false;
    std::string results;         ///< The file with its results; empty: no expression uses them.
    bool output_used = false;    ///< Something uses the output of its command.
    bool command_waits = false;  ///< Its command has values that are known when it starts.
    bool require_artifacts = false;

    // Of a step with items, and of a step for one of them.
    bool has_items = false;
    std::vector<std::size_t> parts;      ///< The steps for its items that have been added.
    std::optional<std::size_t> part_of;  ///< The step with the items.

    std::vector<std::size_t> waits_for;  ///< All of the above, each once, ascending.
    std::vector<bool> leads_to;  ///< The steps that wait for it, directly or not; not itself.
    std::size_t level = 0;       ///< The length of the longest path to it.
};

struct Plan {
    std::vector<PlanStep> steps;
    std::vector<std::size_t>
        order;  ///< Each step after those it waits for; otherwise as in the file.
    std::vector<std::size_t> longest_chain;
};

/// Limits of all workflows.
inline constexpr std::size_t max_steps = 10'000;
inline constexpr std::size_t max_edges = 200'000;

/// Reports all problems; the plan is usable if none of them is an error.
Plan make_plan(const Workflow& workflow, std::vector<PlanProblem>& problems);

/// How deep files may use others: the first one counts.
inline constexpr std::size_t max_uses_depth = 8;

/// What is known of used workflows.
using UsedDepths = std::map<const Workflow*, std::size_t>;

/// How many workflows are one within the other: 1 without `uses`.
std::size_t uses_depth(const Workflow& workflow, UsedDepths& known);

/// `step 'x', requires[2]: …` for each error, of a workflow that has no file.
std::vector<std::string> sentences_for(const Workflow& workflow,
                                       const std::vector<PlanProblem>& problems);

/// As `draw_workflow`, for a plan that exists.
std::string draw_plan(const Workflow& workflow, const Plan& plan, WorkflowDrawing as);

/// A closing step of the original system, with nothing to run.
bool is_closing(const WorkflowStep& step);

/// The step with that id.
std::optional<std::size_t> index_of(const Workflow& workflow, std::string_view id);

}  // namespace autoexec::workflow
