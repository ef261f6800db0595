#include "workflow/definition/step_reader.hpp"

#include "text/text.hpp"
#include "workflow/definition/items_reader.hpp"
#include "workflow/definition/short_form.hpp"
#include "workflow/plan/placeholders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

namespace autoexec::workflow {
namespace {

using std::chrono::milliseconds;
using yaml::Report;
using yaml::YamlNode;

constexpr std::chrono::seconds max_timeout{100'000'000};  // three years
constexpr double max_delay = 100'000'000;                 // seconds
constexpr int max_attempts = 1000;
constexpr int max_gate_rounds = 1000;
constexpr double max_multiplier = 1000;
constexpr double max_threshold = 1e9;
constexpr double max_cost = 1e6;     // as the setting
constexpr double max_tokens = 1e15;  // as the setting

// The keys of other systems.
constexpr FieldReader::KeyAlias meant_fields[]{
    {"needs", "depends_on"}, {"after", "depends_on"},   {"dependencies", "depends_on"},
    {"if", "condition"},     {"when", "condition"},     {"run", "command"},
    {"outputs", "creates"},  {"artifacts", "creates"},  {"approval", "manual"},
    {"by", "manual.by"},     {"until", "manual.until"}, {"retries", "retry.max_attempts"},
    {"workflow", "uses"},    {"with", "params"}};

// Those of `metadata.retry`.
constexpr FieldReader::KeyAlias meant_retry_fields[]{
    {"initial_delay_seconds", "initial_delay"}, {"initial_backoff_seconds", "initial_delay"},
    {"max_delay_seconds", "max_delay"},         {"max_backoff_seconds", "max_delay"},
    {"backoff_multiplier", "multiplier"},       {"enabled", "max_attempts"}};

constexpr std::pair<std::string_view, StepNeed> needs[]{{"required", StepNeed::required},
                                                        {"mandatory", StepNeed::required},
                                                        {"optional", StepNeed::optional},
                                                        {"conditional", StepNeed::conditional}};

// One word is not an expression, unless it is a constant.
std::string need_meant_by(std::string_view word)
{
    std::vector<std::string_view> words;
    for (const auto& need : needs) words.push_back(need.first);
    const bool is_word = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == word.npos;
    return is_word ? yaml::did_you_mean(word, words) : std::string{};
}

GateTarget target_named(const std::string& word)
{
    using Kind = GateTarget::Kind;
    static constexpr std::pair<std::string_view, Kind> words[] = {
        {"next", Kind::next}, {"retry", Kind::again}, {"end", Kind::end}, {"fail", Kind::fail}};
    for (const auto& [known, kind] : words)
        if (word == known) return {kind, {}};
    return {Kind::step, word};
}

ManualStep read_manual_step(FieldReader& fields)
{
    ManualStep manual;
    manual.by = fields.text("by").value_or("");
    manual.until = read_time(fields, "until");
    manual.approved_at_deadline = fields.choice("on_deadline", {"fail", "approve"}) == 1U;
    fields.check_keys();
    return manual;
}

WorkflowGate read_gate(FieldReader& fields)
{
    WorkflowGate gate;
    gate.condition = fields.expression("condition").value_or("");
    if (const auto word = fields.text("on_pass")) gate.on_pass = target_named(*word);
    if (const auto word = fields.text("on_fail")) gate.on_fail = target_named(*word);
    gate.max_rounds = fields.integer("max_rounds", 1, max_gate_rounds);
    fields.check_keys();
    return gate;
}

/// The name in `{params.NAME}`. Empty for another text.
std::string parameter_in(const YamlNode* node)
{
    const auto text = node != nullptr ? node->as_string() : std::nullopt;
    const auto found = text ? placeholders_in(*text) : std::vector<Placeholder>{};
    const bool is_whole = found.size() == 1 && found.front().kind == Placeholder::Kind::parameter &&
                          *text == fmt::format("{{params.{}}}", found.front().name);
    return is_whole ? found.front().name : std::string();
}

// None if they are disabled.
void read_thresholds(FieldReader& fields, WorkflowStep& step)
{
    static constexpr std::string_view least = "_min";
    const bool enabled = fields.boolean("enabled").value_or(true);
    auto inner = fields.within("thresholds");
    fields.check_keys();
    if (!inner) return;
    for (const auto& entry : inner->node().entries) {
        const std::string_view key = entry.key;
        if (key == least || !key.ends_with(least)) {
            inner->report_unknown(entry,
                                  key == least ? "" : fmt::format("Did you mean '{}_min'?", key));
            continue;
        }
        const auto metric = key.substr(0, key.size() - least.size());
        if (auto name = parameter_in(inner->find(key)); !name.empty())
            step.threshold_params.emplace(metric, std::move(name));
        else if (const auto value = inner->number(key, -max_threshold, max_threshold))
            step.thresholds.emplace(metric, *value);
    }
    if (enabled) return;
    step.thresholds.clear();
    step.threshold_params.clear();
}

void read_delay(FieldReader& fields, std::string_view name, std::string_view other,
                milliseconds& delay)
{
    const auto key = fields.either(name, other);
    if (key.empty()) return;
    if (const auto seconds = fields.number(key, 0, max_delay))
        delay = milliseconds(std::llround(*seconds * 1000));
}

// One attempt if no number is given, as in the original system.
RetryPolicy read_metadata_retry(FieldReader& fields)
{
    RetryPolicy retry;
    retry.max_attempts = fields.integer("max_attempts", 1, max_attempts).value_or(1);
    if (!fields.boolean("enabled").value_or(true)) retry.max_attempts = 1;
    retry.backoff_multiplier =
        fields.number("backoff_multiplier", 1, max_multiplier).value_or(retry.backoff_multiplier);
    read_delay(fields, "initial_backoff_seconds", "initial_delay_seconds", retry.initial_delay);
    read_delay(fields, "max_backoff_seconds", "max_delay_seconds", retry.max_delay);
    fields.check_keys();
    return retry;
}

std::optional<milliseconds> read_time_above(FieldReader& fields, std::string_view key,
                                            milliseconds least)
{
    const auto* const node = fields.find(key);
    if (node == nullptr) return std::nullopt;
    const bool may_be = node->kind == YamlNode::Kind::scalar && !node->as_bool();
    const auto time = may_be ? text::parse_duration(node->text) : std::nullopt;
    if (time && *time >= least && *time <= max_timeout) return time;
    fields.error(key,
                 fmt::format("Field '{}' must be a {} of seconds, or as '90s'", key,
                             least.count() > 0 ? "positive number" : "number"),
                 may_be ? fmt::format("Units are ms, s, m, h, d and w; the maximum is {} s.",
                                      max_timeout.count())
                        : yaml::type_hint(*node, "a number"));
    return std::nullopt;
}

std::optional<milliseconds> read_time_or_zero(FieldReader& fields, std::string_view key)
{
    return read_time_above(fields, key, milliseconds::zero());
}

class StepReader {
public:
    StepReader(const YamlNode& node, std::size_t number, int context_tier, Report& report)
        : fields_(node, fmt::format("Step {}: ", number), report)
    {
        step_.context_tier = context_tier;
    }

