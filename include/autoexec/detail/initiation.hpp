#pragma once

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <utility>

/// Not part of the interface.
namespace autoexec::inline v1::detail {

/// Starts an operation when a completion token has made a handler. Its executor runs a handler
/// that has no executor of its own; adapters ask for it.
template <class Impl, class... Args>
class Initiation {
public:
    using executor_type = boost::asio::any_io_executor;
    using Start = void (*)(std::shared_ptr<Impl>, Args...);

    Initiation(executor_type ex, std::shared_ptr<Impl> impl, Start start)
        : ex_(std::move(ex)), impl_(std::move(impl)), start_(start)
    {}

    [[nodiscard]] executor_type get_executor() const noexcept { return ex_; }

    template <class Handler, class... Values>
    void operator()(Handler&& handler, Values&&... values) const
    {
        start_(impl_, std::forward<Values>(values)..., std::forward<Handler>(handler));
    }

private:
    executor_type ex_;
    std::shared_ptr<Impl> impl_;
    Start start_;
};

}  // namespace autoexec::inline v1::detail
