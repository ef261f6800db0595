#include "workflow/run/step_checks.hpp"

#include "files/safe_files.hpp"
#include "protocol/expected_artifacts.hpp"
#include "text/json.hpp"
#include "workflow/plan/expansion.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;

constexpr std::size_t max_results = 1024 * 1024;

files::UniqueFd open_in(const std::filesystem::path& worktree, const std::string& path, int flags,
                        error_code& ec)
{
    const files::UniqueFd folder(::open(worktree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto normal = protocol::artifact_path(path);
    if (folder && normal)
        return files::open_beneath(folder.get(), *normal, flags, files::Links::inside, ec);
    ec = folder ? make_error_code(errc::unsafe_path) : files::last_error();
    return {};
}

/// Whether the worktree contains a file or folder of that path; links within it are followed.
bool is_in_worktree(const std::filesystem::path& worktree, const std::string& path)
{
    error_code ec;
    return static_cast<bool>(open_in(worktree, path, O_PATH, ec));
}

/// Reads at most 1 MiB. Links within the worktree are followed.
std::optional<json::object> read_results(const std::filesystem::path& worktree,
                                         const std::string& path, std::string& problem)
{
    error_code ec;
    const auto file = open_in(worktree, path, O_RDONLY, ec);
    struct stat st {};
    if (!file || ::fstat(file.get(), &st) != 0) {
        problem =
            fmt::format("'{}' cannot be read: {}", path, (ec ? ec : files::last_error()).message());
        return std::nullopt;
    }
    std::string text;
    if (!S_ISREG(st.st_mode) || files::read_all(file.get(), text, max_results) ||
        text.size() > max_results) {
        problem = fmt::format("'{}' is not a file of at most {} bytes", path, max_results);
        return std::nullopt;
    }
    auto reading = text::read_json_object(text);
    if (reading.kind == text::JsonReading::Kind::valid) return std::move(reading.object);
    problem = fmt::format("'{}' is not a JSON object: {}", path, reading.problem);
    return std::nullopt;
}

std::optional<json::object> results_of(const StepRun& step, const std::string& file,
                                       std::string& problem)
{
    const auto& result = step.result;
    if (result.state == StepState::skipped || result.round == 0) {
        problem = fmt::format("'{}' has not run, so it has no results", result.id);
        return std::nullopt;
    }
    // A file from before the attempt is not its result.
    const auto own = protocol::artifact_path(file);
    const auto is_own = [&](const std::string& path) {
        return protocol::artifact_path(path) == own;
    };
    if (result.execution && std::ranges::any_of(result.execution->missing_artifacts, is_own)) {
        problem = fmt::format("'{}' has not written a new '{}'", result.id, file);
        return std::nullopt;
    }
    return read_results(step.worktree(), file, problem);
}

/// The value at a path of keys. Empty, with a sentence, if there is none.
std::optional<json::value> value_at(const json::object& results,
                                    const std::vector<std::string>& path, std::string& problem)
{
    const json::object* at = &results;
    for (std::size_t k = 0; k < path.size(); ++k) {
        const auto* const value = at->if_contains(path[k]);
        if (value != nullptr && k + 1 == path.size()) return *value;
        if (value == nullptr || !value->is_object()) break;
        at = &value->get_object();
    }
    problem = fmt::format("the results have no '{}'", fmt::join(path, "."));
    return std::nullopt;
}

const json::value* score_of(const json::object& results, std::string_view metric)
{
    for (const auto* const section : {"scoring", "scores"}) {
        const auto* const scores = results.if_contains(section);
        if (scores == nullptr || !scores->is_object()) continue;
        if (const auto* const score = scores->get_object().if_contains(metric)) return score;
    }
    return results.if_contains(metric);
}

using Thresholds = std::map<std::string, double, std::less<>>;

Thresholds thresholds_of(const RunInputs& inputs, std::size_t i)
{
    const auto& step = inputs.workflow.steps[i];
    auto all = step.thresholds;
    for (const auto& [metric, name] : step.threshold_params)
        if (const auto* const value = inputs.options.params.if_contains(name);
            value && value->is_number())
            all[metric] = value->to_number<double>();
    return all;
}

/// `scoring.passed`: true if every score reaches its threshold and the results do not contain
/// `scoring.passed: false`. Scores are read from `scoring`, `scores`, or the top level.
std::optional<bool> scoring_passed(const json::object& results, const Thresholds& thresholds,
                                   std::string& problem)
{
    std::string ignored;
    const auto said = value_at(results, {"scoring", "passed"}, ignored);
    if (said && !said->is_bool()) {
        problem = "'scoring.passed' is neither true nor false";
        return std::nullopt;
    }
    if (!said && thresholds.empty()) {
        problem = "the results have no 'scoring.passed', and the step has no thresholds";
        return std::nullopt;
    }
    bool passed = !said || said->get_bool();
    for (const auto& [metric, least] : thresholds) {
        const auto* const score = score_of(results, metric);
        if (score == nullptr || !score->is_number()) {
            problem = fmt::format("the results have no number '{}', of which the threshold is {}",
                                  metric, least);
            return std::nullopt;
        }
        passed = passed && score->to_number<double>() >= least;
    }
    return passed;
}

/// Null, with a sentence, if it is unknown.
json::value field_of(const StepResult& result, StepField field, std::string& problem)
{
    switch (field) {
        case StepField::outcome:
            return json::value(to_string(result.state));
        case StepField::attempts:
            return result.execution ? result.execution->attempts : 0;
        case StepField::round:
            return result.round;
        case StepField::verified:
            return json::value(
                to_string(result.execution ? result.execution->verified : Verification::none));
        case StepField::output:
            return json::value(output_of(result));
        case StepField::exit_code:
            break;
    }
    if (result.execution && result.execution->exit_code) return *result.execution->exit_code;
    problem = fmt::format("the exit code of '{}' is unknown", result.id);
    return nullptr;
}

// Before a step runs, it has no worktree: it will contain the work of the steps before it.
bool will_exist(const RunInputs& inputs, const RunState& state, const std::filesystem::path& root,
                std::size_t i, const std::string& path)
{
    const auto& step = state.step(i);
    if (!step.command.run().in_git) return is_in_worktree(step.worktree(), path);
    const auto before = work_before(inputs.plan, state, i);
    for (const auto k : before)
        if (is_in_worktree(state.step(k).worktree(), path)) return true;
    return before.empty() && is_in_worktree(root, path);
}

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

// Before its round begins, it is the worktree that it will get.
std::filesystem::path worktree_of(const RunInputs& inputs, const RunState& state, std::size_t i)
{
    const auto& step = state.step(i);
    const auto& node = state.scheduler().node(i);
    if (!step.command.run().in_git || node.state != StepState::pending) return step.worktree();
    if (inputs.options.worktrees == WorktreeMode::workflow)
        return state.trees_folder / git::branch_part(state.run_id);
    return state.trees_folder / git::tree_name(state.run_id, step.result.id, node.round);
}

/// That of a step with items, and of those for its items: of the first one that has not completed.
StepState state_of_all(const RunInputs& inputs, const RunState& state, std::size_t i)
{
    const auto& result = state.step(i).result;
    if (result.state != StepState::completed || state.scheduler().node(i).picked)
        return result.state;
    for (const auto k : inputs.plan.steps[i].parts)
        if (const auto& part = state.step(k);
            !state.scheduler().node(k).absent && part.result.state != StepState::completed)
            return part.result.state;
    return result.state;
}

/// A list of the values of a name in the results of all items.
std::optional<json::value> values_of_items(const RunInputs& inputs, const RunState& state,
                                           std::size_t i, const ExpressionName& name,
                                           std::string& problem)
{
    json::array values;
    for (const auto k : inputs.plan.steps[i].parts) {
        const auto& node = state.scheduler().node(k);
        if (node.absent || state.step(k).result.state != StepState::completed) continue;
        const auto path = meaning_of(name, inputs.index).path;
        const auto results = results_of(state.step(k), inputs.plan.steps[k].results, problem);
        auto value = results ? value_at(*results, path, problem) : std::nullopt;
        if (!value) {
            problem = fmt::format("of '{}', {}", state.step(k).result.id, problem);
            return std::nullopt;
        }
        values.push_back(*std::move(value));
    }
    return values;
}

}  // namespace

std::optional<json::value> named_value(const RunInputs& inputs, const RunState& state,
                                       std::size_t i, bool in_gate, const ExpressionName& name,
                                       std::string& problem)
{
    auto meaning = meaning_of(name, inputs.index);
    // The gate of each item may call its step as the file does.
    if (in_gate && inputs.plan.steps[i].part_of == meaning.step) meaning.step = i;
    switch (meaning.kind) {
        case Meaning::Kind::parameter:
            if (const auto* const value = inputs.options.params.if_contains(meaning.rest))
                return *value;
            problem = fmt::format("the parameter '{}' was not given", meaning.rest);
            return std::nullopt;
        case Meaning::Kind::run:
            return json::value(meaning.rest == "id" ? state.run_id : state.branch);
        case Meaning::Kind::worktree:
            return json::value(worktree_of(inputs, state, i).string());
        case Meaning::Kind::step_field: {
            if (inputs.plan.steps[meaning.step].has_items && meaning.field == StepField::outcome)
                return json::value(to_string(state_of_all(inputs, state, meaning.step)));
            auto value = field_of(state.step(meaning.step).result, meaning.field, problem);
            if (value.is_null()) return std::nullopt;
            return value;
        }
        case Meaning::Kind::step_result:
            i = meaning.step;
            break;
        case Meaning::Kind::other:
            if (in_gate) break;
            problem = fmt::format("there is no '{}'", name.text());
            return std::nullopt;
    }
    if (const auto& picked = state.scheduler().node(i).picked) i = *picked;
    if (inputs.plan.steps[i].has_items) return values_of_items(inputs, state, i, name, problem);
    const auto results = results_of(state.step(i), inputs.plan.steps[i].results, problem);
    if (!results) return std::nullopt;
    if (meaning.path == std::vector<std::string>{"scoring", "passed"}) {
        const auto passed = scoring_passed(*results, thresholds_of(inputs, i), problem);
        return passed ? std::optional<json::value>(*passed) : std::nullopt;
    }
    return value_at(*results, meaning.path, problem);
}

std::optional<bool> condition_holds(const RunInputs& inputs, const RunState& state,
                                    const std::filesystem::path& root, std::size_t i,
                                    std::string& problem)
{
    ExpressionValues values;
    values.value_of = [&](const ExpressionName& name, std::string& why) {
        return named_value(inputs, state, i, false, name, why);
    };
    values.exists = [&](const std::string& path) {
        return will_exist(inputs, state, root, i, path);
    };
    return inputs.plan.steps[i].condition.evaluate(values, problem);
}

std::optional<bool> gate_passes(const RunInputs& inputs, const RunState& state, std::size_t i,
                                std::string& problem)
{
    ExpressionValues values;
    values.value_of = [&](const ExpressionName& name, std::string& why) {
        return named_value(inputs, state, i, true, name, why);
    };
    values.exists = [&](const std::string& path) {
        return is_in_worktree(state.step(i).worktree(), path);
    };
    return inputs.plan.steps[i].gate.evaluate(values, problem);
}

std::string missing_in_place(const RunInputs& inputs, const RunState& state)
{
    std::string problems;
    std::error_code ignored;
    for (std::size_t i = 0; i < state.size(); ++i) {
        const auto& step = state.step(i);
        if (!step.command.run().in_git && !std::filesystem::is_directory(step.worktree(), ignored))
            problems += fmt::format("Step '{}': Its worktree '{}' is not a folder.\n",
                                    step.result.id, step.worktree().string());
    }
    for (std::size_t i = 0; i < state.size(); ++i) {
        const auto& step = state.step(i);
        for (const auto& path : inputs.plan.steps[i].from_repository)
            if (!step.command.run().in_git && !is_in_worktree(step.worktree(), path))
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

std::optional<BestItem> best_item(const RunInputs& inputs, const RunState& state, std::size_t i,
                                  std::string& problem)
{
    const auto& name = inputs.workflow.steps[i].for_each->best_by;
    const auto path = parts_of_name(name);
    std::optional<BestItem> best;
    problem = "None of its items has completed";
    for (const auto k : inputs.plan.steps[i].parts) {
        if (state.scheduler().node(k).absent || state.step(k).result.state != StepState::completed)
            continue;
        std::string why;
        const auto results = results_of(state.step(k), inputs.plan.steps[k].results, why);
        const auto value = results ? value_at(*results, path, why) : std::nullopt;
        if (!value || !value->is_number()) {
            problem = fmt::format("None of its items has a number '{}'; of '{}', {}", name,
                                  state.step(k).result.id,
                                  value ? fmt::format("it is {}", describe(*value)) : why);
            continue;
        }
        const auto number = value->to_number<double>();
        if (!best || number > best->value) best = BestItem{k, number};
    }
    return best;
}

}  // namespace autoexec::workflow
