#include "support/workflows.hpp"

#include <doctest/doctest.h>

#include <utility>

namespace autoexec::test {

WorkflowStep step(std::string id)
{
    WorkflowStep s;
    s.id = std::move(id);
    s.argv = {"true"};
    return s;
}

WorkflowStep step(std::string id, std::vector<std::string> depends_on)
{
    auto s = step(std::move(id));
    s.depends_on = std::move(depends_on);
    return s;
}

GateTarget to(std::string id)
{
    return {GateTarget::Kind::step, std::move(id)};
}

WorkflowGate gate(std::string condition, GateTarget on_fail)
{
    WorkflowGate g;
    g.condition = std::move(condition);
    g.on_fail = std::move(on_fail);
    return g;
}

Workflow workflow_of(std::vector<WorkflowStep> steps)
{
    Workflow w;
    w.id = "w";
    w.steps = std::move(steps);
    return w;
}

workflow::Plan plan_of(const Workflow& w)
{
    std::vector<workflow::PlanProblem> problems;
    auto plan = workflow::make_plan(w, problems);
    for (const auto& problem : problems) REQUIRE_MESSAGE(problem.warning, problem.message);
    return plan;
}

std::vector<std::string> problems_of(const Workflow& w)
{
    std::vector<workflow::PlanProblem> problems;
    (void)workflow::make_plan(w, problems);
    std::vector<std::string> lines;
    for (const auto& p : problems)
        lines.push_back((p.step ? w.steps[*p.step].id : "-") + " " + p.field + "[" +
                        std::to_string(p.item) + "]: " + p.message);
    return lines;
}

}  // namespace autoexec::test
