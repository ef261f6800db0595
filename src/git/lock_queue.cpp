#include "git/lock_queue.hpp"

#include "text/text.hpp"

#include <boost/asio/this_coro.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace autoexec::git {
namespace {

// Varies by process, so that two processes do not retry in step.
std::chrono::milliseconds pause_before_try(unsigned tries)
{
    constexpr unsigned min_pause = 10;
    constexpr unsigned spread = 16;
    return std::chrono::milliseconds(min_pause +
                                     (tries * 7 + static_cast<unsigned>(::getpid())) % spread);
}

}  // namespace

asio::awaitable<std::string> LockQueue::acquire(std::shared_ptr<const Interrupt> interrupt)
{
    const auto ex = co_await asio::this_coro::executor;
    auto turn = std::make_unique<Turn>(queue_, clock_->make_timer(ex));
    co_await turn->slot.admission();
    auto problem = open();
    const auto begin = clock_->now();
    const auto deadline = begin + timeout_;
    unsigned tries = 0;
    while (problem.empty() && ::flock(held_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            problem = fmt::format("{} cannot be locked: {}.", file_.string(),
                                  files::last_error().message());
        } else if (clock_->now() >= interrupt->end_of(begin)) {
            problem =
                fmt::format("The wait for {} ended: the operation was cancelled.", file_.string());
        } else if (clock_->now() >= deadline) {
            problem = fmt::format("Another process has held {} for {}.", file_.string(),
                                  text::format_duration(timeout_));
        } else {
            co_await turn->alarm->wait_until(clock_->now() + pause_before_try(tries++));
        }
    }
    if (problem.empty()) turn_ = std::move(turn);
    co_return problem;
}

void LockQueue::release()
{
    ::flock(held_.get(), LOCK_UN);  // also for copies of the descriptor
    held_ = files::UniqueFd();
    turn_.reset();
}

std::string LockQueue::open()
{
    error_code ec;
    const auto folder = files::make_folders(file_.parent_path(), ec);
    if (!ec) {
        held_ = files::UniqueFd(::openat(folder.get(), file_.filename().c_str(),
                                         O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!held_) ec = files::last_error();
    }
    if (!ec) return {};
    return fmt::format("{} cannot be opened: {}.", file_.string(), ec.message());
}

}  // namespace autoexec::git
