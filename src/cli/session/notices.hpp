#pragma once

#include "autoexec/command.hpp"
#include "autoexec/event_sink.hpp"

#include <filesystem>
#include <memory>
#include <string>

/// What a session tells about the agents of its commands.
namespace autoexec::cli {

/// Checks the log of a command that has just ended, in `<root>/.tapps-agents/output`. Returns a
/// message if the command has printed something and the log of its last attempt is missing, empty
/// or behind a link; else an empty string.
std::string lost_output(const std::filesystem::path& root, const ExecutionResult& result);

/// Prints a message if no external agent claims the commands of a run. Once, until an agent has
/// reported.
class UnclaimedNotice final : public EventSink {
public:
    explicit UnclaimedNotice(std::filesystem::path root) : root_(std::move(root)) {}

    void publish(const Event& event) override;

private:
    std::filesystem::path root_;
    bool shown_ = false;
};

/// Prints why commands do not start, and that they start again.
std::shared_ptr<EventSink> pause_notice();

}  // namespace autoexec::cli
