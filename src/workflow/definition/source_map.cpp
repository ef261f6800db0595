#include "workflow/definition/definition.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

namespace autoexec::workflow {
namespace {

using yaml::Position;
using yaml::Report;
using yaml::YamlNode;

// The keys that set a field.
std::vector<std::string_view> names_of(std::string_view field)
{
    if (field == "id") return {"id", "step"};
    if (field == "params") return {"params", "parameters"};
    if (field == "agent" || field == "model") return {field, "best_of"};
    if (field == "for_each") return {"for_each", "matrix", "best_of"};
    return {field};
}

const YamlNode* find_field(const YamlNode& mapping, std::string_view field)
{
    for (const auto name : names_of(field))
        if (const auto* const node = mapping.find(name);
            node != nullptr && node->kind != YamlNode::Kind::null)
            return node;
    if (field != "retry") return nullptr;
    const auto* const metadata = mapping.find("metadata");
    return metadata != nullptr ? metadata->find(field) : nullptr;
}

const YamlNode& find_nearest(const YamlNode& root, std::string_view path)
{
    const auto* at = &root;
    while (!path.empty()) {
        const auto field = path.substr(0, path.find('.'));
        path.remove_prefix(std::min(path.size(), field.size() + 1));
        const auto* const inner = find_field(*at, field);
        if (inner == nullptr) break;
        at = inner;
    }
    return *at;
}

// An offset in a text has a position only if the text is in the file as it is read: on one line,
// without escapes.
Position place_in(const YamlNode& scalar, std::size_t offset, const Report& report)
{
    const auto line = report.line(scalar.at.line);
    auto start = static_cast<std::size_t>(std::max(scalar.at.column, 1)) - 1;
    if (start >= line.size()) return scalar.at;
    if (scalar.quoted && (line[start] == '"' || line[start] == '\'')) ++start;
    if (!line.substr(start).starts_with(scalar.text)) return scalar.at;
    return {scalar.at.line, static_cast<int>(start + std::min(offset, scalar.text.size())) + 1};
}

bool is_one_of(std::span<const std::string_view> fields, std::string_view field)
{
    return std::find(fields.begin(), fields.end(), field) != fields.end();
}

// Several fields together define what a step runs.
bool says_what_is_run(std::string_view field)
{
    static constexpr std::string_view fields[]{"agent", "action", "command",   "argv",
                                               "uses",  "params", "parameters"};
    return is_one_of(fields, field);
}

bool names_steps(std::string_view field)
{
    static constexpr auto fields =
        std::to_array<std::string_view>({"depends_on", "optional_steps", "next", "condition",
                                         "gate.condition", "gate.on_pass", "gate.on_fail"});
    return is_one_of(fields, field);
}

}  // namespace

Position SourceMap::of(const PlanProblem& problem, const Report& report) const
{
    const auto* const step = problem.step ? &steps_[*problem.step] : nullptr;
    const auto& field = find_nearest(step ? *step->node : workflow_, problem.field);
    const bool is_item =
        step && field.kind == YamlNode::Kind::sequence && problem.item < field.items.size();
    const auto& node = is_item ? field.items[problem.item] : field;
    const bool rewritten = step && step->rewritten && problem.field == "condition";
    if (problem.offset && !rewritten && node.kind == YamlNode::Kind::scalar)
        return place_in(node, *problem.offset, report);
    return node.at;
}

Position SourceMap::of_parameter(std::string_view name) const
{
    const auto* const params = find_field(workflow_, "params");
    if (params == nullptr) return workflow_.at;
    const auto found = std::find_if(params->entries.begin(), params->entries.end(),
                                    [&](const auto& entry) { return entry.key == name; });
    return found == params->entries.end() ? params->at : found->at;
}

bool SourceMap::follows(const PlanProblem& problem) const
{
    if (lacks_ids_ && names_steps(problem.field)) return true;
    const auto& wrong = problem.step ? steps_[*problem.step].wrong : wrong_;
    return std::any_of(wrong.begin(), wrong.end(), [&](const std::string& field) {
        if (field == "<<") return true;
        if (says_what_is_run(field))
            return says_what_is_run(problem.field) || problem.field == "id";
        return problem.field == field || problem.field.starts_with(field + ".");
    });
}

}  // namespace autoexec::workflow
