#include "cli/workflow/runs.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "protocol/step_answer.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;
using workflow::RunRecord;

constexpr std::size_t min_part = 4;

boost::json::object json_of_step(const StepEntry& step, const ModelPrices& prices)
{
    using text::text_or_null;
    boost::json::object o;
    o["id"] = step.id;
    o["agent"] = text_or_null(step.agent);
    o["action"] = text_or_null(step.action);
    o["state"] = to_string(step.state);
    o["round"] = step.round;
    o["attempts"] = step.attempts;
    o["reason"] = text_or_null(step.reason);
    o["started_at"] = text_or_null(text::iso_utc(step.started_at));
    o["ended_at"] = text_or_null(text::iso_utc(step.ended_at));
    o["duration_seconds"] = text::or_null(step.duration_seconds);
    o["execution_id"] = text_or_null(step.execution_id);
    o["worktree"] = text_or_null(step.worktree);
    o["branch"] = text_or_null(step.branch);
    o["commit"] = text_or_null(step.commit);
    o["cached_from"] = text_or_null(step.cached_from);
    o["usage"] = protocol::usage_or_null(protocol::total_of(step.usage));
    protocol::add_estimate(o["usage"], protocol::spending_of(step.usage, prices));
    if (!step.child_run.empty()) o["child_run"] = step.child_run;
    o["waiting_for"] = nullptr;
    if (step.wait) o["waiting_for"] = protocol::to_json(*step.wait);
    o["answer"] = nullptr;
    if (step.answer) o["answer"] = protocol::to_json(*step.answer);
    return o;
}

}  // namespace

bool is_run_called(std::string_view id, std::string_view wanted)
{
    const bool is_long = wanted.size() >= min_part;
    return id == wanted || (is_long && (id.starts_with(wanted) || id.ends_with(wanted)));
}

RunRecord find_run(const std::filesystem::path& root, std::string_view wanted)
{
    if (wanted.empty()) {
        auto newest = newest_run(root, [](const RunRecord& run) { return run.parent_run.empty(); });
        if (!newest) fail(exit_usage, "no workflow runs found");
        return *std::move(newest);
    }
    auto ids = workflow::list_runs(root);
    const bool is_whole = std::find(ids.begin(), ids.end(), wanted) != ids.end();
    std::erase_if(
        ids, [&](const auto& id) { return is_whole ? id != wanted : !is_run_called(id, wanted); });
    if (ids.size() != 1)
        fail(exit_usage, "{} '{}'; see autoexec workflow list",
             ids.empty() ? "no run matches" : "several runs match", wanted);
    std::string problem;
    auto run = workflow::read_run(root, ids.front(), problem);
    if (!run) fail(exit_usage, "{}", problem);
    return *std::move(run);
}

void order_items(RunRecord& run)
{
    std::unordered_map<std::string, std::size_t> places;
    // The place of the step, the number of the item, and the own place.
    std::vector<std::array<std::size_t, 3>> order;
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
        places[run.steps[i].id] = i;
        order.push_back({i, 0, i});
    }
    for (const auto& entry : run.transitions) {
        const auto* const expanded = std::get_if<protocol::StepExpanded>(&entry.transition);
        if (expanded == nullptr) continue;
        for (std::size_t k = 1; k <= expanded->items.size(); ++k)
            if (const auto item = places.find(protocol::part_id(expanded->step, k));
                item != places.end())
                order[item->second] = {places[expanded->step], k, item->second};
    }
    std::sort(order.begin(), order.end());
    std::vector<StepEntry> steps;
    steps.reserve(order.size());
    for (const auto& place : order) steps.push_back(std::move(run.steps[place.back()]));
    run.steps = std::move(steps);
}

bool is_file_inside(const RunEntry& run, const std::filesystem::path& root,
                    const std::filesystem::path& worktree)
{
    return run.path.empty() || is_within(run.path, root) || is_within(run.path, worktree);
}

std::optional<RunRecord> newest_run(const std::filesystem::path& root,
                                    const std::function<bool(const RunRecord&)>& holds)
{
    for (const auto& id : workflow::list_runs(root)) {
        std::string ignored;
        auto run = workflow::read_run(root, id, ignored);
        if (run && holds(*run)) return run;
    }
    return std::nullopt;
}

