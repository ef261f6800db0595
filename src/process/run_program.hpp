#pragma once

#include "async/short_names.hpp"
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
    std::string output;  ///< Standard output; by default at most 1 MiB.
    std::string errors;  ///< Standard error, at most 64 KiB.
    bool cut = false;    ///< Standard output was longer.

    [[nodiscard]] bool ok() const noexcept { return exit.exit_code == 0; }
};

/// Runs a program to its end with this process's environment. `exit.error` is set if it cannot be
/// started.
asio::awaitable<ProgramOutput> run_program(std::shared_ptr<Spawner> spawner,
                                           std::vector<std::string> argv,
                                           std::filesystem::path directory);

/// Called with the started program, which allows stopping it early.
using OnStart = std::function<void(std::weak_ptr<Process>)>;

/// The same with the caller's environment; `max_output` bytes are kept.
asio::awaitable<ProgramOutput> run_program(std::shared_ptr<Spawner> spawner, ProcessSpec spec,
                                           std::size_t max_output, OnStart on_start = {});

/// Checks that the system can pass these arguments to a program. If one is too long or contains a
/// NUL character, `why` is set to a sentence.
error_code check_arguments(const std::vector<std::string>& argv, std::string& why);

/// This process's environment as `NAME=value`, without the variables that redirect git to another
/// repository.
std::vector<std::string> inherited_environment();

}  // namespace autoexec::process
