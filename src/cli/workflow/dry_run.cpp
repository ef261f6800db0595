#include "cli/workflow/dry_run.hpp"

#include "autoexec/executor.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"
#include "workflow/plan/plan.hpp"

#include <boost/asio/io_context.hpp>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

/// The command of each step. A step that runs nothing has none.
using StepCommands = std::map<std::string, CommandRequest>;

// Added last, so that the commands of all others are known.
WorkflowStep last_step(const Workflow& workflow)
{
    WorkflowStep step;
    step.id = "-";
    while (workflow::index_of(workflow, step.id)) step.id += '-';
    step.argv = {"true"};
    return step;
}

/// Runs the workflow with a last step that cannot be assigned, so nothing starts. Problems are
/// added to `problems`.
StepCommands collect_commands(Workflow workflow, WorkflowRunOptions run,
                              const std::filesystem::path& root, const Agents& agents,
                              const std::string& preferred, std::string& problems)
{
    const bool automatic = std::exchange(run.automatic, true);
    const auto last = last_step(workflow);
    workflow.steps.push_back(last);

    asio::io_context ctx;
    ExecutorOptions plain;
    plain.project_root = root;
    plain.enable_audit = plain.enable_metrics = false;
    BackgroundAgentAutoExecutor engine(ctx.get_executor(), std::move(plain));
    StepCommands commands;
    bool asked_for_all = false;
    WorkflowExecutorOptions options;
    options.project_root = root;
    options.assign = [&](const WorkflowStep& step, CommandRequest& request) {
        asked_for_all = step.id == last.id;
        if (asked_for_all) return std::string("Nothing is started");
        auto problem = automatic ? agents.assign(step, preferred, request) : std::string();
        if (!problem.empty()) problems += fmt::format("Step '{}': {}\n", step.id, problem);
        commands.emplace(step.id, request);
        return problem;
    };
    WorkflowExecutor executor(engine, std::move(options));
    executor.async_run(std::move(workflow), std::move(run),
                       [&](error_code, const WorkflowResult& result) {
                           if (!asked_for_all) problems = result.error;
                       });
    ctx.run();
    return commands;
}

class Preview {
public:
    Preview(const WorkflowFlags& options, const Workflow& workflow, const WorkflowRunOptions& run,
            StepCommands commands)
        : options_(options),
          workflow_(workflow),
          automatic_(run.automatic),
          in_place_(run.worktrees == WorktreeMode::in_place),
          commands_(std::move(commands))
    {
        std::vector<workflow::PlanProblem> problems;
        plan_ = workflow::make_plan(workflow, problems);
    }

    void print() const
    {
        print_result(draw_workflow(workflow_, WorkflowDrawing::text));
        std::size_t ids = 0;
        std::size_t runners = 0;
        for (const auto& step : workflow_.steps) {
            ids = std::max(ids, step.id.size());
            runners = std::max(runners, runner_of(step).size());
        }
        print_result("\n");
        for (const auto i : plan_.order) {
            const auto& step = workflow_.steps[i];
            print_result("{}  {}  {}\n", cell(step.id, ids), cell(runner_of(step), runners),
                         text::printable(command_of(step)));
        }
    }

    void print_as_json() const
    {
        for (const auto i : plan_.order) print_json(to_json(i));
    }

private:
    [[nodiscard]] const CommandRequest* request_of(const WorkflowStep& step) const
    {
        const auto at = commands_.find(step.id);
        return at == commands_.end() ? nullptr : &at->second;
    }

    [[nodiscard]] std::string runner_of(const WorkflowStep& step) const
    {
        const auto* const request = request_of(step);
        if (request == nullptr) return "nobody";
        if (!automatic_) return "a person";
        if (options_.session.external_agent && request->agent.empty()) return "any agent";
        if (!Agents::is_built_in(request->agent)) return request->agent;
        return request->argv.empty() ? "/bin/sh" : "a program";
    }

    [[nodiscard]] std::string command_of(const WorkflowStep& step) const
    {
        const auto* const request = request_of(step);
        return request == nullptr ? "nothing to run" : redactor_.redact(request->command);
    }

    [[nodiscard]] json::object to_json(std::size_t i) const
    {
        const auto& step = workflow_.steps[i];
        const auto* const request = request_of(step);
        json::array after;
        for (const auto k : plan_.steps[i].waits_for) after.emplace_back(workflow_.steps[k].id);
        json::object o;
        o["step_id"] = step.id;
        o["level"] = plan_.steps[i].level + 1;
        o["after"] = std::move(after);
        o["taken_by"] = runner_of(step);
        o["command"] = request ? json::value(command_of(step)) : nullptr;
        const bool known = request && (in_place_ || !step.worktree.empty());
        o["worktree"] = known ? json::value(request->worktree.string()) : nullptr;
        return o;
    }

    const WorkflowFlags& options_;
    const Workflow& workflow_;
    bool automatic_;
    bool in_place_;
    StepCommands commands_;
    workflow::Plan plan_;
    Redactor redactor_;
};

}  // namespace

int dry_run(const WorkflowFlags& options, const std::filesystem::path& root, const Agents& agents,
            const Workflow& workflow, const WorkflowRunOptions& run)
{
    std::string problems;
    auto commands = collect_commands(workflow, run, root, agents, options.agent, problems);
    if (!problems.empty()) {
        print_message(text::printable(problems, true));
        return exit_invalid;
    }
    const Preview preview(options, workflow, run, std::move(commands));
    if (options.common.json)
        preview.print_as_json();
    else
        preview.print();
    return exit_completed;
}

}  // namespace autoexec::cli
