#pragma once

#include "config/settings.hpp"
#include "yaml/report.hpp"

#include <optional>
#include <string>
#include <string_view>

/// Changes one setting in the text of a file, and keeps its comments, order and line ends. Pure.
namespace autoexec::config {

/// The setting with this key, or that had it in an older version. Null, with a problem that names a
/// similar key: there is none, or it is a section.
const Setting* find_setting(const SettingsTable& table, std::string_view key, std::string& problem);

/// The changed text; nothing, with an error in `report`, if the file has another form or comments
/// would be lost. Whether the value is valid is not checked. An empty text becomes a whole file.
std::optional<std::string> set_setting(std::string text, const Setting& setting,
                                       std::string_view value, yaml::Report& report);

/// The text without the setting; the same if it is not set. Nothing as above.
std::optional<std::string> unset_setting(std::string text, const Setting& setting,
                                         yaml::Report& report);

}  // namespace autoexec::config
