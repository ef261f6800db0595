#pragma once

#include "autoexec/execution_options.hpp"

#include <filesystem>
#include <string>

/// What commands leave of the machine's memory and disk.
namespace autoexec::executor {

/// Of this machine, and of the folder's file system. A cgroup's limit is not considered: what is
/// free below it cannot be distinguished from the memory of its caches. Blocks for microseconds.
FreeResources free_resources(const std::filesystem::path& folder);

/// A sentence without a full stop, if less is free than the options require; else empty.
std::string shortage_of(const FreeResources& free, const ExecutionOptions& options);

}  // namespace autoexec::executor
