#include "view/newest_metrics.hpp"

#include "files/safe_files.hpp"
#include "protocol/record_lines.hpp"
#include "records/queries.hpp"
#include "records/read_lines.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace autoexec::view {
namespace {

constexpr std::size_t followed_files = 2;
// Of lines that were appended since the last look. More is read again from the end.
constexpr std::uint64_t max_appended = 16 * 1024 * 1024;

// `2026-01-20.jsonl`: files of both kinds have it.
std::string day_in(const std::string& name)
{
    constexpr std::size_t length = 16;
    return name.size() < length ? name : name.substr(name.size() - length);
}

std::string read_part(int fd, std::uint64_t begin, std::uint64_t end)
{
    std::string text(end - begin, '\0');
    std::size_t used = 0;
    while (used < text.size()) {
        const auto n =
            ::pread(fd, text.data() + used, text.size() - used, static_cast<off_t>(begin + used));
        if (n <= 0) break;
        used += static_cast<std::size_t>(n);
    }
    text.resize(used);
    return text;
}

// Before `end`: so many that a file that was cut and has grown since is found out.
std::string last_bytes(int fd, std::uint64_t end)
{
    constexpr std::uint64_t count = 4096;
    return read_part(fd, end - std::min(end, count), end);
}

bool stat_of_open(int fd, struct stat& st)
{
    return ::fstat(fd, &st) == 0;
}

}  // namespace

NewestMetrics::NewestMetrics(records::Folder folder, std::size_t max_executions)
    : folder_(std::move(folder)), max_executions_(max_executions)
{}

bool NewestMetrics::refresh()
{
    if (max_executions_ == 0) return false;
    error_code ec;
    const auto folder = folder_.open(ec);
    if (!folder) {
        names_.clear();
        return read_again(-1);
    }
    auto names = records::list_metrics_files(folder.get());
    if (!follow_new_files(folder.get(), names)) {
        names_ = std::move(names);
        return read_again(folder.get());
    }
    const auto appended = read_appended(folder.get());
    return appended == Appended::lost ? read_again(folder.get()) : appended == Appended::lines;
}

bool NewestMetrics::read_appended()
{
    error_code ec;
    const auto folder = followed_.empty() ? files::UniqueFd() : folder_.open(ec);
    if (!folder) return false;
    const auto appended = read_appended(folder.get());
    if (appended != Appended::lost) return appended == Appended::lines;
    names_.clear();
    return refresh();
}

bool NewestMetrics::has(const std::string& name) const
{
    return std::ranges::any_of(followed_, [&](const auto& file) { return file.name == name; });
}

// True if something may be another than before.
bool NewestMetrics::read_again(int folder)
{
    const bool was_empty = metrics_.empty();
    metrics_.clear();
    order_.clear();
    places_.clear();
    followed_.clear();
    if (folder >= 0) read_newest(folder);
    return !was_empty || !metrics_.empty();
}

// False if a file has gone, or is read instead of another one.
bool NewestMetrics::follow_new_files(int folder, const std::vector<std::string>& names)
{
    if (names_.empty() || names.size() < names_.size() ||
        !std::equal(names_.begin(), names_.end(), names.end() - std::ssize(names_)))
        return false;
    for (auto added = names.size() - names_.size(); added-- > 0;) {
        struct stat st {};
        error_code ec;
        const auto file = records::Folder::open_log(folder, names[added], ec);
        if (!file || !stat_of_open(file.get(), st)) return false;
        followed_.push_back({names[added], st.st_ino, 0, {}, 0});
    }
    names_ = names;
    return true;
}

void NewestMetrics::read_newest(int folder)
{
    for (const auto& name : names_) {
        const bool is_full = metrics_.size() >= max_executions_;
        if (is_full && followed_.size() >= followed_files) break;
        read_backwards(folder, name);
    }
    std::reverse(followed_.begin(), followed_.end());
}

void NewestMetrics::read_backwards(int folder, const std::string& name)
{
    struct stat st {};
    error_code ec;
    const auto file = records::Folder::open_log(folder, name, ec);
    if (!file || !stat_of_open(file.get(), st)) return;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    Followed followed{name, st.st_ino, size, last_bytes(file.get(), size), 0};
    const bool is_complete = followed.before.empty() || followed.before.ends_with('\n');
    records::ReverseLines lines(files::UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0)), size);
    bool is_last = true;
    while (const auto line = lines.next()) {
        if (std::exchange(is_last, false) && !is_complete) {
            followed.incomplete_size = size;
            followed.offset = lines.offset();
            followed.before = last_bytes(file.get(), followed.offset);
        }
        if (metrics_.size() >= max_executions_) break;
        (void)add({day_in(name), lines.offset()}, *line);
    }
    if (followed_.size() < followed_files) followed_.push_back(std::move(followed));
}

NewestMetrics::Appended NewestMetrics::read_appended(int folder)
{
    auto result = Appended::nothing;
    for (auto& file : followed_) result = std::max(result, read_appended(folder, file));
    if (followed_.size() > followed_files)
        followed_.erase(followed_.begin(), followed_.end() - std::ptrdiff_t{followed_files});
    return result;
}

NewestMetrics::Appended NewestMetrics::read_appended(int folder, Followed& followed)
{
    struct stat st {};
    error_code ec;
    const auto file = records::Folder::open_log(folder, followed.name, ec);
    if (!file || !stat_of_open(file.get(), st) || st.st_ino != followed.inode)
        return Appended::lost;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size < followed.offset || size - followed.offset > max_appended) return Appended::lost;
    if (const auto before = followed.incomplete_size; before != 0 && before != size)
        return Appended::lost;
    const auto begin = followed.offset - followed.before.size();
    const auto text = read_part(file.get(), begin, size);
    if (!text.starts_with(followed.before)) return Appended::lost;
    auto result = Appended::nothing;
    for (auto at = followed.before.size(); at < text.size();) {
        const auto newline = text.find('\n', at);
        const auto line = std::string_view(text).substr(at, newline - at);
        if (add({day_in(followed.name), begin + at}, line)) result = Appended::lines;
        if (newline == text.npos) {
            followed.incomplete_size = size;
            break;
        }
        at = newline + 1;
        followed.offset = begin + at;
    }
    followed.before = last_bytes(file.get(), followed.offset);
    return result;
}

// Of an execution, the last line counts.
bool NewestMetrics::add(const Place& place, std::string_view line)
{
    auto metric = line.empty() ? std::nullopt : protocol::parse_metric(line);
    if (!metric) return false;
    const auto id = metric->execution_id;
    const auto before = places_.find(id);
    if (before != places_.end()) {
        if (before->second > place) return false;
        if (before->second == place && *metrics_.at(id) == *metric) return false;
        order_.erase(before->second);
    }
    order_[place] = id;
    places_[id] = place;
    metrics_[id] = std::make_shared<const ExecutionMetric>(*std::move(metric));
    if (metrics_.size() <= max_executions_) return true;
    const auto oldest = order_.extract(order_.begin()).mapped();
    places_.erase(oldest);
    metrics_.erase(oldest);
    return oldest != id;
}

}  // namespace autoexec::view
