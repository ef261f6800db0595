#pragma once

#include "autoexec/workflow_executor.hpp"
#include "workflow/plan/names.hpp"
#include "workflow/plan/placeholders.hpp"
#include "workflow/plan/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::workflow {

class CommandLimit;

/// What a child run has of the run whose step uses its workflow. It has a constructor: see
/// `CommandRequest`.
struct ParentRun {
    ParentRun() = default;

    std::string run_id;  ///< Empty: the run is no child run.
    std::string step_id;
    std::string child_id;  ///< The id of the child run.
    /// Variables of the step; those of the used workflow take precedence.
    std::map<std::string, std::string> env;
    std::shared_ptr<CommandLimit> limit;
    /// The folder in which the step works in place, and the turn that it has there.
    std::string folder;
    std::string turn;
};

/// What a run is made from: constant once it has started, but for steps for items, which are added.
struct RunInputs {
    Workflow workflow;
    WorkflowRunOptions options;  ///< With the values of all parameters.
    Plan plan;
    StepIndex index;
    ParentRun parent = {};
};

/// Makes the plan, unless the options have it, and completes the parameters. `problems` gets a line
/// for each error; with any, the workflow cannot run.
RunInputs make_inputs(Workflow workflow, WorkflowRunOptions options, std::string& problems);

/// The name of the run's concurrency group, with the values of its parameters. Empty: none, or
/// `problems` gets a line.
std::string group_of(const RunInputs& inputs, std::string& problems);

/// The command of a step.
struct StepCommand {
    CommandRequest request;  ///< Of each round, but for its execution id and hooks.
    bool runs_nothing = false;
    bool in_git = false;  ///< Works in a worktree of the run.
    /// A person decides, and changes nothing in the worktree, which other steps use meanwhile.
    bool only_looks = false;
    std::string agent;  ///< The name whose limit counts; empty: none.
    /// Of a step with items, which itself runs nothing: the command for each of them, or one for
    /// all.
    std::vector<StepCommand> each;
    bool uses_workflow = false;  ///< It has a child run instead of a command.

    /// The command that is run for the step, or for its first item.
    [[nodiscard]] const StepCommand& run() const { return each.empty() ? *this : each.front(); }
    /// The command for an item, counted from 0.
    [[nodiscard]] const StepCommand& run_for(std::size_t item) const
    {
        return each.size() > 1 ? each[std::min(item, each.size() - 1)] : run();
    }
};

/// The command of each step, in their order. `problems` gets a line for each error; if it has lines
/// already, there are no commands. Pure, but for `WorkflowExecutorOptions::assign`.
std::vector<StepCommand> make_commands(const RunInputs& inputs,
                                       const WorkflowExecutorOptions& options,
                                       std::string& problems);

/// The artifacts of a step that its command must make: what it creates, and its results.
std::vector<std::string> artifacts_expected_of(const WorkflowStep& step, const PlanStep& plan);

/// Sets the command of a request, with these values in it.
void set_command(const RunInputs& inputs, const CommandTable& table, std::size_t step,
                 const PlaceholderValue& value, CommandRequest& request);

/// `path`, counted from the project's root, without a slash at its end.
std::filesystem::path path_below(const std::filesystem::path& root,
                                 const std::filesystem::path& path);

}  // namespace autoexec::workflow
