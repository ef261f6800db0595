#include "workflow/artifact_path.hpp"

#include <filesystem>

namespace autoexec::workflow {

std::optional<std::string> artifact_path(std::string_view path)
{
    if (path.empty() || path.find('\0') != path.npos) return std::nullopt;
    const std::filesystem::path given(path);
    if (given.is_absolute()) return std::nullopt;
    auto normal = given.lexically_normal().string();
    while (normal.ends_with('/')) normal.pop_back();
    if (normal == ".." || normal.starts_with("../")) return std::nullopt;
    return normal;
}

}  // namespace autoexec::workflow
