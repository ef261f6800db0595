#pragma once

#include "autoexec/error.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <new>
#include <utility>

/// Operations for any completion token, implemented as a coroutine on an internal strand.
namespace autoexec::async {

namespace asio = boost::asio;

using Strand = asio::strand<asio::any_io_executor>;

/// The result of an operation.
template <class Result>
struct OperationResult {
    error_code ec;
    Result result;
};

/// Passes cancellation from the caller's slot to the strand. The slot holds a weak reference: its
/// signal may be emitted on any thread, and may outlive the operation or the io_context.
struct Relay {
    explicit Relay(asio::any_io_executor s) : strand(std::move(s)) {}

    asio::any_io_executor strand;
    asio::cancellation_signal signal;
};

inline std::shared_ptr<Relay> relay_from(asio::cancellation_slot slot,
                                         const asio::any_io_executor& strand)
{
    auto relay = std::make_shared<Relay>(strand);
    if (!slot.is_connected()) return relay;
    slot.assign([weak = std::weak_ptr(relay)](asio::cancellation_type type) {
        const auto r = weak.lock();
        if (r) asio::dispatch(r->strand, [r, type] { r->signal.emit(type); });
    });
    return relay;
}

/// Any exception except a lack of memory is a bug, and rethrown.
inline error_code error_of(std::exception_ptr failure)
{
    try {
        std::rethrow_exception(std::move(failure));
    } catch (const std::bad_alloc&) {
        return errc::no_resources;
    }
}

/// Runs work that returns an `OperationResult` or, without a result, an `error_code`. The handler
/// is posted; called on the strand, it could block all other operations.
template <class Outcome, class Handler>
void launch(const Strand& strand, asio::awaitable<Outcome> work, Handler handler)
{
    // Each conversion to it allocates, a copy of it does not.
    const asio::any_io_executor on_strand(strand);
    const auto relay = relay_from(asio::get_associated_cancellation_slot(handler), on_strand);
    const auto ex = strand.get_inner_executor();
    auto guard = asio::make_work_guard(asio::get_associated_executor(handler, ex));
    auto finish = [h = std::move(handler), g = std::move(guard), relay, ex](
                      std::exception_ptr failure, Outcome outcome) mutable {
        if constexpr (std::same_as<Outcome, error_code>) {
            if (failure) outcome = error_of(std::move(failure));
            asio::post(ex, asio::append(std::move(h), outcome));
        } else {
            if (failure) outcome.ec = error_of(std::move(failure));
            asio::post(ex, asio::append(std::move(h), outcome.ec, std::move(outcome.result)));
        }
    };
    asio::co_spawn(on_strand, std::move(work),
                   asio::bind_cancellation_slot(relay->signal.slot(), std::move(finish)));
}

/// For `launch`: work that cannot fail.
inline asio::awaitable<error_code> no_error(asio::awaitable<void> work)
{
    co_await std::move(work);
    co_return error_code{};
}

/// For `launch`: work that throws `system_error`.
template <class Result>
asio::awaitable<OperationResult<Result>> caught(asio::awaitable<Result> work)
{
    OperationResult<Result> outcome{};
    try {
        outcome.result = co_await std::move(work);
    } catch (const system_error& e) {
        outcome.ec = e.code();
    }
    co_return outcome;
}

/// The same as an awaitable that throws errors, with `sentence_of(result)` in `what()`. `work`
/// refers only to its own arguments, so its caller may be destroyed. The calling coroutine's
/// cancellation state is not changed.
template <class Result, class Sentence>
asio::awaitable<Result> unwrap(Strand strand, asio::awaitable<OperationResult<Result>> work,
                               Sentence sentence_of)
{
    constexpr auto token = asio::as_tuple(asio::use_awaitable);
    const auto initiate = [](auto handler, Strand s, asio::awaitable<OperationResult<Result>> w) {
        launch(s, std::move(w), std::move(handler));
    };
    auto operation = asio::async_initiate<decltype(token), void(error_code, Result)>(
        initiate, token, std::move(strand), std::move(work));
    auto [ec, result] = co_await std::move(operation);
    if (ec) throw system_error(ec, sentence_of(result));
    co_return std::move(result);
}

}  // namespace autoexec::async