    StepReading read()
    {
        read_id();
        if (!step_.id.empty()) fields_.set_prefix(fmt::format("Step '{}': ", step_.id));
        read_what_is_run();
        read_when();
        read_how();
        read_for_people();
        fields_.check_keys(meant_fields);
        reading_.wrong = fields_.wrong();
        if (step_.id.empty()) reading_.wrong.emplace_back("id");
        return std::move(reading_);
    }

private:
    void read_id()
    {
        step_.name = fields_.prose("step").value_or("");
        const bool has_id = fields_.find("id") != nullptr;
        if (!has_id && fields_.find("step") == nullptr)
            return fields_.error("id", "Missing required field: 'id'");
        reading_.named = !has_id;
        step_.id = has_id ? fields_.text("id").value_or("") : id_of_name(step_.name);
        if (has_id && step_.id.find_first_not_of(" \t\r\n") == std::string::npos) step_.id.clear();
        if (!step_.id.empty() || !fields_.wrong().empty()) return;
        if (has_id)
            fields_.error("id", "Field 'id' must not be empty");
        else
            fields_.error("step", "No id can be derived from this name",
                          "Give the step an 'id', too.");
    }

    void read_what_is_run()
    {
        step_.agent = fields_.text("agent").value_or("");
        step_.model = fields_.text("model").value_or("");
        step_.action = fields_.text("action").value_or("");
        step_.command = fields_.text("command").value_or("");
        step_.argv = fields_.words("argv");
        step_.uses = fields_.text("uses").value_or("");
        step_.shell = fields_.texts("shell");
        step_.for_each = read_items_field(fields_, step_.agent, step_.model);
        if (const auto key = fields_.either("params", "parameters"); !key.empty())
            step_.params = fields_.object(key);
        read_manual();
    }

