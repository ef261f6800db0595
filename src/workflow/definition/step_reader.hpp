#pragma once

#include "autoexec/workflow.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace autoexec::workflow {

/// A step as the file defines it.
struct StepReading {
    WorkflowStep step;
    bool named = false;  ///< By `step:` alone: its id is derived from that.
    /// Fields that were reported already.
    std::vector<std::string> wrong;
};

/// Reads the step with this number (1…). Errors go into `report`, and the field keeps its default;
/// a step without an id is unusable. `context_tier` is the default of that field.
StepReading read_step(const yaml::YamlNode& node, std::size_t number, int context_tier,
                      yaml::Report& report);

}  // namespace autoexec::workflow
