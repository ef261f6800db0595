#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/definition/source_map.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <optional>

namespace autoexec::workflow {

/// A workflow, with the positions in its file.
struct Definition {
    Workflow workflow;
    SourceMap source_map;
};

/// Checks types and structure; errors go into `report`. Empty if the file is not a workflow.
/// `root` must outlive the result.
std::optional<Definition> read_definition(const yaml::YamlNode& root, yaml::Report& report);

}  // namespace autoexec::workflow
