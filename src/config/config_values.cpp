#include "autoexec/config.hpp"

#include "config/settings.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

namespace autoexec::inline v1 {

std::string to_string(const SettingValue& value)
{
    if (const auto* const flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* const whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
    if (const auto* const real = std::get_if<double>(&value)) return text::format_double(*real);
    return std::get<std::string>(value);
}

std::string to_string(const ConfigOrigin& origin)
{
    switch (origin.layer) {
        case ConfigLayer::defaults:
            return "default";
        case ConfigLayer::user_file:
        case ConfigLayer::project_config:
        case ConfigLayer::auto_execution:
            return fmt::format("{}:{}", origin.source, origin.line);
        case ConfigLayer::workflow:
            return origin.source;
        case ConfigLayer::environment:
            return fmt::format("environment {}", origin.source);
        case ConfigLayer::command_line:
            break;
    }
    return fmt::format("command line {}", origin.source);
}

std::vector<std::string> changed_settings(const AutoExecutionConfig& before,
                                          const AutoExecutionConfig& after)
{
    std::vector<std::string> keys;
    for (const auto& setting : config::built_in_settings())
        if (setting.get(before) != setting.get(after)) keys.push_back(setting.key);
    for (const auto& [name, value] : after.flags) {
        const auto old = before.flags.find(name);
        if (old == before.flags.end() || old->second != value)
            keys.push_back(fmt::format("features.{}", name));
    }
    for (const auto& [name, value] : after.extensions) {
        const auto old = before.extensions.find(name);
        if (old == before.extensions.end() || old->second != value)
            keys.push_back(fmt::format("extensions.{}", name));
    }
    return keys;
}

bool takes_effect_at_once(std::string_view key)
{
    for (const auto& setting : config::built_in_settings())
        if (setting.key == key) return setting.effect == config::Effect::next_execution;
    return true;  // an application decides when it reads its own settings
}

}  // namespace autoexec::inline v1
