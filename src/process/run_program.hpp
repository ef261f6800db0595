#pragma once

#include "autoexec/spawner.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::process {

struct ProgramOutput {
    ProcessExit exit;
    std::string output;  ///< Standard output, at most 1 MiB unless told otherwise.
    std::string errors;  ///< Standard error, at most 64 KiB.
    bool cut = false;    ///< There was more on standard output.

    [[nodiscard]] bool ok() const noexcept { return exit.exit_code == 0; }
};

/// Runs a program to its end with this process's environment. Failures to start stand in
/// `exit.error`.
asio::awaitable<ProgramOutput> run_program(std::shared_ptr<Spawner> spawner,
                                           std::vector<std::string> argv,
                                           std::filesystem::path directory);

/// Gets the program when it has started, to stop it early.
using OnStart = std::function<void(std::weak_ptr<Process>)>;

/// The same with an environment of the caller's own; `max_output` bytes are kept.
asio::awaitable<ProgramOutput> run_program(std::shared_ptr<Spawner> spawner, ProcessSpec spec,
                                           std::size_t max_output, OnStart on_start = {});

/// This process's environment as `NAME=value`, without the variables by which git would take
/// another repository than the one it stands in.
std::vector<std::string> inherited_environment();

}  // namespace autoexec::process
