#pragma once

#include "workflow/expression/expression.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// The meaning of names in conditions: `steps.ID.FIELD`, `ID.FIELD`, `params.NAME`, `run.id`,
/// `worktree`. Pure.
namespace autoexec::workflow {

using StepIndex = std::map<std::string, std::size_t, std::less<>>;

/// The fields of a step that conditions can use.
enum class StepField { outcome, exit_code, attempts, round, verified, output };

NameType type_of_field(StepField field);

struct Meaning {
    enum class Kind {
        parameter,    ///< `rest` is its name.
        run,          ///< `rest` is `id` or `branch`.
        worktree,     ///< Of the step itself.
        step_field,   ///< `field` of `step`.
        step_result,  ///< `path` in the results of `step`.
        other,        ///< In a gate: `path` in the step's own results.
    };
    Kind kind = Kind::other;
    std::size_t step = 0;
    StepField field = StepField::outcome;
    std::string rest;
    std::vector<std::string> path;
    std::string
        problem;  ///< For `other`: why it is none of the first three, although it starts like one.
    std::string hint;
};

Meaning meaning_of(const ExpressionName& name, const StepIndex& steps);

/// `scoring.passed`: computed if the step has thresholds.
bool is_scoring_passed(const ExpressionName& name);

}  // namespace autoexec::workflow