std::string_view state_of(const RunEntry& run)
{
    if (run.status == WorkflowStatus::running && !run.alive) return "interrupted";
    return run.waits_for ? "waiting" : to_string(run.status);
}

std::string waiting_words(const RunEntry& run)
{
    if (!run.waits_for) return {};
    const auto& [group, holder] = *run.waits_for;
    return text::printable(
        fmt::format("waits for {} of group '{}'", holder.empty() ? "another run" : holder, group));
}

std::optional<milliseconds> duration_of(const RunEntry& run)
{
    const auto start = run.started_at;
    const auto end = run.alive && !run.ended_at ? std::chrono::system_clock::now() : run.ended_at;
    if (!start || !end || *end < *start) return std::nullopt;
    return std::chrono::duration_cast<milliseconds>(*end - *start);
}

bool has_ended(const StepEntry& step)
{
    return step.state != StepState::pending && step.state != StepState::running &&
           step.state != StepState::waiting_manual;
}

std::size_t count_ended(const RunEntry& run)
{
    return static_cast<std::size_t>(std::count_if(run.steps.begin(), run.steps.end(), has_ended));
}

protocol::UsageByExecution usage_of(const RunEntry& run)
{
    protocol::UsageByExecution usage;
    for (const auto& step : run.steps) usage.insert(step.usage.begin(), step.usage.end());
    return usage;
}

// A journal is a file like others: it may name any run, also its own. Each counts once.
void add_usage_of_children(const std::filesystem::path& root, std::vector<StepEntry>& steps)
{
    std::set<std::string> seen;
    for (auto& step : steps) {
        auto open = step.child_runs;
        while (!open.empty()) {
            const auto id = std::move(open.back());
            open.pop_back();
            std::string ignored;
            const auto run =
                seen.insert(id).second ? workflow::read_run(root, id, ignored) : std::nullopt;
            if (!run) continue;
            for (const auto& inner : run->steps) {
                step.usage.insert(inner.usage.begin(), inner.usage.end());
                open.insert(open.end(), inner.child_runs.begin(), inner.child_runs.end());
            }
        }
    }
}

boost::json::object to_json(const RunEntry& run)
{
    std::optional<double> seconds;
    if (const auto duration = duration_of(run))
        seconds = std::chrono::duration<double>(*duration).count();
    boost::json::object o;
    o["run_id"] = run.run_id;
    o["workflow_id"] = run.workflow_id;
    o["name"] = text::text_or_null(run.name);
    o["path"] = text::text_or_null(run.path);
    o["state"] = state_of(run);
    o["error"] = text::text_or_null(run.error);
    o["started_at"] = text::text_or_null(text::iso_utc(run.started_at));
    o["ended_at"] = text::text_or_null(text::iso_utc(run.ended_at));
    o["duration_seconds"] = text::or_null(seconds);
    o["waits_for"] = nullptr;
    if (run.waits_for)
        o["waits_for"] = {{"group", run.waits_for->group},
                          {"run_id", text::text_or_null(run.waits_for->run_id)}};
    o["automatic"] = run.automatic;
    o["pid"] = run.pid;
    if (!run.parent_run.empty()) o["parent_run"] = run.parent_run;
    if (!run.parent_run.empty()) o["parent_step"] = run.parent_step;
    o["branch"] = text::text_or_null(run.branch);
    o["commit"] = text::text_or_null(run.commit);
    o["steps_total"] = run.steps.size();
    o["steps_ended"] = count_ended(run);
    o["usage"] = protocol::usage_or_null(protocol::total_of(usage_of(run)));
    return o;
}

boost::json::object to_json_with_steps(const RunEntry& run, const ModelPrices& prices)
{
    auto o = to_json(run);
    protocol::add_estimate(o["usage"], protocol::spending_of(usage_of(run), prices));
    boost::json::array steps;
    for (const auto& step : run.steps) steps.emplace_back(json_of_step(step, prices));
    o["steps"] = std::move(steps);
    return o;
}

}  // namespace autoexec::cli
