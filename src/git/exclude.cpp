#include "git/exclude.hpp"

#include "git/entry.hpp"
#include "platform/safe_files.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

namespace autoexec::git {
namespace {

bool has_line(std::string_view text, std::string_view line)
{
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (text.substr(0, end) == line) return true;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

}  // namespace

bool exclude(const std::filesystem::path& common_dir, const std::vector<std::string>& patterns)
{
    error_code ec;
    const auto info = platform::make_folders(common_dir / "info", ec);
    if (!info) return false;
    const auto known = read_git_file(common_dir / "info" / "exclude");
    std::string lines;
    for (const auto& pattern : patterns)
        if (!has_line(known, pattern)) lines.append(pattern).append("\n");
    if (lines.empty()) return true;
    if (!known.empty() && known.back() != '\n') lines.insert(0, "\n");

    const platform::UniqueFd file(
        ::openat(info.get(), "exclude",
                 O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
    // Under the lock that the control files' lines are added under.
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
    const bool written = !platform::write_all(file.get(), lines);
    ::flock(file.get(), LOCK_UN);
    return written;
}

std::string exclude_pattern(std::string_view path)
{
    constexpr std::string_view special = "\\*?[ ";
    std::string pattern = "/";
    for (const char c : path) {
        if (special.find(c) != std::string_view::npos) pattern.push_back('\\');
        pattern.push_back(c);
    }
    return pattern;
}

}  // namespace autoexec::git
