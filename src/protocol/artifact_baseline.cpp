#include "protocol/artifact_baseline.hpp"

namespace autoexec::protocol {

namespace json = boost::json;

json::object to_json(const ArtifactBaseline& baseline)
{
    json::object object;
    for (const auto& [path, version] : baseline)
        object[path] = version.empty() ? json::value(nullptr) : json::value(version);
    return object;
}

ArtifactBaseline baseline_in(const json::object& object)
{
    ArtifactBaseline baseline;
    for (const auto& [path, version] : object) {
        if (version.is_string())
            baseline[path] = std::string(version.get_string());
        else if (version.is_null())
            baseline[path] = {};
    }
    return baseline;
}

}  // namespace autoexec::protocol
