#include "notify/notification_digest.hpp"

#include <fmt/format.h>

#include <utility>

namespace autoexec::notify {
namespace {

constexpr std::size_t max_subjects = 1000;

using Counts = std::map<Kind, std::size_t>;

std::size_t count_of(const Counts& counts, Kind kind)
{
    const auto found = counts.find(kind);
    return found == counts.end() ? 0 : found->second;
}

std::string text_of_ends(const Counts& counts)
{
    const auto completed = count_of(counts, Kind::completed);
    const auto failed = count_of(counts, Kind::failed);
    if (completed > 0 && failed > 0)
        return fmt::format("{} more ended: {} completed, {} failed", completed + failed, completed,
                           failed);
    if (completed + failed == 0) return {};
    return fmt::format("{} more {}", completed + failed, completed > 0 ? "completed" : "failed");
}

std::string text_of(const Counts& counts)
{
    auto text = text_of_ends(counts);
    const auto questions = count_of(counts, Kind::needs_input);
    if (questions == 0) return text;
    if (!text.empty()) text += "; ";
    return text +
           fmt::format("{} more {} for an answer", questions, questions == 1 ? "waits" : "wait");
}

Notification digest_of(const Counts& counts)
{
    Notification digest;
    digest.kind = counts.begin()->first;
    digest.text = text_of(counts);
    digest.message["kind"] = "digest";
    for (const auto kind : {Kind::needs_input, Kind::failed, Kind::completed})
        digest.message[to_string(kind)] = count_of(counts, kind);
    return digest;
}

}  // namespace

bool NotificationDigest::is_new(const std::string& subject)
{
    if (subject.empty()) return true;
    if (!subjects_.insert(subject).second) return false;
    order_.push_back(subject);
    if (order_.size() > max_subjects) {
        subjects_.erase(order_.front());
        order_.pop_front();
    }
    return true;
}

std::optional<Notification> NotificationDigest::add(Notification notification, time_point now)
{
    const auto kind = notification.kind;
    if (!is_wanted(config_, kind) || !is_new(notification.subject)) return std::nullopt;
    if (kind == Kind::budget) return notification;
    if (kind == Kind::run_ended) {  // it includes what waits
        waiting_.clear();
        first_waiting_.reset();
        return notification;
    }
    const bool is_open = window_end_ && now < *window_end_;
    if (!is_open && waiting_.empty()) {
        window_end_ = now + window;
        return notification;
    }
    ++waiting_[kind];
    if (!first_waiting_) first_waiting_ = std::move(notification);
    return std::nullopt;
}

std::optional<time_point> NotificationDigest::due() const
{
    return waiting_.empty() ? std::nullopt : window_end_;
}

std::optional<Notification> NotificationDigest::take(time_point now)
{
    if (waiting_.empty()) return std::nullopt;
    const bool is_single = waiting_.size() == 1 && waiting_.begin()->second == 1;
    auto taken = is_single ? *std::move(first_waiting_) : digest_of(waiting_);
    waiting_.clear();
    first_waiting_.reset();
    window_end_ = now + window;
    return taken;
}

}  // namespace autoexec::notify
