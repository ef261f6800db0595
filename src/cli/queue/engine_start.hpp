#pragma once

#include <filesystem>

namespace autoexec::cli {

/// Starts an engine of the queue in a process of its own, unless one lives; an engine of an older
/// version is asked to drain. Throws `Failure` if the new engine ends at once, with its output.
void ensure_queue_engine(const std::filesystem::path& root);

}  // namespace autoexec::cli
