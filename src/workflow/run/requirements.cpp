#include "workflow/run/requirements.hpp"

#include "protocol/artifact_path.hpp"
#include "workflow/journal/results_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace autoexec::workflow {
namespace {

std::string origin_of(const RunInputs& inputs, const RunState& state, std::size_t i,
                      const std::string& artifact)
{
    const auto& needs = inputs.plan.steps[i].artifacts;
    const auto found = std::ranges::find(needs, artifact, &ArtifactNeed::artifact);
    if (found == needs.end()) return "No step creates it";
    const auto& step = state.step(i);
    std::vector<std::string> ids;
    bool elsewhere = false;
    for (const auto from : found->creators) {
        const auto& creator = state.step(from);
        ids.push_back(fmt::format("'{}'", creator.result.id));
        elsewhere |= creator.worktree() != step.worktree() &&
                     !(creator.command.in_git && step.command.in_git);
    }
    return fmt::format("Its creator is {}{}", fmt::join(ids, " or "),
                       elsewhere ? ", in another worktree; its files are not copied. To wait "
                                   "only for the step, use 'depends_on'"
                                 : "");
}

}  // namespace

std::string missing_in_place(const RunInputs& inputs, const RunState& state)
{
    std::string problems;
    std::error_code ignored;
    for (std::size_t i = 0; i < state.size(); ++i) {
        const auto& step = state.step(i);
        if (!step.command.in_git && !std::filesystem::is_directory(step.worktree(), ignored))
            problems += fmt::format("Step '{}': Its worktree '{}' is not a folder.\n",
                                    step.result.id, step.worktree().string());
    }
    for (std::size_t i = 0; i < state.size(); ++i) {
        const auto& step = state.step(i);
        for (const auto& path : inputs.plan.steps[i].from_repository)
            if (!step.command.in_git && !is_in_worktree(step.worktree(), path))
                problems += fmt::format(
                    "Step '{}' requires '{}', which no step creates, and which is not in '{}'.\n",
                    step.result.id, path, step.worktree().string());
    }
    return problems;
}

std::string missing_requirement(const RunInputs& inputs, const RunState& state, std::size_t i)
{
    const auto& tree = state.step(i).worktree();
    for (const auto& need : inputs.workflow.steps[i].needs) {
        const auto path = protocol::artifact_path(need);
        if (path && is_in_worktree(tree, *path)) continue;
        return fmt::format("It requires '{}', which is not in its worktree {}. {}", need,
                           tree.string(), origin_of(inputs, state, i, path.value_or(need)));
    }
    return {};
}

}  // namespace autoexec::workflow
