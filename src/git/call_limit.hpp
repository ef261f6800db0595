#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "autoexec/spawner.hpp"
#include "git/interrupt.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// Time limits of calls, far above what git needs even on a slow disk: a call that reaches its
/// limit hangs.
constexpr std::chrono::minutes reading_limit{
    2};  ///< For calls that only read: `status`, `ls-files` …
constexpr std::chrono::minutes writing_limit{
    10};  ///< For calls that write: `add`, `worktree add` …

/// The subcommand among the arguments of a call; empty if there is none.
std::string_view subcommand_of(const std::vector<std::string>& words);

std::chrono::milliseconds limit_of(std::string_view subcommand);

/// Stops one call at its time limit or when the interrupt demands it. Shared by the caller and the
/// coroutine that waits.
class CallLimit : public std::enable_shared_from_this<CallLimit> {
public:
    CallLimit(std::string call, std::chrono::milliseconds limit, std::shared_ptr<Clock> clock,
              std::shared_ptr<Interrupt> interrupt);

    /// Starts the time limit. `call_ended` must follow.
    void watch(const asio::any_io_executor& ex, std::weak_ptr<Process> process);
    void call_ended();

    /// True if no further call may start.
    [[nodiscard]] bool is_interrupted() const;

    /// Why the call was stopped or not started; empty if neither.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
    void refuse();

private:
    void stop_call(bool limit_reached);
    static asio::awaitable<void> stop_in_time(std::shared_ptr<CallLimit> self,
                                              std::weak_ptr<Process> process);

    std::string call_;
    std::chrono::milliseconds limit_;
    std::shared_ptr<Clock> clock_;
    std::shared_ptr<Interrupt> interrupt_;
    std::unique_ptr<Timer> alarm_;
    bool has_ended_ = false;
    std::string problem_;
};

}  // namespace autoexec::git
