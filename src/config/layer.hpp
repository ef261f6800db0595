#pragma once

#include "config/settings.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

/// What one layer says: text → values with their places. Pure.
namespace autoexec::config {

struct LayerValue {
    std::string key;
    SettingValue value;
    ConfigOrigin origin;
};

/// What a layer is read into.
struct LayerReading {
    const SettingsTable& table;
    ConfigOrigin origin;  ///< Of the layer as a whole.
    yaml::Report& report;
    std::vector<LayerValue>& values;
};

/// Reads a value of the setting `key`; `shown_key` is what the person called it.
void read_value(const LayerReading& reading, std::string_view key, const yaml::YamlNode& node,
                std::string_view shown_key);

/// Reads the settings below a section; an empty one stands for all.
void read_section(const LayerReading& reading, const yaml::YamlNode& node,
                  std::string_view section);

/// A file whose `auto_execution:` section is ours, and whose other sections are others'.
void read_own_file(const LayerReading& reading, std::string_view text);

/// A file of which some keys below `workflow:` are ours.
void read_project_file(const LayerReading& reading, std::string_view text);

/// Variables, `NAME=value` each; gives what is wrong with them.
std::vector<Diagnostic> read_environment(const SettingsTable& table,
                                         const std::vector<std::string>& environment,
                                         std::vector<LayerValue>& values);

/// `auto_execution` of a workflow's metadata; gives what is wrong with it.
std::vector<Diagnostic> read_metadata(const SettingsTable& table,
                                      const boost::json::object& metadata,
                                      std::vector<LayerValue>& values);

/// JSON as if it had been written as YAML, without places.
yaml::YamlNode to_yaml(const boost::json::value& value);

inline constexpr std::string_view own_section = "auto_execution";

}  // namespace autoexec::config
