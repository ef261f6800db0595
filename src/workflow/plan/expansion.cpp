#include "workflow/plan/expansion.hpp"

#include "protocol/command_file.hpp"
#include "protocol/workflow_journal.hpp"
#include "text/text.hpp"
#include "workflow/plan/placeholders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;

// The journal can hold deeper values, but nobody needs them in an item.
constexpr int max_depth = 8;

std::string flaw_of_text(std::string_view text)
{
    return text.find('\0') != text.npos ? "contains a NUL character" : "";
}

std::string flaw_of_value(const json::value& value, int depth)
{
    if (depth > max_depth) return "is nested too deeply";
    if (value.is_string()) return flaw_of_text(value.get_string());
    std::string flaw;
    if (const auto* const list = value.if_array())
        for (const auto& one : *list)
            if (flaw.empty()) flaw = flaw_of_value(one, depth + 1);
    if (const auto* const object = value.if_object())
        for (const auto& [key, one] : *object)
            if (flaw.empty()) flaw = flaw_of_value(one, depth + 1);
    return flaw;
}

constexpr std::size_t max_name = 200;

// No control file, and nothing of git.
bool is_file_name(std::string_view text)
{
    const auto fits = [](char c) {
        return c != '/' && c != '\\' && (c < 0 || c >= ' ') && c != 127;
    };
    return !text.empty() && text.size() <= max_name && text.front() != '.' && text.front() != '-' &&
           std::ranges::all_of(text, fits);
}

/// The step for an item, as if it stood in the file.
WorkflowStep part_of(const WorkflowStep& whole, std::size_t number)
{
    auto part = whole;
    part.id = protocol::part_id(whole.id, number);
    part.for_each.reset();
    part.depends_on = {whole.id};
    part.optional_steps.clear();
    part.condition.clear();
    part.next.clear();
    if (part.need == StepNeed::conditional) part.need = StepNeed::required;
    return part;
}

PlanStep plan_part(const PlanStep& whole, const WorkflowStep& step, std::size_t of, std::size_t own)
{
    PlanStep part;
    part.artifacts = whole.artifacts;
    part.from_repository = whole.from_repository;
    part.depends_on = part.waits_for = {of};
    part.gate = whole.gate;
    part.has_gate = step.gate.has_value();
    part.max_rounds = whole.max_rounds;
    if (step.gate && step.gate->on_fail.kind == GateTarget::Kind::again) part.back_to = own;
    part.output_used = whole.output_used;
    part.command_waits = true;
    part.require_artifacts = whole.require_artifacts;
    part.results = whole.results;
    part.level = whole.level + 1;
    part.part_of = of;
    return part;
}

}  // namespace

bool has_items_of_agent(const WorkflowStep& step)
{
    const auto& items = step.for_each;
    return items && !items->source.empty() && !items->source.starts_with("params.");
}

std::vector<std::string> parts_of_name(std::string_view name)
{
    std::vector<std::string> parts;
    for (;;) {
        const auto dot = name.find('.');
        parts.emplace_back(name.substr(0, dot));
        if (dot == name.npos) return parts;
        name.remove_prefix(dot + 1);
    }
}

std::string flaw_of_item(const json::value& item)
{
    if (item.is_array() || item.is_null())
        return fmt::format("is {}; an item is text, a number, true or false, or an object",
                           describe(item));
    return flaw_of_value(item, 0);
}

const json::value* value_in_item(const json::value& item, const std::vector<std::string>& path)
{
    const auto* at = &item;
    for (const auto& key : path) {
        const auto* const object = at->if_object();
        at = object != nullptr ? object->if_contains(key) : nullptr;
        if (at == nullptr) return nullptr;
    }
    return at->is_null() ? nullptr : at;
}

std::string agent_for_item(std::string_view agent, const json::value& item)
{
    return fill_placeholders(agent, [&](const Placeholder& one) -> std::optional<std::string> {
        if (one.kind != Placeholder::Kind::item) return std::nullopt;
        const auto* const value = value_in_item(item, one.path.parts);
        return value != nullptr ? std::optional(text_of(*value)) : std::nullopt;
    });
}

std::string path_for_item(std::string_view path, const json::value& item, std::size_t number,
                          std::string& problem)
{
    return fill_placeholders(path, [&](const Placeholder& one) -> std::optional<std::string> {
        if (one.kind == Placeholder::Kind::index) return std::to_string(number);
        if (one.kind != Placeholder::Kind::item) return std::nullopt;
        const auto* const value = value_in_item(item, one.path.parts);
        const auto text = value != nullptr ? text_of(*value) : std::string();
        if (is_file_name(text)) return text;
        if (problem.empty())
            problem = fmt::format("'{}' cannot be part of the path '{}' of an artifact",
                                  text::printable(text::head(text, max_name)), path);
        return "-";
    });
}

std::string expansion_problem(const Workflow& workflow, const Plan& plan, std::size_t step,
                              std::size_t count)
{
    const auto& s = workflow.steps[step];
    const auto limit = std::min(s.for_each->max_items, max_items_limit);
    if (count > limit)
        return fmt::format("There are {} items; at most {} are allowed (for_each.max_items)", count,
                           limit);
    const auto added = count - std::min(count, plan.steps[step].parts.size());
    if (plan.steps.size() + added > max_steps)
        return fmt::format("With its {}, the run would have more than {} steps",
                           text::counted(count, "item"), max_steps);
    const auto followers = std::ranges::count_if(plan.steps, [step](const PlanStep& p) {
        return std::ranges::binary_search(p.waits_for, step);
    });
    if (added * (static_cast<std::size_t>(followers) + 1) > max_edges)
        return fmt::format("With its {}, steps would wait for each other in more than {} ways",
                           text::counted(count, "item"), max_edges);
    return {};
}

void expand(Workflow& workflow, Plan& plan, StepIndex& index, std::size_t step, std::size_t count)
{
    const auto first = plan.steps.size();
    auto& parts = plan.steps[step].parts;
    std::vector<std::size_t> added;
    for (auto number = parts.size() + 1; number <= count; ++number)
        added.push_back(first + added.size());
    if (added.empty()) return;
    parts.insert(parts.end(), added.begin(), added.end());
    const auto all = first + added.size();
    const auto before = parts.size() - added.size();
    for (std::size_t k = 0; k < added.size(); ++k) {
        auto part = part_of(workflow.steps[step], before + k + 1);
        plan.steps.push_back(plan_part(plan.steps[step], part, step, added[k]));
        index.emplace(part.id, added[k]);
        workflow.steps.push_back(std::move(part));
    }
    auto after = plan.steps[step].leads_to;  // also to the steps for earlier items
    after.resize(all);
    for (const auto k : plan.steps[step].parts) after[k] = false;
    for (std::size_t i = 0; i < all; ++i) {
        auto& p = plan.steps[i];
        const bool is_added = i >= first;
        if (is_added) p.leads_to = after;
        p.leads_to.resize(all);
        if (is_added) continue;
        if (i == step || p.leads_to[step])
            for (const auto k : added) p.leads_to[k] = true;
        const bool is_part = p.part_of == step;
        if (!is_part && std::ranges::binary_search(p.waits_for, step))
            p.waits_for.insert(p.waits_for.end(), added.begin(), added.end());
    }
    const auto at = std::ranges::find(plan.order, step);
    plan.order.insert(at + 1, added.begin(), added.end());
}

}  // namespace autoexec::workflow
