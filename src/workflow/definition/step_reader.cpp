#include "workflow/definition/step_reader.hpp"

#include "text/text.hpp"
#include "workflow/definition/field_reader.hpp"
#include "workflow/definition/short_form.hpp"
#include "workflow/definition/step_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <utility>

namespace autoexec::workflow {
namespace {

using yaml::Report;
using yaml::YamlNode;

constexpr std::chrono::seconds max_timeout{100'000'000};  // three years

constexpr std::array<std::string_view, 33> step_fields{
    "id",        "command",           "requires", "parameters",  "step",     "action",
    "condition", "depends_on",        "name",     "params",      "optional", "optional_steps",
    "agent",     "creates",           "on_error", "idempotent",  "argv",     "timeout",
    "env_refs",  "require_artifacts", "next",     "repeats",     "worktree", "context_tier",
    "gate",      "results",           "consults", "description", "notes",    "scoring",
    "metadata",  "retry_from",        "commit"};

// The keys of other systems.
constexpr FieldReader::KeyAlias meant_fields[]{
    {"needs", "depends_on"}, {"after", "depends_on"}, {"dependencies", "depends_on"},
    {"if", "condition"},     {"when", "condition"},   {"retry", "metadata.retry"},
    {"run", "command"},      {"outputs", "creates"},  {"artifacts", "creates"},
    {"env", "env_refs"}};

constexpr std::pair<std::string_view, StepNeed> needs[]{{"required", StepNeed::required},
                                                        {"mandatory", StepNeed::required},
                                                        {"optional", StepNeed::optional},
                                                        {"conditional", StepNeed::conditional}};

// One word is not an expression, unless it is a constant.
std::string need_meant_by(std::string_view word)
{
    std::vector<std::string_view> words(std::size(needs));
    std::transform(std::begin(needs), std::end(needs), words.begin(),
                   [](const auto& need) { return need.first; });
    const bool is_word = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == word.npos;
    return is_word ? yaml::did_you_mean(word, words) : std::string{};
}

bool is_blank(std::string_view text)
{
    return text.find_first_not_of(" \t\r\n") == text.npos;
}

class StepReader {
public:
    StepReader(const YamlNode& node, std::string prefix, Report& report, WorkflowStep& step)
        : fields_(node, std::move(prefix), report), step_(step)
    {}

    void read()
    {
        fields_.check_keys(step_fields, meant_fields);
        read_what_is_run();
        read_when();
        read_how();
        read_for_people();
    }

    [[nodiscard]] const std::vector<std::string>& wrong() const noexcept { return fields_.wrong(); }

private:
    void read_what_is_run()
    {
        step_.agent = fields_.text("agent").value_or("");
        step_.action = fields_.text("action").value_or("");
        step_.command = fields_.text("command").value_or("");
        step_.argv = fields_.words("argv");
        if (const auto key = fields_.either("params", "parameters"); !key.empty())
            step_.params = fields_.object(key);
    }

    void read_when()
    {
        step_.needs = fields_.texts("requires");
        step_.creates = fields_.texts("creates");
        step_.depends_on = fields_.texts("depends_on");
        step_.optional_steps = fields_.texts("optional_steps");
        step_.next = fields_.text("next").value_or("");
        read_gate();
        read_condition();
        read_optional();
    }

    void read_how()
    {
        read_on_error();
        read_retry_from();
        step_.commit = read_commit_scope(fields_);
        read_timeout();
        step_.idempotent = fields_.boolean("idempotent").value_or(false);
        step_.repeats = fields_.boolean("repeats").value_or(false);
        step_.require_artifacts = fields_.boolean("require_artifacts");
        step_.env_refs = fields_.texts("env_refs");
        step_.worktree = fields_.text("worktree").value_or("");
        step_.results = fields_.text("results").value_or("");
        read_scoring();
        read_metadata();
    }

    void read_for_people()
    {
        if (const auto tier = read_context_tier(fields_, "context_tier"))
            step_.context_tier = *tier;
        step_.consults = fields_.texts("consults");
        const auto description = fields_.prose("description").value_or("");
        step_.notes = fields_.prose("notes").value_or(description);
        if (auto name = fields_.prose("name")) step_.name = *std::move(name);
    }

    void read_gate()
    {
        auto inner = fields_.within("gate");
        if (!inner) return;
        step_.gate = workflow::read_gate(*inner);
        fields_.take_wrong("gate", *inner);
    }

