#pragma once

#include "yaml/report.hpp"

#include <optional>
#include <string>
#include <string_view>

/// Brings a file that was written for an older version up to date. Pure.
namespace autoexec::config {

/// The file as it should be: the same text if it is up to date. Nothing, with errors in `report`,
/// if it can't be read, or is of a newer version.
std::optional<std::string> migrate(std::string_view text, yaml::Report& report);

/// The lines that differ, with some around them, as `diff -u` shows them; empty if none does.
std::string difference(std::string_view before, std::string_view after);

}  // namespace autoexec::config
