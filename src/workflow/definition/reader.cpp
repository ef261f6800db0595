#include "workflow/definition/definition.hpp"

#include "text/text.hpp"
#include "workflow/definition/field_reader.hpp"
#include "workflow/definition/short_form.hpp"
#include "workflow/definition/step_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::workflow {
namespace {

using yaml::Report;
using yaml::YamlNode;

constexpr int parallel_limit = 10'000;
constexpr int max_workflow_rounds = 1000;
constexpr int max_workflow_retries = 1'000'000;
constexpr double max_backoff = 100'000'000;  // seconds: three years
constexpr std::size_t max_keys_shown = 5;

constexpr auto workflow_fields = std::to_array<std::string_view>(
    {"id",       "name",     "description", "version",     "type",  "schema_version", "auto_detect",
     "settings", "metadata", "params",      "parameters",  "steps", "worktree",       "commit",
     "env",      "timeout",  "budget",      "concurrency", "retry", "on_failure",     "finally"});
// As in GitHub Actions.
constexpr FieldReader::KeyAlias meant_concurrency[]{
    {"cancel-in-progress", "on_busy: cancel_running"},
    {"cancel_in_progress", "on_busy: cancel_running"},
    {"cancel_running", "on_busy: cancel_running"},
    {"queue", "on_busy: queue"}};
constexpr std::array<std::string_view, 3> types{"greenfield", "brownfield", "hybrid"};

bool is_parameter_name(std::string_view name)
{
    return !name.empty() && name.front() != '-' && !(name.front() >= '0' && name.front() <= '9') &&
           std::ranges::all_of(
               name, [](char c) { return text::is_letter_or_digit(c) || c == '_' || c == '-'; });
}

std::string keys_of(const YamlNode& mapping)
{
    std::vector<std::string> keys;
    for (const auto& entry : mapping.entries) {
        if (keys.size() == max_keys_shown) {
            keys.emplace_back("…");
            break;
        }
        keys.push_back(fmt::format("'{}'", entry.key));
    }
    return keys.empty() ? "nothing" : fmt::to_string(fmt::join(keys, ", "));
}

class DefinitionReader {
public:
    DefinitionReader(const YamlNode& root, const YamlNode& node, Report& report)
        : root_(root),
          report_(report),
          fields_(node, "", report),
          definition_{{}, SourceMap(node)},
          workflow_(definition_.workflow)
    {}

    Definition read()
    {
        read_names();
        read_type();
        read_worktree();
        read_settings();
        read_metadata();
        read_params();
        workflow_.env = read_variables(fields_);
        workflow_.timeout = read_time(fields_, "timeout");
        workflow_.retry = read_retry(fields_);
        read_budget();
        read_concurrency();
        read_steps();
        fields_.check_keys();
        definition_.source_map.set_wrong(fields_.wrong());
        return std::move(definition_);
    }

private:
    void read_names()
    {
        if (fields_.find("id") == nullptr)
            fields_.error("id", "Missing required field: 'id'");
        else
            workflow_.id = not_blank(fields_, "id", fields_.text("id")).value_or("");
        workflow_.name = fields_.prose("name").value_or("");
        workflow_.description = fields_.prose("description").value_or("");
        workflow_.version =
            not_blank(fields_, "version", fields_.prose("version")).value_or(workflow_.version);
        (void)fields_.prose("schema_version");
        (void)fields_.boolean("auto_detect");
    }

    static std::optional<std::string> not_blank(FieldReader& fields, std::string_view key,
                                                std::optional<std::string> text)
    {
        if (text && text->find_first_not_of(" \t\r\n") == std::string::npos)
            fields.error(key, fmt::format("Field '{}' must not be empty", key));
        return text;
    }

    void read_type()
    {
        const auto text = fields_.text("type");
        if (!text) return;
        const auto lower = text::lower_case(*text);
        const bool known = std::ranges::count(types, lower) > 0;
        workflow_.type = known ? lower : *text;
        if (known) return;
        const auto guess = yaml::did_you_mean(lower, types);
        fields_.warning(
            "type", fmt::format("Unknown type '{}'", *text),
            guess.empty() ? fmt::format("Known are {}.", fmt::join(types, ", ")) : guess);
    }

