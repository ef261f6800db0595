#include "git/large_files.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace autoexec::git {
namespace {

constexpr std::size_t max_named = 5;

}  // namespace

std::optional<LargeFile> large_file(const std::filesystem::path& tree, std::string_view path,
                                    std::uint64_t limit)
{
    struct stat info {};
    if (limit == 0 || ::lstat((tree / path).c_str(), &info) != 0 || !S_ISREG(info.st_mode))
        return std::nullopt;
    LargeFile file{std::string(path), static_cast<std::uint64_t>(info.st_size)};
    return file.size > limit ? std::optional(std::move(file)) : std::nullopt;
}

bool is_declared(std::string_view path, const Words& declared)
{
    return std::any_of(declared.begin(), declared.end(), [&](const auto& known) {
        return path.starts_with(known) &&
               (path.size() == known.size() || path[known.size()] == '/');
    });
}

std::string listed(const std::vector<LargeFile>& files)
{
    std::string text;
    for (std::size_t k = 0; k < std::min(files.size(), max_named); ++k)
        text += fmt::format("{}'{}' ({})", k == 0 ? "" : ", ", shown(files[k].path),
                            size_text(files[k].size));
    if (files.size() > max_named) text += fmt::format(" and {} more", files.size() - max_named);
    return text;
}

std::string size_text(std::uint64_t bytes)
{
    constexpr std::array<std::string_view, 5> units{"bytes", "KiB", "MiB", "GiB", "TiB"};
    constexpr double step = 1024;
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= step && unit + 1 < units.size(); ++unit) value /= step;
    return unit == 0 ? fmt::format("{} bytes", bytes)
                     : fmt::format("{:.1f} {}", value, units.at(unit));
}

std::string limit_text(std::uint64_t limit)
{
    return fmt::format("more than worktrees.max_file_bytes ({}) allows", size_text(limit));
}

}  // namespace autoexec::git
