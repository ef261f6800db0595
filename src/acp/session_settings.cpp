#include "acp/session_settings.hpp"

#include "programs/json_values.hpp"

#include <boost/json/array.hpp>

#include <utility>

namespace autoexec::acp {
namespace {

namespace json = boost::json;
using programs::text_at;
using programs::value_at;

constexpr std::size_t max_offered = 1000;  // bytes, for a message

// Where version 1 has a setting of its own; later versions have only `configOptions`.
struct Place {
    const char* category;
    const char* values;
    const char* value;
    const char* current;
    const char* method;
    const char* param;
};

constexpr Place mode_place{
    "mode", "/modes/availableModes", "/id", "/modes/currentModeId", "session/set_mode", "modeId"};
constexpr Place model_place{
    "model",  "/models/availableModels", "/modelId", "/models/currentModelId", "session/set_model",
    "modelId"};

// Finds `wanted` in a list of values, and adds the others to `offered`. Values may be in groups.
bool is_offered(const json::value& message, const char* list, const char* name,
                std::string_view wanted, std::string& offered, bool in_group = false)
{
    const auto* const items = value_at(message, list);
    if (items == nullptr || !items->is_array()) return false;
    for (const auto& item : items->get_array()) {
        const auto value = text_at(item, name);
        if (value.empty()) {
            if (!in_group && is_offered(item, list, name, wanted, offered, true)) return true;
            continue;
        }
        if (value == wanted) return true;
        if (offered.size() + value.size() < max_offered)
            offered += (offered.empty() ? "" : ", ") + value;
    }
    return false;
}

}  // namespace

bool find_change(const json::value& session, Setting setting, std::string_view wanted,
                 Change& change, std::string& offered)
{
    const auto& place = setting == Setting::mode ? mode_place : model_place;
    change = {};
    offered.clear();
    if (is_offered(session, place.values, place.value, wanted, offered)) {
        if (text_at(session, place.current) != wanted)
            change = {place.method, {{place.param, wanted}}};
        return true;
    }
    const auto* const options = value_at(session, "/configOptions");
    if (options == nullptr || !options->is_array()) return false;
    const auto other = std::exchange(offered, {});
    for (const auto& option : options->get_array()) {
        if (text_at(option, "/category") != place.category) continue;
        if (is_offered(option, "/options", "/value", wanted, offered)) {
            if (text_at(option, "/currentValue") != wanted)
                change = {"session/set_config_option",
                          {{"configId", text_at(option, "/id")}, {"value", wanted}}};
            return true;
        }
    }
    if (offered.empty()) offered = other;
    return false;
}

}  // namespace autoexec::acp
