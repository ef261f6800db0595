#include "workflow/plan/names.hpp"

#include "yaml/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace autoexec::workflow {
namespace {

constexpr std::array<std::pair<std::string_view, StepField>, 7> field_names{{
    {"outcome", StepField::outcome},
    {"status", StepField::outcome},
    {"exit_code", StepField::exit_code},
    {"attempts", StepField::attempts},
    {"round", StepField::round},
    {"verified", StepField::verified},
    {"output", StepField::output},
}};
constexpr std::string_view results_name = "results";

using Parts = std::vector<std::string>;

// Ids may hold dots, so the longest run of parts that is one counts.
std::optional<std::pair<std::size_t, Parts>> split_step(const Parts& parts, std::size_t from,
                                                        const StepIndex& steps)
{
    std::optional<std::pair<std::size_t, Parts>> found;
    std::string id;
    for (std::size_t k = from; k < parts.size(); ++k) {
        id += (k > from ? "." : "") + parts[k];
        const auto step = steps.find(id);
        if (step == steps.end()) continue;
        found.emplace(step->second, Parts(parts.begin() + static_cast<long>(k) + 1, parts.end()));
    }
    return found;
}

Meaning of_step(std::size_t step, const Parts& rest)
{
    Meaning meaning;
    meaning.step = step;
    if (rest.size() > 1 && rest.front() == results_name) {
        meaning.kind = Meaning::Kind::step_result;
        meaning.path.assign(rest.begin() + 1, rest.end());
        return meaning;
    }
    const auto* const field = std::find_if(
        field_names.begin(), field_names.end(),
        [&](const auto& known) { return rest.size() == 1 && known.first == rest.front(); });
    if (field != field_names.end()) {
        meaning.kind = Meaning::Kind::step_field;
        meaning.field = field->second;
        return meaning;
    }
    std::vector<std::string_view> known{results_name};
    for (const auto& one : field_names) known.push_back(one.first);
    meaning.problem = rest.empty() ? "A field of the step is missing"
                                   : fmt::format("A step has no '{}'", fmt::join(rest, "."));
    meaning.hint = rest.empty() ? std::string() : yaml::did_you_mean(rest.front(), known);
    if (meaning.hint.empty())
        meaning.hint = "Use outcome, exit_code, attempts, round, verified, output or results.NAME.";
    return meaning;
}

}  // namespace

NameType type_of_field(StepField field)
{
    static constexpr std::string_view outcomes[]{"completed", "failed", "timeout", "cancelled",
                                                 "skipped"};
    static constexpr std::string_view verifications[]{"none", "partial", "all"};
    if (field == StepField::outcome) return {ValueType::text, outcomes};
    if (field == StepField::verified) return {ValueType::text, verifications};
    if (field == StepField::output) return {ValueType::text};
    return {ValueType::number};
}

Meaning meaning_of(const ExpressionName& name, const StepIndex& steps)
{
    const auto& parts = name.parts;
    Meaning meaning;
    if (parts.front() == "params") {
        meaning.kind = Meaning::Kind::parameter;
        meaning.rest = fmt::to_string(fmt::join(parts.begin() + 1, parts.end(), "."));
        return meaning;
    }
    if (parts.front() == "steps") {
        if (const auto split = split_step(parts, 1, steps))
            return of_step(split->first, split->second);
        meaning.problem =
            parts.size() < 2 ? "Which step?" : fmt::format("There is no step '{}'", parts[1]);
        return meaning;
    }
    if (const auto split = split_step(parts, 0, steps)) return of_step(split->first, split->second);
    if (parts.size() == 2 && parts[0] == "run" && (parts[1] == "id" || parts[1] == "branch")) {
        meaning.kind = Meaning::Kind::run;
        meaning.rest = parts[1];
        return meaning;
    }
    if (parts.size() == 1 && parts[0] == "worktree") {
        meaning.kind = Meaning::Kind::worktree;
        return meaning;
    }
    meaning.path = parts;
    return meaning;
}

bool is_scoring_passed(const ExpressionName& name)
{
    return name.parts.size() == 2 && name.parts[0] == "scoring" && name.parts[1] == "passed";
}

}  // namespace autoexec::workflow
