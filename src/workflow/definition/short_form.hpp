#pragma once

#include "autoexec/workflow.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The short form of steps: `step: NAME` instead of an id, run one after the other, and `condition:
/// NAME_met`. Pure.
namespace autoexec::workflow {

/// `check-prerequisites` for "Check prerequisites"; a valid id stays as it is. Empty if no
/// character is usable.
std::string id_of_name(std::string_view name);

/// `prerequisites` for `prerequisites_met`. Empty for other conditions.
std::optional<std::string_view> what_is_met(std::string_view condition);

/// The steps before one that names them.
class StepsBefore {
public:
    void add(const WorkflowStep& step);

    /// The id of the step that is called so, or `check-` and so; else of the one whose action is.
    /// Of several the nearest. Case is ignored, and `_` is `-`. Null if there is none.
    [[nodiscard]] const std::string* find(std::string_view name) const;

private:
    using Ids = std::map<std::string, std::string, std::less<>>;
    Ids by_id_;
    Ids by_action_;
};

/// Leads from each step to the one behind it that is `named`: given by its name alone. Not where
/// one of them contradicts this.
void chain_named_steps(std::vector<WorkflowStep>& steps, const std::vector<bool>& named);

}  // namespace autoexec::workflow
