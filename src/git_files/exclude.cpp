#include "git_files/exclude.hpp"

#include "files/safe_files.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace autoexec::git_files {
namespace {

constexpr std::size_t max_size = 1024 * 1024;

// Everything that autoexec writes below a project or a worktree, but its configuration.
constexpr std::array project_folders = {layout::metrics, layout::audit,       layout::running,
                                        layout::output,  layout::worktrees,   layout::journals,
                                        layout::markers, layout::logs,        layout::agent_health,
                                        layout::queue,   layout::engine_logs, layout::slots};

bool has_line(std::string_view text, std::string_view line)
{
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        auto found = text.substr(0, end);
        if (found.ends_with('\r')) found.remove_suffix(1);
        if (found == line) return true;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

std::string escaped(std::string_view name, std::string_view special)
{
    std::string pattern;
    for (const char c : name) {
        if (special.find(c) != std::string_view::npos) pattern.push_back('\\');
        pattern.push_back(c);
    }
    return pattern;
}

std::string missing_lines(std::string_view text, const std::vector<std::string>& patterns)
{
    std::string lines;
    for (const auto& pattern : patterns)
        if (!has_line(text, pattern) && !has_line(lines, pattern))
            lines.append(pattern).append("\n");
    if (!lines.empty() && !text.empty() && text.back() != '\n') lines.insert(0, "\n");
    return lines;
}

}  // namespace

bool exclude(const std::filesystem::path& common_dir, const std::vector<std::string>& patterns)
{
    const auto common = files::open_folder(common_dir);
    if (!common) return false;
    error_code ec;
    const auto info = files::make_folders(common.get(), "info", ec);
    if (!info) return false;
    const files::UniqueFd file(
        ::openat(info.get(), "exclude",
                 O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
    struct stat folder {};
    (void)::fstat(info.get(), &folder);
    const auto known = files::read_regular(info.get(), "exclude", max_size, {folder.st_uid});
    const bool written = known.state == FoundFile::State::present &&
                         !files::write_all(file.get(), missing_lines(known.text, patterns));
    ::flock(file.get(), LOCK_UN);
    return written;
}

std::string exclude_pattern(std::string_view path)
{
    return "/" + escaped(path, "\\*?[ ");
}

std::vector<std::string> control_patterns(std::string_view status_file_name)
{
    const auto& names = control_files::executor_files;
    std::vector<std::string> patterns(names.begin(), names.end());
    patterns.emplace_back(control_files::status);
    patterns.push_back(std::string(control_files::temporary_prefix) + '*');
    patterns.push_back(std::string(control_files::claims_folder) + '/');
    for (const auto* folder : project_folders) patterns.push_back(std::string(folder) + '/');
    patterns.push_back(escaped(status_file_name, "\\*?[]#! "));
    return patterns;
}

}  // namespace autoexec::git_files
