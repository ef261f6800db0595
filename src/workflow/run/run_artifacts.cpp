#include "protocol/artifact_path.hpp"
#include "workflow/journal/results_file.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

/// A step's artifacts: what was there before it, what it requires, and what of it git ignores.
namespace autoexec::workflow {

asio::awaitable<void> Run::note_baseline(std::shared_ptr<Run>, std::size_t i,
                                         ArtifactBaseline baseline)
{
    const auto& step = *steps_[i];
    protocol::StepReady ready{step.result.id, step.result.round, step.request.worktree.string(),
                              baseline};
    if (!record(ready)) throw system_error(journal_error_);
    baselines_.insert_or_assign(step.request.worktree, StepBaseline{i, std::move(baseline)});
    co_return;
}

void Run::replay(const protocol::StepReady& ready)
{
    const auto i = index_of(workflow_, ready.step);
    if (!i || !ready.artifacts) return;
    baselines_.insert_or_assign(steps_[*i]->request.worktree, StepBaseline{*i, *ready.artifacts});
}

std::optional<ArtifactBaseline> Run::baseline_of(std::size_t i) const
{
    const auto found = baselines_.find(steps_[i]->request.worktree);
    if (found == baselines_.end() || found->second.step != i) return std::nullopt;
    return found->second.artifacts;
}

void Run::drop_baseline(std::size_t i)
{
    if (baseline_of(i)) baselines_.erase(steps_[i]->request.worktree);
}

// Where another step works in between, what is there then is no longer this one's work.
void Run::drop_baseline_of_others(std::size_t i)
{
    if (!baseline_of(i)) baselines_.erase(steps_[i]->request.worktree);
}

void Run::drop_baselines(const std::vector<std::size_t>& steps,
                         const std::vector<std::size_t>& continued)
{
    for (const auto i : steps)
        if (std::find(continued.begin(), continued.end(), i) == continued.end()) drop_baseline(i);
}

std::vector<std::string> Run::artifacts_of(std::size_t i) const
{
    std::vector<std::string> paths;
    for (const auto& path : steps_[i]->request.expected_artifacts)
        if (auto normal = protocol::artifact_path(path)) paths.push_back(*std::move(normal));
    return paths;
}

// Each artifact comes from the step that has made it last; the plan refuses what is not ordered,
// but for steps of which it can't know whether both run.
std::vector<git::ArtifactSource> Run::artifacts_for(std::size_t i, std::string& problem) const
{
    std::vector<git::ArtifactSource> sources;
    for (const auto& need : plan_.steps[i].artifacts) {
        std::optional<std::size_t> last;
        for (const auto from : plan_.order) {
            const bool made = !steps_[from]->kept.empty() &&
                              std::ranges::find(need.creators, from) != need.creators.end();
            if (!made) continue;
            if (last && !plan_.steps[*last].leads_to[from])
                problem = fmt::format(
                    "It requires '{}', which '{}' and '{}' have made. Let one of them depend on "
                    "the other",
                    need.artifact, workflow_.steps[*last].id, workflow_.steps[from].id);
            last = from;
        }
        if (last) sources.push_back({steps_[*last]->kept, need.artifact});
    }
    return sources;
}

protocol::StepTree Run::step_tree(std::size_t i) const
{
    const auto& step = *steps_[i];
    protocol::StepTree tree{step.tree, step.base, {}};
    for (const auto& source : step.laid) tree.laid.push_back({source.commit, source.path});
    return tree;
}

/// A sentence if something that it requires is not there when it starts.
std::string Run::missing_requirement(std::size_t i) const
{
    const auto& tree = steps_[i]->request.worktree;
    for (const auto& need : workflow_.steps[i].needs) {
        const auto path = protocol::artifact_path(need);
        if (path && is_in_worktree(tree, *path)) continue;
        return fmt::format("It requires '{}', which is not in its worktree {}. {}", need,
                           tree.string(), origin_of(i, path.value_or(need)));
    }
    return {};
}

std::string Run::origin_of(std::size_t i, const std::string& artifact) const
{
    const auto& needs = plan_.steps[i].artifacts;
    const auto found = std::ranges::find(needs, artifact, &ArtifactNeed::artifact);
    if (found == needs.end()) return "No step creates it";
    std::vector<std::string> ids;
    bool elsewhere = false;
    for (const auto from : found->creators) {
        ids.push_back(fmt::format("'{}'", workflow_.steps[from].id));
        elsewhere |= steps_[from]->request.worktree != steps_[i]->request.worktree &&
                     !(steps_[from]->in_git && steps_[i]->in_git);
    }
    return fmt::format("Its creator is {}{}", fmt::join(ids, " or "),
                       elsewhere ? ", in another worktree; nothing is carried from there. To wait "
                                   "for the step alone, say 'depends_on'"
                                 : "");
}

}  // namespace autoexec::workflow
