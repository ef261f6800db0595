#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <utility>

namespace autoexec::async {

/// While alive, calls a function when a coroutine is cancelled. `slot` is that of the coroutine's
/// cancellation state; operations that the coroutine awaits meanwhile must have another one.
class OnCancel {
public:
    template <class Function>
    OnCancel(boost::asio::cancellation_slot slot, Function function) : slot_(slot)
    {
        if (slot_.is_connected()) slot_.assign(std::move(function));
    }
    ~OnCancel() { slot_.clear(); }
    OnCancel(const OnCancel&) = delete;
    OnCancel& operator=(const OnCancel&) = delete;

private:
    boost::asio::cancellation_slot slot_;
};

}  // namespace autoexec::async
