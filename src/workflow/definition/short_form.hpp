#pragma once

#include "autoexec/workflow.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Steps in short: `step: NAME` for an id, one after the other, and `condition: NAME_met`. Pure.
namespace autoexec::workflow {

/// `check-prerequisites` for "Check prerequisites"; a name that could be an id stays as it is.
/// Empty if nothing of the name is left.
std::string id_of_name(std::string_view name);

/// `prerequisites` for `prerequisites_met`. Nothing if it is another kind of condition.
std::optional<std::string_view> what_is_met(std::string_view condition);

/// The steps that stand before one that asks for them.
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
/// one of them says otherwise.
void chain_named_steps(std::vector<WorkflowStep>& steps, const std::vector<bool>& named);

}  // namespace autoexec::workflow
