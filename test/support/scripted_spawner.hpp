#pragma once

#include "async/short_names.hpp"
#include "autoexec/ports.hpp"

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::test {

/// A program that does what the test says. It runs until `exit` or, unless it is deaf, until it is
/// stopped.
struct ScriptedProgram {
    explicit ScriptedProgram(ProcessSpec s) : spec(std::move(s)) {}

    void print(std::string_view text, OutputStream stream = OutputStream::standard_output);
    void exit(int code);
    void die(int signal);
    void finish(ProcessExit e);

    ProcessSpec spec;
    std::function<void(OutputStream, std::string_view)> output;
    std::string input;                               ///< What was written to it.
    std::function<void(std::string_view)> on_input;  ///< At each write.
    bool input_closed = false;
    std::optional<ProcessExit> ended;
    asio::steady_timer* waiter = nullptr;  // while there is a process
    int stops = 0;
    bool deaf = false;
};

/// Starts nothing. Single-threaded.
struct ScriptedSpawner final : Spawner {
    std::vector<std::shared_ptr<ScriptedProgram>> programs;  ///< All that were started.
    std::function<void(ScriptedProgram&)> on_wait;           ///< At the start of each.
    error_code refusal;                                      ///< Set: nothing can be started.
    bool lacks_memory = false;                               ///< Each start throws.

    ScriptedProgram& last() { return *programs.back(); }

    [[nodiscard]] std::size_t running() const;

    std::unique_ptr<Process> spawn(const asio::any_io_executor& ex, const ProcessSpec& spec,
                                   error_code& ec, std::string& why) override;
};

}  // namespace autoexec::test
