#include "workflow/plan/problem_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace autoexec::workflow {
namespace {

constexpr std::array<std::string_view, 6> lists{"requires",       "creates", "depends_on",
                                                "optional_steps", "argv",    "env_refs"};

}  // namespace

std::string sentence_for(const Workflow& workflow, const PlanProblem& problem)
{
    std::string where = problem.field;
    if (std::find(lists.begin(), lists.end(), problem.field) != lists.end())
        where += fmt::format("[{}]", problem.item + 1);
    if (problem.step) {
        const auto& id = workflow.steps[*problem.step].id;
        where = fmt::format("step {}, {}",
                            id.empty() ? std::to_string(*problem.step + 1) : "'" + id + "'", where);
    }
    auto text = fmt::format("{}: {}", where, problem.message);
    if (!problem.hint.empty()) text += fmt::format(" ({})", problem.hint);
    return text;
}

}  // namespace autoexec::workflow

namespace autoexec::inline v1 {

std::vector<std::string> check_workflow(const Workflow& workflow)
{
    std::vector<workflow::PlanProblem> problems;
    (void)workflow::make_plan(workflow, problems);
    std::vector<std::string> sentences;
    for (const auto& problem : problems)
        if (!problem.warning) sentences.push_back(workflow::sentence_for(workflow, problem));
    return sentences;
}

}  // namespace autoexec::inline v1
