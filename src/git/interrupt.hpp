#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"

#include <boost/asio/cancellation_type.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

namespace autoexec::git {

/// How long each call may still run after its operation is cancelled.
constexpr std::chrono::seconds cancel_grace{10};

/// Ends git calls before their own time limit. A cancellable operation owns one and shares it with
/// `Git`. Thread safety: none; one strand.
class Interrupt {
public:
    /// Applies a cancellation: `terminal` ends all calls at once. Other types give each call
    /// `cancel_grace`; the first call that needs more ends all.
    void cancel(const Clock& clock, asio::cancellation_type type)
    {
        const bool at_once =
            (type & asio::cancellation_type::terminal) != asio::cancellation_type::none;
        if (at_once) return end_by(clock.now());
        if (cancelled_) return;
        cancelled_ = clock.now();
        wake_all();
    }

    /// Running calls are stopped at that time, and none starts after it. A time later than the
    /// current one is ignored.
    void end_by(time_point time)
    {
        if (time >= time_) return;
        time_ = time;
        wake_all();
    }

    [[nodiscard]] time_point time() const noexcept { return time_; }

    [[nodiscard]] bool is_requested() const noexcept
    {
        return cancelled_ || time_ != time_point::max();
    }

    /// When a call that began at `began` must have ended.
    [[nodiscard]] time_point end_of(time_point began) const noexcept
    {
        if (!cancelled_) return time_;
        return std::min(time_, std::max(began, *cancelled_) + cancel_grace);
    }

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
    void wake_all()
    {
        for (auto* const alarm : alarms_) alarm->wake();
    }

    time_point time_ = time_point::max();
    std::optional<time_point> cancelled_;  ///< When each call gets the grace.
    std::set<Timer*> alarms_;
};

}  // namespace autoexec::git
