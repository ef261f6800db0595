#include "cli/workflow/dry_run.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"
#include "workflow/run/step_commands.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

class Preview {
public:
    Preview(const WorkflowFlags& options, const workflow::RunInputs& inputs,
            std::vector<workflow::StepCommand> commands)
        : options_(options), inputs_(inputs), commands_(std::move(commands))
    {}

    void print() const
    {
        const auto& steps = inputs_.workflow.steps;
        print_result(workflow::draw_plan(inputs_.workflow, inputs_.plan, WorkflowDrawing::text));
        std::size_t ids = 0;
        std::size_t runners = 0;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            ids = std::max(ids, steps[i].id.size());
            runners = std::max(runners, runner_of(commands_[i]).size());
        }
        print_result("\n");
        for (const auto i : inputs_.plan.order)
            print_result("{}  {}  {}\n", cell(steps[i].id, ids),
                         cell(runner_of(commands_[i]), runners),
                         text::printable(command_of(commands_[i])));
    }

    void print_as_json() const
    {
        for (const auto i : inputs_.plan.order) print_json(to_json(i));
    }

private:
    [[nodiscard]] std::string runner_of(const workflow::StepCommand& command) const
    {
        if (command.runs_nothing) return "nobody";
        if (!inputs_.options.automatic) return "a person";
        const auto& request = command.request;
        if (options_.session.external_agent && request.agent.empty()) return "any agent";
        if (!Agents::is_built_in(request.agent)) return request.agent;
        return request.argv.empty() ? "/bin/sh" : "a program";
    }

    [[nodiscard]] std::string command_of(const workflow::StepCommand& command) const
    {
        return command.runs_nothing ? "nothing to run" : redactor_.redact(command.request.command);
    }

    [[nodiscard]] json::object to_json(std::size_t i) const
    {
        const auto& command = commands_[i];
        const auto& plan = inputs_.plan.steps[i];
        json::array after;
        for (const auto k : plan.waits_for) after.emplace_back(inputs_.workflow.steps[k].id);
        json::object o;
        o["step_id"] = inputs_.workflow.steps[i].id;
        o["level"] = plan.level + 1;
        o["after"] = std::move(after);
        o["taken_by"] = runner_of(command);
        o["command"] =
            command.runs_nothing ? json::value(nullptr) : json::value(command_of(command));
        const bool known = !command.runs_nothing && !command.in_git;
        o["worktree"] = known ? json::value(command.request.worktree.string()) : nullptr;
        return o;
    }

    const WorkflowFlags& options_;
    const workflow::RunInputs& inputs_;
    std::vector<workflow::StepCommand> commands_;
    Redactor redactor_;
};

}  // namespace

int dry_run(const WorkflowFlags& options, const std::filesystem::path& root, const Agents& agents,
            const Workflow& workflow, const WorkflowRunOptions& run)
{
    WorkflowExecutorOptions executor_options;
    executor_options.project_root = root;
    executor_options.assign = [&](const WorkflowStep& step, CommandRequest& request) {
        return agents.assign(step, options.agent, request);
    };
    std::string problems;
    const auto inputs = workflow::make_inputs(workflow, run, problems);
    auto commands = workflow::make_commands(inputs, executor_options, problems);
    if (!problems.empty()) {
        print_message(text::printable(problems, true));
        return exit_invalid;
    }
    const Preview preview(options, inputs, std::move(commands));
    if (options.json)
        preview.print_as_json();
    else
        preview.print();
    return exit_completed;
}

}  // namespace autoexec::cli