    void read_when()
    {
        step_.needs = fields_.texts("requires");
        step_.creates = fields_.texts("creates");
        step_.depends_on = fields_.texts("depends_on");
        step_.optional_steps = fields_.texts("optional_steps");
        step_.next = fields_.text("next").value_or("");
        if (auto inner = fields_.within("gate")) {
            step_.gate = read_gate(*inner);
            fields_.take_wrong("gate", *inner);
        }
        read_condition();
    }

    void read_how()
    {
        const bool says_on_error = fields_.find("on_error") != nullptr;
        if (fields_.choice("on_error", {"fail", "continue"}) == 1U) step_.continue_on_error = true;
        step_.retry_from_clean = fields_.choice("retry_from", {"as_is", "clean"}) == 1U;
        step_.commit = read_commit_scope(fields_);
        step_.timeout = read_time(fields_, "timeout");
        step_.retry = workflow::read_retry(fields_);
        step_.idempotent = fields_.boolean("idempotent").value_or(false);
        step_.cache = fields_.boolean("cache").value_or(false);
        step_.repeats = fields_.boolean("repeats").value_or(false);
        step_.require_artifacts = fields_.boolean("require_artifacts");
        step_.env_refs = fields_.texts("env_refs");
        step_.env = read_variables(fields_);
        step_.working_directory = fields_.text("working_directory").value_or("");
        step_.worktree = fields_.text("worktree").value_or("");
        step_.results = fields_.text("results").value_or("");
        if (auto inner = fields_.within("scoring")) read_thresholds(*inner, step_);
        read_metadata(says_on_error);
    }

    void read_for_people()
    {
        step_.context_tier =
            read_context_tier(fields_, "context_tier").value_or(step_.context_tier);
        step_.consults = fields_.texts("consults");
        const auto description = fields_.prose("description").value_or("");
        step_.notes = fields_.prose("notes").value_or(description);
        if (auto name = fields_.prose("name")) step_.name = *std::move(name);
    }

    void read_condition()
    {
        const auto text = fields_.expression("condition").value_or("");
        const auto word = text::lower_case(text);
        const auto* const need = std::ranges::find(needs, word, [](auto& n) { return n.first; });
        const bool says_need = need != std::end(needs);
        if (says_need)
            step_.need = need->second;
        else if (auto guess = need_meant_by(word); !guess.empty())
            fields_.error("condition", fmt::format("Unknown condition '{}'", text),
                          std::move(guess));
        else
            step_.condition = text;
        read_optional(says_need);
    }

    void read_optional(bool says_need)
    {
        const auto optional = fields_.boolean("optional");
        if (!optional) return;
        const bool contradicts = says_need && step_.need != StepNeed::conditional &&
                                 *optional != (step_.need == StepNeed::optional);
        if (contradicts)
            fields_.error("optional", "Field 'optional' contradicts 'condition'",
                          "Remove one of them.");
        else if (*optional && step_.need == StepNeed::conditional)
            step_.continue_on_error = true;
        else if (*optional)
            step_.need = StepNeed::optional;
    }

    // With an invalid value the step is manual, too: otherwise it might lack a command as well.
    void read_manual()
    {
        const auto* const node = fields_.find("manual");
        if (node == nullptr) return;
        if (node->kind == YamlNode::Kind::mapping) {
            auto inner = fields_.within("manual");
            step_.manual = read_manual_step(*inner);
            fields_.take_wrong("manual", *inner);
        } else if (const auto on = node->as_bool()) {
            if (*on) step_.manual.emplace();
        } else {
            fields_.wrong_type("manual",
                               "true, false, or a mapping of 'by', 'until' and 'on_deadline'");
            step_.manual.emplace();
        }
    }

