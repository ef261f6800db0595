#pragma once

#include <sys/types.h>

#include <cstddef>

/// Finds the processes below this one. They stay below it whatever they do, setsid and
/// double forks included, since it is their subreaper.
namespace autoexec::supervisor {

/// Sends `signal` to every descendant. A fork bomb can't outrun it within a process group: a
/// group gets its signals in one step, and a fork that a signal interrupts doesn't happen.
/// Without a /proc of this process's namespace only `program`'s group can be reached.
void signal_descendants(int signal, pid_t program);

std::size_t count_descendants();

}  // namespace autoexec::supervisor
