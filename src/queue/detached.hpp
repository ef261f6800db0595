#pragma once

#include "autoexec/error.hpp"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

/// Starting this program again, in a session of its own and without a terminal, so that it outlives
/// this process, its terminal and its connection.
namespace autoexec::queue {

struct DetachedProcess {
    pid_t pid = -1;  ///< A child of this process: it may be waited for.
    std::filesystem::path log;
};

/// Runs `/proc/self/exe` with these arguments in `working_folder`. Its standard output and error
/// are the file `.tapps-agents/engines/<name>.log`; it inherits no other descriptor. A failed
/// `exec` is an error.
DetachedProcess start_detached(const std::filesystem::path& project_root,
                               const std::filesystem::path& working_folder, const std::string& name,
                               const std::vector<std::string>& arguments, error_code& ec);

/// The same with a descriptor as its standard output and error.
error_code spawn_detached(const std::filesystem::path& working_folder, int output,
                          const std::vector<std::string>& arguments, pid_t& pid);

/// The file in that folder to which this process prints; empty: none.
std::string log_of_this_process(const std::filesystem::path& project_root);

/// Removes all but the newest logs of processes that have ended long ago.
void sweep_engine_logs(const std::filesystem::path& project_root);

}  // namespace autoexec::queue
