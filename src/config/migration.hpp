#pragma once

#include "yaml/report.hpp"

#include <optional>
#include <string>
#include <string_view>

/// Updates a file of an older version to the current one. Pure.
namespace autoexec::config {

/// The updated file; the same text if it is up to date. Nothing, with errors in `report`, if the
/// file is invalid, its version is newer, or comments would be lost.
std::optional<std::string> migrate(std::string_view text, yaml::Report& report);

/// The difference in the form of `diff -u`; empty if there is none.
std::string difference(std::string_view before, std::string_view after);

}  // namespace autoexec::config
