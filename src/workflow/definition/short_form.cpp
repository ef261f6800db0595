#include "workflow/definition/short_form.hpp"

#include <algorithm>
#include <set>

namespace autoexec::workflow {
namespace {

constexpr std::string_view met = "_met";

bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_letter_or_digit(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

char lowered(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_plain_id(std::string_view name)
{
    return !name.empty() && is_letter_or_digit(name.front()) &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
           });
}

std::string as_compared(std::string_view name)
{
    std::string text(name);
    for (auto& c : text) c = c == '_' ? '-' : lowered(c);
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
    for (char c : name) {
        c = lowered(c);
        if (is_lower_or_digit(c) || c == '.' || c == '_')
            id += c;
        else if (!id.empty() && id.back() != '-')
            id += '-';
    }
    if (id.ends_with('-')) id.pop_back();
    return id;
}

std::optional<std::string_view> what_is_met(std::string_view condition)
{
    const bool is_word = std::all_of(condition.begin(), condition.end(), [](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '-';
    });
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
        const bool leads_elsewhere = !before.next.empty() || before.gate;
        if (named[i] && !placed && !leads_elsewhere && before.id != step.id) before.next = step.id;
    }
}

}  // namespace autoexec::workflow
