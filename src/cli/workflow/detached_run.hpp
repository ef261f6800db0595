#pragma once

#include <filesystem>

namespace autoexec::cli {

/// Runs this command line again, without `--detach`, in a process that outlives its terminal.
/// Prints the id of its run once its journal exists. Throws `Failure`, with its output, if it ends
/// before.
int detach_run(const std::filesystem::path& root, bool as_json);

}  // namespace autoexec::cli
