#include "git/call_limit.hpp"

#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::array<std::string_view, 14> reading = {
    "cat-file",   "check-ref-format", "config", "diff-tree", "for-each-ref", "ls-files", "ls-tree",
    "merge-base", "rev-list",         "show",   "rev-parse", "status",       "var",      "version",
};

}  // namespace

std::string_view subcommand_of(const std::vector<std::string>& words)
{
    for (auto word = words.begin(); word != words.end(); ++word) {
        if (!word->starts_with('-')) return *word;
        const bool has_value = *word == "-c";
        if (has_value && ++word == words.end()) break;
    }
    return {};
}

std::chrono::milliseconds limit_of(std::string_view subcommand)
{
    const bool reads = std::find(reading.begin(), reading.end(), subcommand) != reading.end();
    return reads ? reading_limit : writing_limit;
}

CallLimit::CallLimit(std::string call, std::chrono::milliseconds limit,
                     std::shared_ptr<Clock> clock, std::shared_ptr<Interrupt> interrupt)
    : call_(std::move(call)),
      limit_(limit),
      clock_(std::move(clock)),
      interrupt_(std::move(interrupt))
{}

bool CallLimit::is_interrupted() const
{
    return clock_->now() >= interrupt_->time();
}

void CallLimit::refuse()
{
    problem_ = fmt::format("'{}' was not started: the operation was cancelled", call_);
}

void CallLimit::watch(const asio::any_io_executor& ex, std::weak_ptr<Process> process)
{
    alarm_ = clock_->make_timer(ex);
    asio::co_spawn(ex, stop_in_time(shared_from_this(), std::move(process)), asio::detached);
}

void CallLimit::call_ended()
{
    has_ended_ = true;
    if (alarm_) alarm_->wake();  // null if the program could not be started
}

void CallLimit::stop_call(bool limit_reached)
{
    if (limit_reached) {
        problem_ = fmt::format(
            "'{}' did not end within {} and was stopped. Check for a filter program or disk that "
            "hangs, and for very large files",
            call_, text::format_duration(limit_));
        return;
    }
    problem_ = fmt::format("'{}' was stopped: the operation was cancelled", call_);
    interrupt_->end_by(clock_->now());
}

asio::awaitable<void> CallLimit::stop_in_time(std::shared_ptr<CallLimit> self,
                                              std::weak_ptr<Process> process)
{
    const auto began = self->clock_->now();
    const auto limit = began + self->limit_;
    const Interrupt::Registration registration(*self->interrupt_, *self->alarm_);
    while (!self->has_ended_) {
        const auto end = std::min(limit, self->interrupt_->end_of(began));
        if (self->clock_->now() < end) {
            co_await self->alarm_->wait_until(end);
            continue;
        }
        self->stop_call(end == limit);
        if (const auto running = process.lock()) running->stop();
        co_return;
    }
}

}  // namespace autoexec::git
