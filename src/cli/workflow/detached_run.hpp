#pragma once

#include <filesystem>
#include <string>

namespace autoexec::cli {

/// Runs this command line again, without `--detach`, in a process that outlives its terminal.
/// Prints the id of its run once the journal has its start, or its resumption: that of `resumed`,
/// or of a newer run. Throws `Failure`, with its output, if it ends before.
int detach_run(const std::filesystem::path& root, const std::string& resumed, bool as_json);

}  // namespace autoexec::cli
