#pragma once

#include "autoexec/clock.hpp"

#include <boost/asio/cancellation_type.hpp>

#include <chrono>
#include <optional>
#include <set>

namespace autoexec::git {

/// What each call gets to end by itself when its operation is cancelled.
constexpr std::chrono::seconds cancel_grace{10};

/// Ends calls of git before their own limit: an operation that can be cancelled owns one and shares
/// it with the caller of git. Thread safety: none; one strand.
class Interrupt {
public:
    /// As a cancellation of this type asks for: `terminal` ends all calls at once. Others give each
    /// call `cancel_grace`, and the first one that needs more ends all.
    void cancel(const Clock& clock, asio::cancellation_type type);

    /// Calls under way are stopped at that time, and none begins after it. The time is only ever
    /// brought forward: a later one than before changes nothing.
    void end_by(time_point time);

    [[nodiscard]] time_point time() const noexcept { return time_; }

    [[nodiscard]] bool is_requested() const noexcept
    {
        return cancelled_ || time_ != time_point::max();
    }

    /// When a call that began at that time must have ended.
    [[nodiscard]] time_point end_of(time_point began) const noexcept;

    /// Wakes `alarm` when the time changes, while this lives.
    class Registration {
    public:
        Registration(Interrupt& interrupt, Timer& alarm) : interrupt_(interrupt), alarm_(&alarm)
        {
            interrupt_.alarms_.insert(alarm_);
        }
        ~Registration() { interrupt_.alarms_.erase(alarm_); }
        Registration(const Registration&) = delete;
        Registration& operator=(const Registration&) = delete;

    private:
        Interrupt& interrupt_;
        Timer* alarm_;
    };

private:
    void wake_all();

    time_point time_ = time_point::max();
    std::optional<time_point> cancelled_;  ///< With the grace.
    std::set<Timer*> alarms_;
};

}  // namespace autoexec::git
