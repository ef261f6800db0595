#include "git/interrupt.hpp"

#include <algorithm>

namespace autoexec::git {

void Interrupt::cancel(const Clock& clock, asio::cancellation_type type)
{
    const bool at_once =
        (type & asio::cancellation_type::terminal) != asio::cancellation_type::none;
    if (at_once) return end_by(clock.now());
    if (cancelled_) return;
    cancelled_ = clock.now();
    wake_all();
}

void Interrupt::end_by(time_point time)
{
    if (time >= time_) return;
    time_ = time;
    wake_all();
}

time_point Interrupt::end_of(time_point began) const noexcept
{
    if (!cancelled_) return time_;
    return std::min(time_, std::max(began, *cancelled_) + cancel_grace);
}

void Interrupt::wake_all()
{
    for (auto* const alarm : alarms_) alarm->wake();
}

}  // namespace autoexec::git
