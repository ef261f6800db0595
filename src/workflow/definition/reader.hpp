#pragma once

#include "autoexec/workflow.hpp"
#include "config/report.hpp"
#include "config/yaml.hpp"
#include "workflow/definition/places.hpp"

#include <optional>

namespace autoexec::workflow {

/// A workflow as its file says, and where.
struct Definition {
    Workflow workflow;
    Places places;
};

/// Reads types and shapes; what is wrong goes into `report`. Nothing if the file is no workflow.
/// `root` must outlive the result.
std::optional<Definition> read_definition(const config::YamlNode& root, config::Report& report);

}  // namespace autoexec::workflow
