#pragma once

#include "autoexec/event_sink.hpp"
#include "cli/session/screen.hpp"

#include <filesystem>

namespace autoexec::cli {

/// Tells the user of a run without an agent of its own that no agent claims its commands. Once,
/// until an agent has reported.
class UnclaimedNotice final : public EventSink {
public:
    /// The screen must outlive it.
    UnclaimedNotice(Screen& screen, std::filesystem::path root);

    void publish(const Event& event) override;

private:
    Screen& screen_;
    std::filesystem::path root_;
    bool shown_ = false;
};

}  // namespace autoexec::cli
