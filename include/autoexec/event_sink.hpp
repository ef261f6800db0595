#pragma once

#include <autoexec/event.hpp>

#include <boost/asio/awaitable.hpp>

namespace autoexec::inline v1 {

/// Receives events: the writers of records, the terminal, sinks of an application.
///
/// Thread safety: `publish` and `flush` are called from one strand of the executor that the sink
/// is given to; a sink given to several executors must be safe to call concurrently.
class EventSink {
public:
    virtual ~EventSink() = default;

    /// Takes the event. Neither blocks nor throws.
    virtual void publish(const Event& event) = 0;

    /// True if `flush` should be awaited before more events are published.
    virtual bool full() const noexcept { return false; }

    /// Completes when all published events are as durable as the sink's options require.
    virtual boost::asio::awaitable<error_code> flush() { co_return error_code{}; }

    /// The records that are not written after a failed `flush`, or a stop.
    [[nodiscard]] virtual UnwrittenRecords unwritten() const { return {}; }
};

}  // namespace autoexec::inline v1