    void read_metadata(bool says_on_error)
    {
        auto metadata = fields_.within("metadata");
        if (!metadata) return;
        step_.metadata = to_json(metadata->node()).as_object();
        step_.skip_on_fail = metadata->boolean("skip_on_fail").value_or(false);
        const bool recoverable = metadata->boolean("error_recoverable").value_or(false);
        if (recoverable && !says_on_error) step_.continue_on_error = true;
        if (auto retry = metadata->within("retry")) read_retry_below(*retry);
        const auto limits = read_spending_limits(*metadata);
        step_.max_cost = limits.max_cost;
        step_.max_tokens = limits.max_tokens;
    }

    void read_retry_below(FieldReader& retry)
    {
        const auto policy = read_metadata_retry(retry);
        if (fields_.find("retry") == nullptr)
            step_.retry = policy;
        else
            fields_.error("retry", "'retry' is given, and 'metadata.retry', too",
                          "Remove 'metadata.retry'.");
    }

    FieldReader fields_;
    StepReading reading_;
    WorkflowStep& step_ = reading_.step;
};

}  // namespace

StepReading read_step(const YamlNode& node, std::size_t number, int context_tier, Report& report)
{
    if (node.kind == YamlNode::Kind::mapping)
        return StepReader(node, number, context_tier, report).read();
    report.error(node.at, fmt::format("Step {}: Must be a mapping", number),
                 "A step has an 'id' and what it runs: an 'agent' and an 'action', a 'command', an "
                 "'argv', or a file that it 'uses'.");
    StepReading reading;
    reading.wrong.emplace_back("id");
    return reading;
}

std::optional<RetryPolicy> read_retry(FieldReader& fields)
{
    auto inner = fields.within("retry");
    if (!inner) return std::nullopt;
    RetryPolicy retry;
    retry.max_attempts =
        inner->integer("max_attempts", 1, max_attempts).value_or(retry.max_attempts);
    retry.initial_delay = read_time_or_zero(*inner, "initial_delay").value_or(retry.initial_delay);
    retry.backoff_multiplier =
        inner->number("multiplier", 1, max_multiplier).value_or(retry.backoff_multiplier);
    retry.max_delay = read_time_or_zero(*inner, "max_delay").value_or(retry.max_delay);
    retry.on = inner->texts("on");
    if (retry.on.empty() && inner->find("on") != nullptr && inner->wrong().empty())
        inner->error("on", "Field 'on' names no class of failures",
                     "To retry nothing, set 'max_attempts: 1'.");
    inner->check_keys(meant_retry_fields);
    fields.take_wrong("retry", *inner);
    return retry;
}

std::optional<milliseconds> read_time(FieldReader& fields, std::string_view key)
{
    return read_time_above(fields, key, milliseconds(1));
}

std::map<std::string, std::string> read_variables(FieldReader& fields)
{
    std::map<std::string, std::string> variables;
    const auto* const node = fields.mapping("env");
    if (node == nullptr) return variables;
    for (const auto& [name, at, value] : node->entries) {
        if (value.kind == YamlNode::Kind::scalar)
            variables.emplace(name, value.text);
        else
            fields.wrong_type(fmt::format("env.{}", name), value, "text");
    }
    return variables;
}

protocol::SpendingLimits read_spending_limits(FieldReader& fields)
{
    protocol::SpendingLimits limits;
    limits.max_cost = fields.number("max_cost", 0, max_cost).value_or(0);
    if (const auto tokens = fields.number("max_tokens", 0, max_tokens))
        limits.max_tokens = std::llround(*tokens);
    return limits;
}

std::optional<CommitScope> read_commit_scope(FieldReader& fields)
{
    const auto word = fields.choice("commit", {"all", "creates"});
    if (!word) return std::nullopt;
    return *word == 0 ? CommitScope::all : CommitScope::creates;
}

std::optional<int> read_context_tier(FieldReader& fields, std::string_view key)
{
    const auto* const node = fields.find(key);
    if (node == nullptr) return std::nullopt;
    const bool is_scalar = node->kind == YamlNode::Kind::scalar;
    auto text = is_scalar ? text::lower_case(node->text) : std::string{};
    if (text.starts_with("tier")) text.erase(0, 4);
    if (text == "1" || text == "2" || text == "3") return text.front() - '0';
    fields.error(key, fmt::format("Field '{}' must be 1, 2 or 3, or as TIER2", key));
    return std::nullopt;
}

}  // namespace autoexec::workflow
