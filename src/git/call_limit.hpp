#pragma once

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

/// How long a call may take. Both are far above what git needs, even on a slow disk: a call that
/// reaches them hangs.
constexpr std::chrono::minutes reading_limit{2};   ///< What only reads: `status`, `ls-files` …
constexpr std::chrono::minutes writing_limit{10};  ///< What writes: `add`, `worktree add` …

/// The subcommand among the words of a call; empty if there is none.
std::string_view subcommand_of(const std::vector<std::string>& words);

std::chrono::milliseconds limit_of(std::string_view subcommand);

/// Stops one call when its limit or the interrupt's time has come. Owned by the caller and by the
/// coroutine that waits.
class CallLimit : public std::enable_shared_from_this<CallLimit> {
public:
    CallLimit(std::string call, std::chrono::milliseconds limit, std::shared_ptr<Clock> clock,
              std::shared_ptr<Interrupt> interrupt);

    /// From now on; `call_ended` must follow.
    void watch(const asio::any_io_executor& ex, std::weak_ptr<Process> process);
    void call_ended();

    /// Whether no call may begin any more.
    [[nodiscard]] bool is_interrupted() const;

    /// Why the call was stopped, or was not begun; empty if it was not.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
    void refuse();

private:
    void give_up(bool limit_reached);
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
