#pragma once

#include "config/settings.hpp"

#include <boost/json/object.hpp>

#include <string>

/// The table of settings for people and for editors. Pure.
namespace autoexec::config {

/// `doc/configuration.md`.
std::string reference(const SettingsTable& table);

/// JSON Schema (2020-12) of `auto_execution_config.yaml`.
boost::json::object json_schema(const SettingsTable& table);

}  // namespace autoexec::config
