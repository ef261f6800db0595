#include "protocol/expected_artifacts.hpp"

#include <boost/json/object.hpp>

#include <algorithm>

namespace autoexec::protocol {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

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

json::object to_json(const ArtifactBaseline& baseline)
{
    json::object object;
    for (const auto& [path, version] : baseline)
        object[path] = version.empty() ? json::value(nullptr) : json::value(version);
    return object;
}

ArtifactBaseline baseline_in(const json::value* value)
{
    ArtifactBaseline baseline;
    const auto* const object = value ? value->if_object() : nullptr;
    if (!object) return baseline;
    for (const auto& [path, version] : *object) {
        if (version.is_string())
            baseline[path] = std::string(version.get_string());
        else if (version.is_null())
            baseline[path] = {};
    }
    return baseline;
}

}  // namespace autoexec::protocol
