#pragma once

#include "autoexec/command.hpp"

#include <filesystem>
#include <string>

namespace autoexec::cli {

/// Looks for the output of a command that has just ended in `<root>/.tapps-agents/output`. If the
/// command has printed something and its last attempt's file is gone, or empty, or reached only
/// through a link, the sentence for a person; else empty.
std::string lost_output(const std::filesystem::path& root, const ExecutionResult& result);

}  // namespace autoexec::cli
