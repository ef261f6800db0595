#include "workflow/definition/step_parts.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

namespace autoexec::workflow {
namespace {

using std::chrono::milliseconds;

constexpr int attempts_limit = 1000;
constexpr int max_gate_rounds = 1000;
constexpr double delay_limit = 100'000'000;  // seconds: three years
constexpr double max_multiplier = 1000;
constexpr double max_threshold = 1e9;

constexpr std::string_view gate_fields[]{"condition", "on_pass", "on_fail", "max_rounds"};
constexpr std::string_view scoring_fields[]{"enabled", "thresholds"};
constexpr std::string_view retry_fields[]{
    "enabled",      "backoff_multiplier",  "initial_backoff_seconds", "initial_delay_seconds",
    "max_attempts", "max_backoff_seconds", "max_delay_seconds"};

GateTarget target_named(const std::string& word)
{
    using Kind = GateTarget::Kind;
    static constexpr std::pair<std::string_view, Kind> words[] = {
        {"next", Kind::next}, {"retry", Kind::again}, {"end", Kind::end}, {"fail", Kind::fail}};
    for (const auto& [known, kind] : words)
        if (word == known) return {kind, {}};
    return {Kind::step, word};
}

void read_delay(FieldReader& fields, std::string_view name, std::string_view other,
                milliseconds& delay)
{
    const auto key = fields.either(name, other);
    if (key.empty()) return;
    if (const auto seconds = fields.number(key, 0, delay_limit))
        delay = milliseconds(std::llround(*seconds * 1000));
}

}  // namespace

std::optional<CommitScope> read_commit_scope(FieldReader& fields)
{
    static constexpr std::string_view words[] = {"all", "creates"};
    const auto word = fields.choice("commit", words);
    if (!word) return std::nullopt;
    return *word == 0 ? CommitScope::all : CommitScope::creates;
}

WorkflowGate read_gate(FieldReader& fields)
{
    fields.check_keys(gate_fields);
    WorkflowGate gate;
    gate.condition = fields.expression("condition").value_or("");
    if (const auto word = fields.text("on_pass")) gate.on_pass = target_named(*word);
    if (const auto word = fields.text("on_fail")) gate.on_fail = target_named(*word);
    gate.max_rounds = fields.integer("max_rounds", 1, max_gate_rounds);
    return gate;
}

std::map<std::string, double, std::less<>> read_thresholds(FieldReader& fields)
{
    static constexpr std::string_view least = "_min";
    std::map<std::string, double, std::less<>> thresholds;
    fields.check_keys(scoring_fields);
    const bool enabled = fields.boolean("enabled").value_or(true);
    auto inner = fields.within("thresholds");
    if (!inner) return thresholds;
    for (const auto& entry : inner->node().entries) {
        const std::string_view key = entry.key;
        if (key == least || !key.ends_with(least))
            inner->report_unknown(entry,
                                  key == least ? "" : fmt::format("Did you mean '{}_min'?", key));
        else if (const auto value = inner->number(key, -max_threshold, max_threshold))
            thresholds.emplace(key.substr(0, key.size() - least.size()), *value);
    }
    if (!enabled) thresholds.clear();
    return thresholds;
}

RetryPolicy read_retry(FieldReader& fields)
{
    fields.check_keys(retry_fields);
    RetryPolicy retry;
    retry.max_attempts = fields.integer("max_attempts", 1, attempts_limit).value_or(1);
    if (!fields.boolean("enabled").value_or(true)) retry.max_attempts = 1;
    retry.backoff_multiplier =
        fields.number("backoff_multiplier", 1, max_multiplier).value_or(retry.backoff_multiplier);
    read_delay(fields, "initial_backoff_seconds", "initial_delay_seconds", retry.initial_delay);
    read_delay(fields, "max_backoff_seconds", "max_delay_seconds", retry.max_delay);
    return retry;
}

std::optional<int> read_context_tier(FieldReader& fields, std::string_view key)
{
    const auto* const node = fields.find(key);
    if (node == nullptr) return std::nullopt;
    const bool is_scalar = node->kind == yaml::YamlNode::Kind::scalar;
    auto text = is_scalar ? in_lower_case(node->text) : std::string{};
    if (text.starts_with("tier")) text.erase(0, 4);
    if (text == "1" || text == "2" || text == "3") return text.front() - '0';
    fields.error(key, fmt::format("Field '{}' must be 1, 2 or 3, or as TIER2", key));
    return std::nullopt;
}

}  // namespace autoexec::workflow
