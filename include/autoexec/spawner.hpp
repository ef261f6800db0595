#pragma once

#include <autoexec/error.hpp>
#include <autoexec/process.hpp>
#include <autoexec/question.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::inline v1 {

/// A running program. Use it on the executor that it was made for. Destroying it stops the
/// program and all its descendants without waiting.
class Process {
public:
    virtual ~Process() = default;

    /// Completes when the program and all its descendants have ended and the output is drained.
    /// Calls `output` for each chunk. Called once. Ignores cancellation: use `stop`.
    virtual boost::asio::awaitable<ProcessExit> wait(
        std::function<void(OutputStream, std::string_view)> output) = 0;

    /// `report` is called when the program reports how far it is; set before `wait`. By default
    /// never: then the status shows the last line of the output.
    virtual void on_progress(std::function<void(Progress)> report) { (void)report; }

    /// `report` is called when the program asks a person, and with nullopt when it no longer does;
    /// set before `wait`. A question has an id that no earlier one had. By default never.
    virtual void on_question(std::function<void(std::optional<Question>)> report) { (void)report; }

    /// Answers the question that was reported last.
    virtual void answer(const Answer& answer) { (void)answer; }

    /// Appends to the standard input of an `interactive` program, without waiting for it. If more
    /// than 64 MiB wait to be read, or if the program no longer reads, the input is closed.
    virtual void write(std::string text) { (void)text; }

    /// Closes the standard input after what was written.
    virtual void close_input() {}

    /// Sends TERM to all processes, and KILL after the grace period. Idempotent.
    virtual void stop() noexcept = 0;

    /// The process id of the supervisor.
    virtual std::int64_t pid() const noexcept = 0;
};

/// Starts programs. Tests replace it.
class Spawner {
public:
    virtual ~Spawner() = default;

    /// Starts a program. On failure `ec` is set and `why` gets a message for a person.
    virtual std::unique_ptr<Process> spawn(const boost::asio::any_io_executor& ex,
                                           const ProcessSpec& spec, error_code& ec,
                                           std::string& why) = 0;
};

/// Starts programs below `autoexec-supervise`, which is opened here: a later change of the
/// effective user, or an upgrade that replaces the file, has no effect. An empty path: searched for
/// beside the running program and in `../libexec/autoexec` from there, then beside a shared
/// library and where it is installed with one, then where the library was configured to be
/// installed, and finally where the CMake target `autoexec::autoexec` had it when the application
/// was built.
///
/// `max_open_files`: the soft limit of open files of the programs, if it is lower than that of this
/// process, which may have raised its own: some programs count on the usual one.
std::shared_ptr<Spawner> supervised_spawner(std::filesystem::path supervisor = {},
                                            std::optional<std::uint64_t> max_open_files = {});

}  // namespace autoexec::inline v1

#ifdef AUTOEXEC_SUPERVISOR
// Defined by the CMake target where the library cannot know the place. The library refers to it
// weakly, so it must be in each program, used or not.
extern "C" [[gnu::used, gnu::visibility("default")]] inline const char*
autoexec_packaged_supervisor() noexcept
{
    return AUTOEXEC_SUPERVISOR;
}
#endif
