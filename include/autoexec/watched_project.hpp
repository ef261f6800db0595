#pragma once

#include <autoexec/detail/initiation.hpp>
#include <autoexec/error.hpp>
#include <autoexec/ports.hpp>
#include <autoexec/view.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <memory>
#include <utility>

namespace autoexec::inline v1 {

/// How a `WatchedProject` learns of changes.
struct WatchedProjectOptions : ProjectReaderOptions {
    /// Between two looks at all files, while an operation waits.
    std::chrono::milliseconds interval = std::chrono::seconds{1};

    // Null: the real ones.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< For events, as hints to look earlier.
};

/// A `ProjectReader` that waits for changes.
///
/// File events name what has changed, and only that is looked at, within milliseconds. Besides, all
/// files are looked at again and again, since events may be lost, and some places have none: see
/// `file_notifier`. A quarter of the watches that the system grants to a user are used at most; in
/// worktrees beyond that, and wherever there are no events, changes are seen up to `interval`
/// later, and the time that a look at everything takes.
///
/// The files are read on the object's strand, in parts of about 2 ms with pauses between them, so
/// that very many changes take no more than a few per cent of a processor.
///
/// Executor: all state is touched from one strand of the given executor.
///
/// Thread safety: all functions may be called from any thread, except the destructor.
///
/// Lifetime: destroying it ends operations that wait, with `operation_aborted`. A second after the
/// last one has ended, nothing is watched any more, and `io_context::run` returns.
class WatchedProject {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    explicit WatchedProject(executor_type ex, WatchedProjectOptions options = {});
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit WatchedProject(ExecutionContext& context, WatchedProjectOptions options = {})
        : WatchedProject(executor_type(context.get_executor()), std::move(options))
    {}
    ~WatchedProject();
    WatchedProject(const WatchedProject&) = delete;
    WatchedProject& operator=(const WatchedProject&) = delete;

    /// Completes when something has changed since a position, at once if it has already. An empty
    /// position gets the whole state.
    ///
    /// Signature: `void(error_code, ProjectChanges)`.
    ///
    /// Errors: `operation_aborted` after a cancellation or destruction; `errc::no_resources` if
    /// memory has run out.
    ///
    /// Executor: the handler is posted to its associated executor, by default `get_executor()`.
    ///
    /// Thread safety: may be started on any thread. Several may wait, each from its own position.
    ///
    /// Cancellation: all types complete at once. Nothing is lost: wait again from that position.
    template <boost::asio::completion_token_for<void(error_code, ProjectChanges)> Token =
                  boost::asio::deferred_t>
    auto async_wait_change(ViewPosition since, Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, ProjectChanges)>(
            detail::Initiation(get_executor(), impl_, &start_wait), token, since);
    }

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept;

private:
    struct Impl;
    static void start_wait(std::shared_ptr<Impl> impl, ViewPosition since,
                           boost::asio::any_completion_handler<void(error_code, ProjectChanges)>);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
