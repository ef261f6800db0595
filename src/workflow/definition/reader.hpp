#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/definition/source_map.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <optional>

namespace autoexec::workflow {

/// A workflow as its file says, and where.
struct Definition {
    Workflow workflow;
    SourceMap source_map;
};

/// Reads types and shapes; what is wrong goes into `report`. Nothing if the file is no workflow.
/// `root` must outlive the result.
std::optional<Definition> read_definition(const yaml::YamlNode& root, yaml::Report& report);

}  // namespace autoexec::workflow
