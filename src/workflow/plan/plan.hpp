#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/expression/expression.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// Who waits for whom: what a definition means, before anything runs. Pure.
namespace autoexec::workflow {

/// Something wrong with a workflow. `field` and `item` say where: `requires` and 1 is the second of
/// a step's requirements.
struct PlanProblem {
    std::optional<std::size_t> step;  ///< Absent: the workflow as a whole.
    std::string field;                ///< As in the file; `gate.condition` for what is nested.
    std::size_t item = 0;
    std::optional<std::size_t> offset;  ///< In the text of an expression.
    std::string message;
    std::string hint;
    bool warning = false;
};

/// By which of its ways out a step leads to another.
enum class Exit { pass, fail };

/// `from` leads to a step, if it takes that way.
struct Entry {
    std::size_t from = 0;
    Exit by = Exit::pass;
};

/// An artifact that must be there, and the steps that make it. At least one of them.
struct ArtifactNeed {
    std::string artifact;
    std::vector<std::size_t> creators;
};

struct PlanStep {
    std::vector<ArtifactNeed> artifacts;
    std::vector<std::string> from_repository;  ///< Required, and made by no step.
    std::vector<std::size_t> depends_on;
    std::vector<std::size_t> after;  ///< Must have ended, however.
    std::vector<Entry> entries;      ///< If there are any, one must have been taken.

    /// Where it leads: a later step. Nothing where it leads to none by that way.
    std::optional<std::size_t> pass_to;
    std::optional<std::size_t> fail_to;
    /// The gate sends back there (the step itself, for `retry`).
    std::optional<std::size_t> back_to;
    int max_rounds = 1;

    Expression condition;
    Expression gate;
    bool has_gate = false;
    std::string results;  ///< Where its results are read from; empty: nobody asks for them.
    bool require_artifacts = false;

    std::vector<std::size_t> waits_for;  ///< All of the above, each once, ascending.
    std::vector<bool> leads_to;          ///< Who waits for it, through others, too; itself not.
    std::size_t level = 0;               ///< The longest way to it.
};

struct Plan {
    std::vector<PlanStep> steps;
    std::vector<std::size_t> order;  ///< Each after those it waits for; else as in the file.
    std::vector<std::size_t> longest_chain;
};

/// `problems` gets all that is wrong; the plan is usable if none of them is an error.
Plan make_plan(const Workflow& workflow, std::vector<PlanProblem>& problems);

/// The original's closing step: there is nothing that an agent could do.
bool is_closing(const WorkflowStep& step);

/// The step of that id.
std::optional<std::size_t> index_of(const Workflow& workflow, std::string_view id);

}  // namespace autoexec::workflow
