#pragma once

#include "workflow/plan/names.hpp"
#include "workflow/plan/plan.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Steps with `for_each`: the plan grows by a step for each item, at the end, so that no index
/// changes. Such a step waits for the step with the items, and whatever waits for that one waits
/// for all of them. Pure.
namespace autoexec::workflow {

/// The items of a step, and how many it may have.
inline constexpr std::size_t max_items_limit = 1000;

/// Whether an agent wrote the items.
[[nodiscard]] bool has_items_of_agent(const WorkflowStep& step);

/// The parts of a dotted name.
std::vector<std::string> parts_of_name(std::string_view name);

/// Why a value cannot be an item: it completes `Item 3 …`. Empty: it can be.
std::string flaw_of_item(const boost::json::value& item);

/// The value of `{item}` or `{item.NAME}`; null: there is none.
const boost::json::value* value_in_item(const boost::json::value& item,
                                        const std::vector<std::string>& path);

/// The agent of the step for an item.
std::string agent_for_item(std::string_view agent, const boost::json::value& item);

/// The path of an artifact of the step for an item. `problem` is set to a sentence if a value of
/// the item is not the name of a file: an agent may have written it.
std::string path_for_item(std::string_view path, const boost::json::value& item, std::size_t number,
                          std::string& problem);

/// Why the plan cannot have that many steps for a step's items: a sentence, or nothing.
std::string expansion_problem(const Workflow& workflow, const Plan& plan, std::size_t step,
                              std::size_t count);

/// Adds steps until the step has that many for its items.
void expand(Workflow& workflow, Plan& plan, StepIndex& index, std::size_t step, std::size_t count);

}  // namespace autoexec::workflow
