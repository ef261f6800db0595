#include "process/supervised_process.hpp"

#include "process/control.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {
namespace {

using asio::posix::stream_descriptor;
using Output = std::function<void(OutputStream, std::string_view)>;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t chunk = 64 * 1024;
// A program that writes line by line does not wake its reader for each line: after two small reads
// in this time, the next one waits for the rest of it.
constexpr std::chrono::milliseconds between_small_reads{50};
constexpr std::chrono::milliseconds timer_delay{5};
constexpr std::size_t small_read = 4096;  // what is buffered in a program comes in blocks of it
constexpr std::size_t max_unread_input = 64 * 1024 * 1024;

// Missing in older headers.
constexpr auto by_pidfd = static_cast<idtype_t>(3);

/// One supervised run. Shared by the `Process`, the coroutine that waits for it and the handler
/// that reaps it: any of them may be the last.
class Supervision : public std::enable_shared_from_this<Supervision> {
public:
    explicit Supervision(SupervisorLink link)
        : link_(std::move(link)),
          pidfd_(link_.control.get_executor()),
          guard_(pidfd_.get_executor()),
          output_pause_(pidfd_.get_executor()),
          error_pause_(pidfd_.get_executor())
    {
        // Fails if the supervisor is already reaped: SIGCHLD may be ignored here.
        const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, link_.pid, 0));
        error_code ec;
        if (fd >= 0) pidfd_.assign(fd, ec);
        if (ec) ::close(fd);
    }
    ~Supervision() { try_reap(); }
    Supervision(const Supervision&) = delete;
    Supervision& operator=(const Supervision&) = delete;

    asio::awaitable<ProcessExit> wait(Output output)
    {
        return asio::co_spawn(pidfd_.get_executor(), run(shared_from_this(), std::move(output)),
                              asio::use_awaitable);
    }

    void stop()
    {
        if (std::exchange(stop_sent_, true) || ended_) return;
        // A program can suspend its supervisor; this resumes it.
        signal_supervisor(SIGCONT);
        const control::Message message;
        (void)::send(link_.control.native_handle(), &message, sizeof message,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
        kill_supervisor_when_late();
    }

    void write(std::string_view text)
    {
        if (!link_.input.is_open() || closes_input_) return;
        unread_.append(text);
        if (unread_.size() - sent_ > max_unread_input)
            drop_input();
        else if (!waits_to_write_)
            write_next();
    }

    void close_input()
    {
        closes_input_ = true;
        if (unread_.empty()) drop_input();
    }

    // Output is no longer reported, but a pending wait completes.
    void abandon()
    {
        abandoned_ = true;
        if (!ended_) signal_supervisor(SIGCONT);
        error_code ignored;
        guard_.cancel();
        drop_input();
        link_.control.close(ignored);
        if (!try_reap())
            pidfd_.async_wait(stream_descriptor::wait_read,
                              [self = shared_from_this()](error_code) { self->try_reap(); });
    }

    pid_t pid() const { return link_.pid; }

private:
    static asio::awaitable<ProcessExit> run(std::shared_ptr<Supervision> self, Output output)
    {
        using namespace asio::experimental::awaitable_operators;
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await (self->follow() &&
                  self->pump(self->link_.output, self->output_pause_, OutputStream::standard_output,
                             output) &&
                  self->pump(self->link_.error, self->error_pause_, OutputStream::standard_error,
                             output));
        self->drain(self->link_.output, OutputStream::standard_output, output);
        self->drain(self->link_.error, OutputStream::standard_error, output);
        while (!self->try_reap())
            co_await self->pidfd_.async_wait(stream_descriptor::wait_read, as_result);
        co_return self->exit_;
    }

    // Reads the supervisor's messages to the last one.
    asio::awaitable<void> follow()
    {
        while (!ended_) {
            const auto [ec] =
                co_await link_.control.async_wait(stream_descriptor::wait_read, as_result);
            read_message(ec);
        }
        // Another process may keep the other end of a pipe open forever.
        guard_.cancel();
        drop_input();
        link_.output.cancel();
        link_.error.cancel();
        output_pause_.cancel();
        error_pause_.cancel();
    }

    // By hand: what writes to a descriptor raises SIGPIPE if the program has ended.
    void write_next()
    {
        while (!unread_.empty()) {
            const auto sent = ::send(link_.input.native_handle(), unread_.data() + sent_,
                                     unread_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent >= 0) {
                sent_ += static_cast<std::size_t>(sent);
                if (sent_ < unread_.size()) continue;
                unread_.clear();
                sent_ = 0;
            } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return wait_to_write();
            } else if (errno != EINTR) {
                return drop_input();  // it no longer reads
            }
        }
        if (closes_input_) drop_input();
    }

    void wait_to_write()
    {
        waits_to_write_ = true;
        link_.input.async_wait(stream_descriptor::wait_write,
                               [self = shared_from_this()](error_code ec) {
                                   self->waits_to_write_ = false;
                                   if (!ec) self->write_next();
                               });
    }

    void drop_input()
    {
        error_code ignored;
        link_.input.close(ignored);
        unread_.clear();
        sent_ = 0;
    }

    void read_message(error_code ec)
    {
        if (ec) return lose("The wait for it was ended early.");
        control::Message message;
        const auto size =
            ::recv(link_.control.native_handle(), &message, sizeof message, MSG_DONTWAIT);
        // A supervisor that ended without reading the stop message resets the socket; its own
        // messages are still readable.
        if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET)) return;
        if (size != sizeof message)
            return lose(
                fmt::format("The supervisor of \"{}\" (process {}) was killed: the program's "
                            "result is unknown, and its processes may still be running.",
                            link_.program, link_.pid));
        apply(message);
    }

    void lose(std::string why)
    {
        exit_.error = std::move(why);
        ended_ = true;
    }

    void apply(const control::Message& message)
    {
        switch (message.kind) {
            case control::Kind::stop:
                return;
            case control::Kind::not_started:
                exit_.reason = error_code(message.value, boost::system::system_category());
                exit_.error =
                    fmt::format("Cannot start \"{}\": {}.", link_.program, exit_.reason.message());
                return;
            case control::Kind::ended:
                if (WIFEXITED(message.value)) exit_.exit_code = WEXITSTATUS(message.value);
                if (WIFSIGNALED(message.value)) exit_.signal = WTERMSIG(message.value);
                return;
            case control::Kind::all_gone:
                exit_.cpu = std::chrono::microseconds(message.cpu_us);
                exit_.peak_memory_kib = message.peak_memory_kib;
                if (message.value > 0)
                    exit_.error = fmt::format("{} processes of \"{}\" could not be killed.",
                                              message.value, link_.program);
                ended_ = true;
                return;
        }
    }

    asio::awaitable<void> pump(stream_descriptor& stream, asio::steady_timer& pause,
                               OutputStream which, const Output& output)
    {
        using std::chrono::steady_clock;
        std::vector<char> buffer(chunk);
        steady_clock::time_point last_read{};
        bool line_by_line = false;
        while (!ended_) {
            if (line_by_line) {
                pause.expires_at(last_read + between_small_reads);
                co_await pause.async_wait(as_result);
                if (ended_) break;
            }
            const auto [ec, size] =
                co_await stream.async_read_some(asio::buffer(buffer), as_result);
            const auto now = steady_clock::now();
            line_by_line = size < small_read && now - last_read < between_small_reads + timer_delay;
            last_read = now;
            if (size > 0 && !abandoned_) output(which, std::string_view(buffer.data(), size));
            if (ec) break;
        }
    }

    // Output written before the end is in the pipe, which bounds it; later output comes from other
    // processes.
    void drain(stream_descriptor& stream, OutputStream which, const Output& output)
    {
        error_code ignored;
        stream.native_non_blocking(true, ignored);
        std::vector<char> buffer(chunk);
        ssize_t left = ::fcntl(stream.native_handle(), F_GETPIPE_SZ);
        while (left > 0 && !abandoned_) {
            const ssize_t size = ::read(stream.native_handle(), buffer.data(), buffer.size());
            if (size <= 0) break;
            output(which, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
            left -= size;
        }
        stream.close(ignored);
    }

    // Returns true if it is reaped, by this process or by the host.
    bool try_reap()
    {
        if (!pidfd_.is_open()) return true;
        siginfo_t info{};
        if (::waitid(by_pidfd, static_cast<id_t>(pidfd_.native_handle()), &info,
                     WEXITED | WNOHANG) == 0 &&
            info.si_pid == 0)
            return false;
        error_code ignored;
        pidfd_.close(ignored);
        return true;
    }

    void signal_supervisor(int signal)
    {
        if (pidfd_.is_open())
            ::syscall(SYS_pidfd_send_signal, pidfd_.native_handle(), signal, nullptr, 0);
    }

    // A program can block its supervisor, so the wait is bounded.
    void kill_supervisor_when_late()
    {
        const std::chrono::milliseconds kill_timeout{2 * control::kill_timeout_ms};
        guard_.expires_after(link_.stop_grace + kill_timeout);
        guard_.async_wait([weak = weak_from_this()](error_code ec) {
            const auto self = weak.lock();
            if (!ec && self) self->signal_supervisor(SIGKILL);
        });
    }

    SupervisorLink link_;
    stream_descriptor pidfd_;
    asio::steady_timer guard_;
    asio::steady_timer output_pause_;
    asio::steady_timer error_pause_;
    ProcessExit exit_;
    std::string unread_;    ///< Input for the program.
    std::size_t sent_ = 0;  ///< How much of it is written.
    bool waits_to_write_ = false;
    bool closes_input_ = false;
    bool stop_sent_ = false;
    bool abandoned_ = false;
    bool ended_ = false;
};

class SupervisedProcess final : public Process {
public:
    explicit SupervisedProcess(SupervisorLink link)
        : supervision_(std::make_shared<Supervision>(std::move(link)))
    {}
    ~SupervisedProcess() override { supervision_->abandon(); }

    asio::awaitable<ProcessExit> wait(Output output) override
    {
        return supervision_->wait(std::move(output));
    }
    void write(std::string text) override { supervision_->write(text); }
    void close_input() override { supervision_->close_input(); }
    void stop() noexcept override { supervision_->stop(); }
    std::int64_t pid() const noexcept override { return supervision_->pid(); }

private:
    const std::shared_ptr<Supervision> supervision_;
};

}  // namespace

std::unique_ptr<Process> make_supervised_process(SupervisorLink link)
{
    return std::make_unique<SupervisedProcess>(std::move(link));
}

}  // namespace autoexec::inline v1
