#include "config/setting_edit.hpp"

#include "config/layer.hpp"
#include "yaml/yaml.hpp"
#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace autoexec::config {
namespace {

bool is_plain(SettingType type)
{
    return type == SettingType::boolean || type == SettingType::integer ||
           type == SettingType::number;
}

std::nullopt_t cannot_edit(const Setting& setting, yaml::Report& report)
{
    report.error({}, fmt::format("{} cannot be changed in this file", setting.key),
                 "A value that is not a mapping is in the way, or comments would be lost: use "
                 "'autoexec config edit'.");
    return std::nullopt;
}

}  // namespace

const Setting* find_setting(const SettingsTable& table, std::string_view key, std::string& problem)
{
    if (const auto* const setting = table.find(key)) return setting;
    if (const auto* const setting = table.find_former(key)) return setting;
    if (table.is_section(key)) {
        std::vector<std::string> keys;
        for (const auto name : table.names_in(key)) keys.push_back(fmt::format("{}.{}", key, name));
        problem = fmt::format("'{}' is a section; its settings are {}", key, fmt::join(keys, ", "));
        return nullptr;
    }
    std::vector<std::string_view> keys;
    for (const auto& setting : table.settings()) keys.push_back(setting.key);
    auto guess = yaml::did_you_mean(key, keys);
    // A name that only one section has.
    if (guess.empty() && std::ranges::count(keys, key, name_of) == 1)
        guess = fmt::format("Did you mean '{}'?", *std::ranges::find(keys, key, name_of));
    problem = fmt::format("unknown setting '{}'{}{}; see autoexec config show", key,
                          guess.empty() ? "" : ". ", guess);
    return nullptr;
}

std::optional<std::string> set_setting(std::string text, const Setting& setting,
                                       std::string_view value, yaml::Report& report)
{
    (void)yaml::parse_yaml(text, report);
    if (report.failed()) return std::nullopt;
    const auto path = path_in_file(setting.key);
    if (text.empty())
        text = yaml::set_in_yaml(text, path_in_file("version"),
                                 yaml::make_scalar(std::string(current_version), false))
                   .value_or(text);
    if (!setting.former.empty())
        text = yaml::rename_in_yaml(text, path_in_file(setting.former), path).value_or(text);
    auto changed = yaml::set_in_yaml(text, path,
                                     yaml::make_scalar(std::string(value), is_plain(setting.type)));
    return changed ? std::move(changed) : cannot_edit(setting, report);
}

std::optional<std::string> unset_setting(std::string text, const Setting& setting,
                                         yaml::Report& report)
{
    for (const auto& key : {setting.key, setting.former}) {
        const auto root = yaml::parse_yaml(text, report);
        if (report.failed()) return std::nullopt;
        if (key.empty() || !root || yaml::find_in_yaml(*root, path_in_file(key)) == nullptr)
            continue;
        auto changed = yaml::remove_in_yaml(text, path_in_file(key));
        if (!changed) return cannot_edit(setting, report);
        text = *std::move(changed);
    }
    return text;
}

}  // namespace autoexec::config
