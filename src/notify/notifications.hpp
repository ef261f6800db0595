#pragma once

#include "async/fifo_semaphore.hpp"
#include "autoexec/event_sink.hpp"
#include "autoexec/ports.hpp"
#include "notify/notification_digest.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::notify {

struct NotificationsOptions {
    std::filesystem::path project_root;
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Spawner> spawner;
    NotifyConfig config;
    /// The words of `notify.program`, which is split by the caller; empty: none.
    std::vector<std::string> program;
    /// Shows a text on the terminal; called if `notify.bell` is set. Empty: there is none.
    std::function<void(std::string_view)> ring;
    /// Receives the problems of programs. Not empty.
    std::function<void(const std::string&)> report;
};

/// Notifies a person of what happens in a run. A sink for the events of its executor.
///
/// Programs run below the spawner's supervisor, at most four at once and for at most a minute. They
/// delay nothing but `drain`.
///
/// Thread safety: none; use it on the executor `ex`, which runs on one thread. Running programs
/// keep this alive; it may be destroyed before `ex`'s context.
class Notifications final : public EventSink, public std::enable_shared_from_this<Notifications> {
public:
    Notifications(asio::any_io_executor ex, NotificationsOptions options);

    /// The program stays.
    void set_config(const NotifyConfig& config);

    /// The words of a program that gets every result and every question, at once and whatever is
    /// configured; empty: none.
    void send_every_result_to(std::vector<std::string> program);

    /// Looks for questions. At most 10 of an attempt count.
    void publish(const Event& event) override;

    /// An execution has ended.
    void add_result(const ExecutionResult& result);

    /// Anything else.
    void add(Notification notification);

    /// Nothing waits to be sent, and no program runs.
    [[nodiscard]] bool is_idle() const { return running_ == 0 && !digest_.due(); }

    /// Sends what waits, and completes when all programs have ended, or at `abandon`. Call it once,
    /// at the end.
    asio::awaitable<void> drain();
    /// `drain` waits for no program any longer.
    void abandon();
    [[nodiscard]] bool is_draining() const noexcept { return drained_ != nullptr; }

private:
    struct Call;
    using Self = std::shared_ptr<Notifications>;

    void send(const Notification& notification);
    void send_to_every_result(const Notification& notification);
    void report(const std::string& origin, std::string problem);
    void start(Call call);
    static asio::awaitable<void> run(Self self, Call call);
    static asio::awaitable<void> send_later(Self self);

    asio::any_io_executor ex_;
    NotificationsOptions options_;
    std::vector<std::string> every_result_;
    NotificationDigest digest_;
    bool sends_later_ = false;
    async::FifoSemaphore slots_;
    std::size_t running_ = 0;
    std::unique_ptr<Timer> drained_;
    bool abandoned_ = false;
    std::map<std::string, int> questions_;              ///< By attempt.
    std::map<std::string, std::string> last_problems_;  ///< By setting.
};

}  // namespace autoexec::notify
