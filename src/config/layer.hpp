#pragma once

#include "config/settings.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

/// Reads one layer: text → values with their origins. Pure.
namespace autoexec::config {

struct LayerValue {
    std::string key;
    SettingValue value;
    ConfigOrigin origin;
};

/// The target of the reading of one layer.
struct LayerReading {
    const SettingsTable& table;
    ConfigOrigin origin;  ///< Of the layer as a whole.
    yaml::Report& report;
    std::vector<LayerValue>& values;
};

/// Reads a value of the setting `key`; `shown_key` is its name in messages.
void read_value(const LayerReading& reading, std::string_view key, const yaml::YamlNode& node,
                std::string_view shown_key);

/// Reads a mapping of all settings. Keys of version 1.0 give a warning; the new name of a setting
/// takes precedence.
void read_settings(const LayerReading& reading, const yaml::YamlNode& node);

/// Reads the section `auto_execution:` of a file.
void read_own_file(const LayerReading& reading, std::string_view text);

/// Reads some keys below `workflow:` of a file; the rest belongs to other programs.
void read_project_file(const LayerReading& reading, std::string_view text);

/// Reads variables, `NAME=value` each; returns errors and warnings.
std::vector<Diagnostic> read_environment(const SettingsTable& table,
                                         const std::vector<std::string>& environment,
                                         std::vector<LayerValue>& values);

/// Warnings about variables with the program's prefix that no setting has, and that resemble none:
/// `read_environment` does not report these, because other programs may have them.
std::vector<Diagnostic> unlike_variables(const SettingsTable& table,
                                         const std::vector<std::string>& environment);

/// Reads `auto_execution` of a workflow's metadata; returns errors and warnings.
std::vector<Diagnostic> read_metadata(const SettingsTable& table,
                                      const boost::json::object& metadata,
                                      std::vector<LayerValue>& values);

/// The value of a variable of `NAME=value` each.
std::optional<std::string> find_variable(const std::vector<std::string>& environment,
                                         std::string_view name);

inline constexpr std::string_view own_section = "auto_execution";

/// The keys that lead to a setting or section in a file: `auto_execution`, `retry`, `enabled`.
std::vector<std::string> path_in_file(std::string_view key);

}  // namespace autoexec::config
