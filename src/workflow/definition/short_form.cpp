#include "workflow/definition/short_form.hpp"

#include "text/text.hpp"

#include <algorithm>
#include <set>

namespace autoexec::workflow {
namespace {

constexpr std::string_view met = "_met";

bool is_plain(char c)
{
    return text::is_letter_or_digit(c) || c == '.' || c == '_';
}

bool is_plain_id(std::string_view name)
{
    return !name.empty() && text::is_letter_or_digit(name.front()) &&
           std::ranges::all_of(name, [](char c) { return is_plain(c) || c == '-'; });
}

std::string as_compared(std::string_view name)
{
    auto text = text::lower_case(name);
    std::ranges::replace(text, '_', '-');
    return text;
}

std::set<std::string_view> targets_of(const std::vector<WorkflowStep>& steps)
{
    std::set<std::string_view> targets;
    for (const auto& step : steps) {
        targets.insert(step.next);
        if (!step.gate) continue;
        targets.insert(step.gate->on_pass.step);
        targets.insert(step.gate->on_fail.step);
    }
    return targets;
}

}  // namespace

std::string id_of_name(std::string_view name)
{
    if (is_plain_id(name)) return std::string(name);
    std::string id;
    for (const char c : text::lower_case(name)) {
        if (is_plain(c))
            id += c;
        else if (!id.empty() && id.back() != '-')
            id += '-';
    }
    if (id.ends_with('-')) id.pop_back();
    return id;
}

std::optional<std::string_view> what_is_met(std::string_view condition)
{
    const bool is_word = std::ranges::all_of(
        condition, [](char c) { return text::is_letter_or_digit(c) || c == '_' || c == '-'; });
    if (!is_word || !condition.ends_with(met) || condition == met) return std::nullopt;
    condition.remove_suffix(met.size());
    return condition;
}

void StepsBefore::add(const WorkflowStep& step)
{
    by_id_[as_compared(step.id)] = step.id;
    if (!step.action.empty()) by_action_[as_compared(step.action)] = step.id;
}

const std::string* StepsBefore::find(std::string_view name) const
{
    const auto wanted = as_compared(name);
    for (const auto* const ids : {&by_id_, &by_action_})
        for (const auto& candidate : {wanted, "check-" + wanted})
            if (const auto found = ids->find(candidate); found != ids->end()) return &found->second;
    return nullptr;
}

void chain_named_steps(std::vector<WorkflowStep>& steps, const std::vector<bool>& named)
{
    const auto targets = targets_of(steps);
    for (std::size_t i = 1; i < steps.size(); ++i) {
        const auto& step = steps[i];
        auto& before = steps[i - 1];
        const bool placed =
            !step.needs.empty() || !step.depends_on.empty() || targets.contains(step.id);
        const bool leads_elsewhere =
            !before.next.empty() || before.gate || before.phase != step.phase;
        if (named[i] && !placed && !leads_elsewhere && before.id != step.id) before.next = step.id;
    }
}

}  // namespace autoexec::workflow