    void read_condition()
    {
        const auto text = fields_.expression("condition");
        if (!text) return;
        const auto word = in_lower_case(*text);
        const auto* const known =
            std::find_if(std::begin(needs), std::end(needs),
                         [&](const auto& need) { return need.first == word; });
        says_need_ = known != std::end(needs);
        if (says_need_)
            step_.need = known->second;
        else if (auto guess = need_meant_by(word); !guess.empty())
            fields_.error("condition", fmt::format("Unknown condition '{}'", *text),
                          std::move(guess));
        else
            step_.condition = *text;
    }

    void read_optional()
    {
        const auto optional = fields_.boolean("optional");
        if (!optional) return;
        const bool contradicts = says_need_ && step_.need != StepNeed::conditional &&
                                 *optional != (step_.need == StepNeed::optional);
        if (contradicts)
            fields_.error("optional", "Field 'optional' contradicts 'condition'",
                          "Remove one of them.");
        else if (*optional && step_.need == StepNeed::conditional)
            step_.continue_on_error = true;
        else if (*optional)
            step_.need = StepNeed::optional;
    }

    void read_on_error()
    {
        static constexpr std::string_view words[] = {"fail", "continue"};
        says_on_error_ = fields_.find("on_error") != nullptr;
        if (fields_.choice("on_error", words) == 1U) step_.continue_on_error = true;
    }

    void read_retry_from()
    {
        static constexpr std::string_view words[] = {"as_is", "clean"};
        step_.retry_from_clean = fields_.choice("retry_from", words) == 1U;
    }

    void read_timeout()
    {
        const auto* const node = fields_.find("timeout");
        if (node == nullptr) return;
        const bool may_be = node->kind == YamlNode::Kind::scalar && !node->as_bool();
        const auto time = may_be ? text::parse_duration(node->text) : std::nullopt;
        if (time && time->count() > 0 && *time <= max_timeout)
            step_.timeout = time;
        else
            fields_.error(
                "timeout", "Field 'timeout' must be a positive number of seconds, or as '90s'",
                may_be ? fmt::format("Units are ms, s, m, h, d and w; the maximum is {} s.",
                                     max_timeout.count())
                       : yaml::type_hint(*node, "a number"));
    }

    void read_scoring()
    {
        auto inner = fields_.within("scoring");
        if (inner) step_.thresholds = read_thresholds(*inner);
    }

    void read_metadata()
    {
        auto metadata = fields_.within("metadata");
        if (!metadata) return;
        step_.metadata = to_json(metadata->node()).as_object();
        step_.skip_on_fail = metadata->boolean("skip_on_fail").value_or(false);
        const bool recoverable = metadata->boolean("error_recoverable").value_or(false);
        if (recoverable && !says_on_error_) step_.continue_on_error = true;
        if (auto retry = metadata->within("retry")) step_.retry = read_retry(*retry);
    }

    FieldReader fields_;
    WorkflowStep& step_;
    bool says_need_ = false;
    bool says_on_error_ = false;
};

void read_id(FieldReader& fields, StepReading& reading)
{
    auto& step = reading.step;
    step.name = fields.prose("step").value_or("");
    if (fields.find("id") == nullptr && fields.find("step") == nullptr)
        return fields.error("id", "Missing required field: 'id'");
    reading.named = fields.find("id") == nullptr;
    if (!reading.named) {
        step.id = fields.text("id").value_or("");
        if (!is_blank(step.id)) return;
        step.id.clear();
        if (fields.wrong().empty()) fields.error("id", "Field 'id' must not be empty");
        return;
    }
    step.id = id_of_name(step.name);
    if (step.id.empty() && fields.wrong().empty())
        fields.error("step", "No id can be derived from this name", "Give the step an 'id', too.");
}

}  // namespace

StepReading read_step(const YamlNode& node, std::size_t number, int context_tier, Report& report)
{
    StepReading reading;
    reading.step.context_tier = context_tier;
    auto prefix = fmt::format("Step {}: ", number);
    if (node.kind != YamlNode::Kind::mapping) {
        report.error(node.at, prefix + "Must be a mapping",
                     "A step has an 'id' and what it runs: an 'agent' and an 'action', a "
                     "'command', or an 'argv'.");
        reading.wrong.emplace_back("id");
        return reading;
    }
    FieldReader fields(node, prefix, report);
    read_id(fields, reading);
    if (reading.step.id.empty())
        reading.wrong.emplace_back("id");
    else
        prefix = fmt::format("Step '{}': ", reading.step.id);
    StepReader reader(node, std::move(prefix), report, reading.step);
    reader.read();
    reading.wrong.insert(reading.wrong.end(), reader.wrong().begin(), reader.wrong().end());
    return reading;
}

}  // namespace autoexec::workflow
