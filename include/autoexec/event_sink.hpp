#pragma once

#include <autoexec/event.hpp>

#include <boost/asio/awaitable.hpp>

namespace autoexec::inline v1 {

/// Where events go: the writers, the terminal, an application's own.
///
/// Thread safety: `publish` and `flush` are called from one strand of the executor that the sink
/// is given to; a sink given to several executors must be safe to call concurrently.
class EventSink {
public:
    virtual ~EventSink() = default;

    /// Takes the event. Neither blocks nor throws.
    virtual void publish(const Event& event) = 0;

    /// True when `flush` should be awaited before more is published.
    virtual bool full() const noexcept { return false; }

    /// Completes when all that was published is as durable as the sink was asked to make it.
    virtual boost::asio::awaitable<error_code> flush() { co_return error_code{}; }

    /// What is not written after a `flush` that failed, or a stop.
    [[nodiscard]] virtual UnwrittenRecords unwritten() const { return {}; }
};

}  // namespace autoexec::inline v1
