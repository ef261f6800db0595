#pragma once

#include "autoexec/event.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::cli {

/// The attempts of an execution in the history, newest first.
std::vector<ExecutionMetric> attempts_of(const std::filesystem::path& root,
                                         const std::string& execution_id);

/// The id of the execution that is called so: queued, running, or ended. Throws `Failure` if it is
/// not exactly one.
std::string find_execution(const std::filesystem::path& root, const std::string& wanted);

}  // namespace autoexec::cli
