#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace autoexec::async {

/// Runs `work` on `strand` to its end: a cancellation of the caller does not reach it.
template <class T>
boost::asio::awaitable<T> uncancellable(boost::asio::strand<boost::asio::any_io_executor> strand,
                                        boost::asio::awaitable<T> work)
{
    auto operation =
        boost::asio::co_spawn(strand, std::move(work),
                              boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot{},
                                                                  boost::asio::use_awaitable));
    co_return co_await std::move(operation);
}

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
