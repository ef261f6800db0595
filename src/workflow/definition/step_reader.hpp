#pragma once

#include "autoexec/workflow.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace autoexec::workflow {

/// A step as it is written.
struct StepReading {
    WorkflowStep step;
    bool named = false;  ///< By `step:` alone: its id is made from that.
    /// Fields that have been complained of already.
    std::vector<std::string> wrong;
};

/// Reads the step with this number (1…). What is wrong goes into `report`, and the field keeps its
/// default; without an id it is no use. Steps that don't say it have `context_tier`.
StepReading read_step(const yaml::YamlNode& node, std::size_t number, int context_tier,
                      yaml::Report& report);

}  // namespace autoexec::workflow