    void read_worktree()
    {
        // In the order of the enumeration.
        if (const auto mode = fields_.choice("worktree", {"step", "workflow", "in_place"}))
            workflow_.worktrees = static_cast<WorktreeMode>(*mode);
        workflow_.commit = read_commit_scope(fields_).value_or(workflow_.commit);
    }

    void read_settings()
    {
        auto settings = fields_.within("settings");
        if (!settings) return;
        workflow_.settings = to_json(settings->node()).as_object();
        for (const auto* const key : {"quality_gates", "code_scoring", "auto_detect"})
            (void)settings->boolean(key);
        context_tier_ =
            read_context_tier(*settings, "context_tier_default").value_or(context_tier_);
        if (auto loopback = settings->within("loopback")) read_loopback(*loopback);
        workflow_.max_parallel = static_cast<std::size_t>(
            settings->integer("max_parallel", 0, parallel_limit).value_or(0));
        workflow_.max_rounds =
            settings->integer("max_rounds", 1, max_workflow_rounds).value_or(workflow_.max_rounds);
        if (const auto count = settings->integer("max_retries", 0, max_workflow_retries))
            workflow_.max_retries = static_cast<int>(*count);
        settings->check_keys();
    }

    void read_loopback(FieldReader& loopback)
    {
        workflow_.max_rounds =
            loopback.integer("max_attempts", 1, max_workflow_rounds).value_or(workflow_.max_rounds);
        (void)loopback.number("retry_backoff", 0, max_backoff);
        loopback.check_keys();
    }

    // If any text were true, "false" in quotes would enable what it should disable.
    void read_metadata()
    {
        auto metadata = fields_.within("metadata");
        if (!metadata) return;
        workflow_.metadata = to_json(metadata->node()).as_object();
        const auto* const automatic = metadata->find("auto_execution");
        if (automatic != nullptr && automatic->kind != YamlNode::Kind::mapping &&
            !automatic->as_bool())
            metadata->wrong_type("auto_execution", "true, false, or a mapping of settings");
    }

    void read_budget()
    {
        auto budget = fields_.within("budget");
        if (!budget) return;
        const auto limits = read_spending_limits(*budget);
        workflow_.max_cost = limits.max_cost;
        workflow_.max_tokens = limits.max_tokens;
        budget->check_keys();
    }

    void read_concurrency()
    {
        const auto* const node = fields_.find("concurrency");
        if (node == nullptr) return;
        auto& group = workflow_.concurrency.group;
        if (node->kind == YamlNode::Kind::scalar) {
            group = not_blank(fields_, "concurrency", fields_.text("concurrency")).value_or("");
            return;
        }
        auto inner = fields_.within("concurrency");
        if (!inner) return;
        if (inner->require("group"))
            group = not_blank(*inner, "group", inner->text("group")).value_or("");
        workflow_.concurrency.cancel_running =
            inner->choice("on_busy", {"queue", "cancel_running"}) == 1U;
        inner->check_keys(meant_concurrency);
        fields_.take_wrong("concurrency", *inner);
    }

    void read_params()
    {
        const auto key = fields_.either("params", "parameters");
        if (key.empty()) return;
        auto params = fields_.within(key);
        if (!params) return;
        for (const auto& [name, at, value] : params->node().entries) {
            if (!is_parameter_name(name))
                report_.error(at,
                              fmt::format("{}: '{}' cannot be the name of a parameter", key, name),
                              "Letters, digits, '_' and '-', no digit first.");
            else if (value.kind == YamlNode::Kind::mapping)
                params->wrong_type(name, "text, a number, true or false, a list, or null");
            workflow_.params[name] = to_json(value);
        }
    }

    void read_steps()
    {
        if (fields_.find("steps") == nullptr) return report_missing_steps();
        bool has_all_ids = true;
        std::vector<bool> named;
        read_phase("steps", StepPhase::main, named, has_all_ids);
        read_phase("on_failure", StepPhase::on_failure, named, has_all_ids);
        read_phase("finally", StepPhase::finally, named, has_all_ids);
        if (!has_all_ids) return definition_.source_map.lack_ids();
        chain_named_steps(workflow_.steps, named);
        rewrite_conditions();
    }

