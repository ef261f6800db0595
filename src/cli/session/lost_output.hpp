#pragma once

#include "autoexec/command.hpp"

#include <filesystem>
#include <string>

namespace autoexec::cli {

/// Checks the log of a command that has just ended, in `<root>/.tapps-agents/output`. Returns a
/// message if the command has printed something and the log of its last attempt is missing, empty
/// or behind a link; else an empty string.
std::string lost_output(const std::filesystem::path& root, const ExecutionResult& result);

}  // namespace autoexec::cli
