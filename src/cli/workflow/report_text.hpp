#pragma once

#include "autoexec/view.hpp"
#include "git/changes.hpp"
#include "protocol/usage.hpp"

#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>

/// What `autoexec workflow report` prints.
namespace autoexec::cli {

struct RunReport {
    RunEntry run;
    ModelPrices prices;
    std::optional<git::ChangeList> changes;               ///< Of the merged work.
    std::map<std::string, git::ChangeList> step_changes;  ///< Of those that are known.
};

/// Markdown. What agents, people and files have named is in code spans. Pure, but for the duration
/// of a run that has not ended.
std::string report_text(const RunReport& report);

/// As of `workflow status`, with `changes` of the run and of each step.
boost::json::object report_json(const RunReport& report);

}  // namespace autoexec::cli
