#include "cli/top/log_follower.hpp"

#include "text/text.hpp"

#include <unistd.h>

#include <algorithm>

namespace autoexec::cli {
namespace {

constexpr std::uint64_t max_tail = 512 * 1024;
constexpr std::size_t max_part = 64 * 1024;

}  // namespace

LogFollower::LogFollower(const std::filesystem::path& project_root, std::string_view attempt_id)
    : folder_(records::Folder::of({}, project_root, "output")),
      name_(text::file_name_of(attempt_id) + ".log")
{}

bool LogFollower::refresh(LogText& text)
{
    struct stat st {};
    const auto file = open(st);
    if (!file) return false;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    const bool is_other = st.st_ino != seen_.st_ino || st.st_dev != seen_.st_dev;
    const bool begins = is_other || size < offset_ || size - offset_ > max_tail;
    if (begins) begin(st, text);
    if (offset_ == size) return begins;
    while (offset_ < size) {
        const auto part = read_part(file.get(), size);
        if (part.empty()) break;
        offset_ += part.size();
        std::string_view shown = part;
        if (is_within_line_) {
            const auto end = shown.find('\n');
            if (end == shown.npos) continue;
            shown.remove_prefix(end + 1);
            is_within_line_ = false;
        }
        text.append(shown);
    }
    return true;
}

files::UniqueFd LogFollower::open(struct stat& st) const
{
    error_code ec;
    const auto folder = folder_.open(ec);
    auto file = folder ? records::Folder::open_log(folder.get(), name_, ec) : files::UniqueFd();
    if (file && ::fstat(file.get(), &st) != 0) return {};
    return file;
}

void LogFollower::begin(const struct stat& st, LogText& text)
{
    text.clear();
    seen_ = st;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    offset_ = size - std::min(size, max_tail);
    is_within_line_ = offset_ > 0;
    if (is_within_line_) text.set_cut();
}

std::string LogFollower::read_part(int fd, std::uint64_t end)
{
    std::string part(std::min<std::uint64_t>(end - offset_, max_part), '\0');
    const auto count = ::pread(fd, part.data(), part.size(), static_cast<off_t>(offset_));
    part.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return part;
}

}  // namespace autoexec::cli
