#pragma once

#include "autoexec/event_sink.hpp"

#include <filesystem>

namespace autoexec::cli {

/// Prints a message if no external agent claims the commands of a run. Once, until an agent has
/// reported.
class UnclaimedNotice final : public EventSink {
public:
    explicit UnclaimedNotice(std::filesystem::path root);

    void publish(const Event& event) override;

private:
    std::filesystem::path root_;
    bool shown_ = false;
};

}  // namespace autoexec::cli
