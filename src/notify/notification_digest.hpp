#pragma once

#include "async/short_names.hpp"
#include "notify/notification.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace autoexec::notify {

/// Decides what is sent, and when: nothing twice, and after a notification the ends and questions
/// of the next 10 s together. The end of a run and a spent budget do not wait. Pure.
///
/// Thread safety: none.
class NotificationDigest {
public:
    static constexpr std::chrono::seconds window{10};

    explicit NotificationDigest(const NotifyConfig& config) : config_(config) {}

    /// For notifications from now on.
    void set_config(const NotifyConfig& config) { config_ = config; }

    /// What to send now, if anything.
    std::optional<Notification> add(Notification notification, time_point now);

    /// When `take` is to be called; absent: nothing waits.
    [[nodiscard]] std::optional<time_point> due() const;

    /// What has waited, as one notification. Absent: nothing waits.
    std::optional<Notification> take(time_point now);

private:
    bool is_new(const std::string& subject);

    NotifyConfig config_;
    std::optional<time_point> window_end_;
    std::map<Kind, std::size_t> waiting_;
    std::optional<Notification> first_waiting_;
    // The last thousand subjects.
    std::set<std::string> subjects_;
    std::deque<std::string> order_;
};

}  // namespace autoexec::notify
