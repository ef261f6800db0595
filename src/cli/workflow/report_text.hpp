#pragma once

#include "autoexec/view.hpp"
#include "git/changes.hpp"
#include "protocol/usage.hpp"

#include <map>
#include <optional>
#include <string>

/// The text of `autoexec workflow report`.
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

}  // namespace autoexec::cli
