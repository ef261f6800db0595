#pragma once

#include "async/short_names.hpp"
#include "autoexec/spawner.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>

namespace autoexec::inline v1 {

/// A supervisor that was just started, and this process's ends of its connections.
struct SupervisorLink {
    pid_t pid = 0;
    std::string program;  ///< For messages.
    std::chrono::milliseconds stop_grace{0};
    asio::posix::stream_descriptor output;
    asio::posix::stream_descriptor error;
    asio::posix::stream_descriptor control;
    /// Open only if the program is interactive. A socket, not a pipe: writing to a program that has
    /// ended must not raise SIGPIPE in the host.
    asio::posix::stream_descriptor input;
};

std::unique_ptr<Process> make_supervised_process(SupervisorLink link);

}  // namespace autoexec::inline v1
