#include "git/control_exclude.hpp"

#include "git/git_dir.hpp"
#include "platform/safe_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

namespace autoexec::git {
namespace {

constexpr std::size_t exclude_limit = 1024 * 1024;

// clang-format off
constexpr std::array<std::string_view, 15> patterns = {
    ".cursor-skill-command.txt",
    ".cursor-skill-command-simple.txt",
    ".cursor-skill-metadata.json",
    ".cursor-skill-status.json",
    ".cursor-skill-cancel.json",
    ".cursor-skill-tmp.*",
    ".cursor-skill-claims/",
    ".tapps-agents/metrics/",
    ".tapps-agents/audit/",
    ".tapps-agents/running/",
    ".tapps-agents/output/",
    ".tapps-agents/worktrees/",
    ".tapps-agents/workflow-state/",
    ".tapps-agents/workflows/markers/",
    ".tapps-agents/logs/",
};
// clang-format on

bool has_line(std::string_view text, std::string_view line)
{
    for (std::size_t at = 0; (at = text.find(line, at)) != std::string_view::npos; ++at) {
        const auto end = at + line.size();
        if ((at == 0 || text[at - 1] == '\n') &&
            (end == text.size() || text[end] == '\n' || text[end] == '\r'))
            return true;
    }
    return false;
}

// As a pattern that matches this name only.
std::string quoted(std::string_view name)
{
    constexpr std::string_view special = "\\*?[]#! ";
    std::string pattern;
    for (const char c : name) {
        if (special.find(c) != std::string_view::npos) pattern.push_back('\\');
        pattern.push_back(c);
    }
    return pattern;
}

std::string missing_lines(std::string_view text, std::string_view status_file_name)
{
    std::string lines;
    const auto want = [&](std::string_view pattern) {
        if (!has_line(text, pattern) && !has_line(lines, pattern))
            lines.append(pattern).append("\n");
    };
    for (const auto pattern : patterns) want(pattern);
    want(quoted(status_file_name));
    if (!lines.empty() && !text.empty() && text.back() != '\n') lines.insert(0, "\n");
    return lines;
}

}  // namespace

void exclude_from_git(const std::filesystem::path& git_dir, std::string_view status_file_name)
{
    const platform::UniqueFd common(
        ::open(git::git_common_dir(git_dir).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!common) return;

    error_code ec;
    const auto info = platform::make_folders(common.get(), "info", ec);
    if (!info) return;
    const platform::UniqueFd file(
        ::openat(info.get(), "exclude",
                 O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
    const auto found = platform::read_regular(info.get(), "exclude", exclude_limit, {});
    if (found.state == FoundFile::State::present)
        (void)platform::write_all(file.get(), missing_lines(found.text, status_file_name));
    ::flock(file.get(), LOCK_UN);
}

}  // namespace autoexec::git
