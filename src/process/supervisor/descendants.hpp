#pragma once

#include <sys/types.h>

#include <cstddef>

/// Finds the descendants of this process. They remain descendants, even after setsid and double
/// forks, because it is their subreaper.
namespace autoexec::supervisor {

/// Sends `signal` to every descendant. A fork bomb cannot outrun it within a process group: a group
/// is signalled in one step, and a signal interrupts a fork. Without a /proc of this process's
/// namespace, only `program`'s group is signalled.
void signal_descendants(int signal, pid_t program);

std::size_t count_descendants();

}  // namespace autoexec::supervisor
