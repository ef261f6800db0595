#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/plan/plan.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace autoexec::test {

/// A step that runs `true`; tests set what they are about.
inline WorkflowStep step(std::string id)
{
    WorkflowStep s;
    s.id = std::move(id);
    s.argv = {"true"};
    return s;
}

inline WorkflowStep step(std::string id, std::vector<std::string> depends_on)
{
    auto s = step(std::move(id));
    s.depends_on = std::move(depends_on);
    return s;
}

inline GateTarget to(std::string id)
{
    return {GateTarget::Kind::step, std::move(id)};
}

inline WorkflowGate gate(std::string condition, GateTarget on_fail)
{
    WorkflowGate g;
    g.condition = std::move(condition);
    g.on_fail = std::move(on_fail);
    return g;
}

inline Workflow workflow_of(std::vector<WorkflowStep> steps)
{
    Workflow w;
    w.id = "w";
    w.steps = std::move(steps);
    return w;
}

/// The plan of a workflow that has nothing wrong.
inline workflow::Plan plan_of(const Workflow& w)
{
    std::vector<workflow::PlanProblem> problems;
    auto plan = workflow::make_plan(w, problems);
    for (const auto& problem : problems) REQUIRE_MESSAGE(problem.warning, problem.message);
    return plan;
}

/// All that is wrong, a line each: `step field[item]: message`.
inline std::vector<std::string> problems_of(const Workflow& w)
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
