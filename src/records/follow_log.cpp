#include "records/follow_log.hpp"

#include "records/read_lines.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace autoexec::records {
namespace {

// Longer lines are passed over.
constexpr std::size_t max_followed_line = 16 * 1024 * 1024;

}  // namespace

LogFollower::LogFollower(Folder folder, std::string name)
    : folder_(std::move(folder)), name_(std::move(name)), file_(open())
{
    struct stat st {};
    if (file_ && ::fstat(file_.get(), &st) == 0) offset_ = static_cast<std::uint64_t>(st.st_size);
}

std::string LogFollower::cursor() const
{
    const auto inode = inode_of(file_.get());
    return inode == 0 ? std::string() : std::to_string(inode) + ':' + std::to_string(offset_);
}

files::UniqueFd LogFollower::open() const
{
    error_code ec;
    const auto folder = folder_.open(ec);
    return ec ? files::UniqueFd() : Folder::open_log(folder.get(), name_, ec);
}

void LogFollower::read(const std::function<void(std::string_view line)>& take)
{
    auto newer = open_newer();
    read_open(take);
    for (; !newer.empty(); newer.pop_back()) {
        file_ = std::move(newer.back());
        offset_ = 0;
        rest_.clear();
        read_open(take);
    }
}

/// The logs that were begun since, newest first; none if they were rotated meanwhile.
std::vector<files::UniqueFd> LogFollower::open_newer() const
{
    std::vector<files::UniqueFd> newer;
    const auto ours = inode_of(file_.get());
    auto current = open();
    const auto newest = inode_of(current.get());
    if (newest == 0 || newest == ours) return newer;
    newer.push_back(std::move(current));
    if (!file_) return newer;
    error_code ec;
    const auto folder = folder_.open(ec);
    bool is_found = false;
    auto last = newest;
    for (const auto number : log_numbers(folder.get(), name_)) {
        auto log = Folder::open_log(folder.get(), log_name(name_, number), ec);
        const auto inode = inode_of(log.get());
        is_found = inode == ours;
        if (is_found) break;
        // A rotation that has not renamed the log itself yet moves a backup to the next name.
        if (inode == 0 || inode == last) continue;
        last = inode;
        newer.push_back(std::move(log));
    }
    if (inode_of(open().get()) != newest) newer.clear();
    // If the one that was read last was removed, the others may be older than it.
    if (!is_found && newer.size() > 1) newer.resize(1);
    return newer;
}

void LogFollower::read_open(const std::function<void(std::string_view line)>& take)
{
    std::array<char, 65536> buffer;
    while (file_) {
        const auto count =
            ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset_));
        if (count <= 0) return;
        offset_ += static_cast<std::uint64_t>(count);
        std::string_view text(buffer.data(), static_cast<std::size_t>(count));
        for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
            rest_.append(text.substr(0, end));
            if (rest_.size() <= max_followed_line && !rest_.empty()) take(rest_);
            rest_.clear();
            text.remove_prefix(end + 1);
        }
        if (rest_.size() <= max_followed_line) rest_.append(text);
    }
}

}  // namespace autoexec::records