    void read_phase(std::string_view key, StepPhase phase, std::vector<bool>& named,
                    bool& has_all_ids)
    {
        const auto* const items =
            fields_.find(key) != nullptr ? fields_.list(key, "step") : nullptr;
        if (items == nullptr) return;
        for (const auto& item : *items) {
            auto reading = read_step(item, workflow_.steps.size() + 1, context_tier_, report_);
            reading.step.phase = phase;
            has_all_ids &= !reading.step.id.empty();
            named.push_back(reading.named);
            definition_.source_map.add_step(item, std::move(reading.wrong));
            workflow_.steps.push_back(std::move(reading.step));
        }
    }

    void report_missing_steps()
    {
        const bool below = fields_.node().find("sequence") != nullptr;
        const bool beside = root_.find("sequence") != nullptr && !below;
        fields_.error("steps", "Missing required field: 'steps'",
                      beside  ? "Steps are read from 'steps' below 'workflow'; here they are "
                                "under a top-level 'sequence'."
                      : below ? "Steps are read from 'steps'; here they are under 'sequence'."
                              : "");
    }

    void rewrite_conditions()
    {
        StepsBefore before;
        for (std::size_t i = 0; i < workflow_.steps.size(); ++i) {
            auto& step = workflow_.steps[i];
            if (const auto name = what_is_met(step.condition)) {
                const auto* const id = before.find(*name);
                if (id == nullptr) report_not_met(i, *name);
                step.condition =
                    id != nullptr ? fmt::format("steps.{}.outcome == \"completed\"", *id) : "";
                definition_.source_map.rewrite_condition(i);
            }
            before.add(step);
        }
    }

    void report_not_met(std::size_t step, std::string_view name)
    {
        PlanProblem here;
        here.step = step;
        here.field = "condition";
        report_.error(
            definition_.source_map.of(here, report_),
            fmt::format("Step '{}': No step before it has the id or action '{}' or 'check-{}'",
                        workflow_.steps[step].id, name, name),
            fmt::format("'{}_met' means that such a step has completed.", name));
    }

    const YamlNode& root_;
    Report& report_;
    FieldReader fields_;
    Definition definition_;
    Workflow& workflow_;
    int context_tier_ = 2;
};

void report_beside(const YamlNode& root, Report& report)
{
    for (const auto& [key, at, value] : root.entries) {
        if (key == "workflow") continue;
        if (std::ranges::count(workflow_fields, key) > 0)
            report.unknown_key(at, fmt::format("'{}' is ignored here", key),
                               "Put it below 'workflow'.");
        else
            report.unknown_key(at, fmt::format("Unknown field '{}'", key),
                               yaml::did_you_mean(key, workflow_fields));
    }
}

}  // namespace

std::optional<Definition> read_definition(const YamlNode& root, Report& report)
{
    if (root.kind != YamlNode::Kind::mapping) {
        report.error(root.at, "A workflow file must be a mapping",
                     root.kind == YamlNode::Kind::null
                         ? "The file is empty."
                         : fmt::format("This is {}.", root.describe()));
        return std::nullopt;
    }
    FieldReader top(root, "", report);
    if (root.find("workflow") != nullptr) {
        report_beside(root, report);
        const auto* const node = top.mapping("workflow");
        if (node == nullptr && top.wrong().empty())
            top.error("workflow", "Field 'workflow' must be a mapping", "This is empty.");
        if (node == nullptr) return std::nullopt;
        return DefinitionReader(root, *node, report).read();
    }
    if (root.find("id") != nullptr || root.find("steps") != nullptr)
        return DefinitionReader(root, root, report).read();
    report.error(root.at, "Not a workflow: it has neither 'workflow' nor 'id' and 'steps'",
                 fmt::format("Its top-level keys are {}.", keys_of(root)));
    return std::nullopt;
}

}  // namespace autoexec::workflow
