#include "protocol/artifact_path.hpp"

#include <algorithm>

namespace autoexec::protocol {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> normal_form(const fs::path& relative)
{
    // Checked before normalizing: `link/../x` is not `x` if `link` is a link to another folder.
    if (std::find(relative.begin(), relative.end(), "..") != relative.end()) return std::nullopt;
    auto normal = relative.lexically_normal().string();
    while (normal.ends_with('/')) normal.pop_back();
    if (normal.empty() || normal == ".") return std::nullopt;
    return normal;
}

}  // namespace

std::optional<std::string> artifact_path(std::string_view path)
{
    const fs::path given(path);
    if (path.find('\0') != path.npos || given.is_absolute()) return std::nullopt;
    return normal_form(given);
}

std::optional<std::string> artifact_path(std::string_view path, const fs::path& worktree)
{
    const fs::path given(path);
    if (path.find('\0') != path.npos) return std::nullopt;
    if (!given.is_absolute()) return normal_form(given);
    return normal_form(given.lexically_normal().lexically_relative(worktree.lexically_normal()));
}

}  // namespace autoexec::protocol
