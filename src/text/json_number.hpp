#pragma once

#include <boost/json/value.hpp>

#include <optional>
#include <string_view>

namespace autoexec::text {

/// Converts a valid JSON number. A whole number becomes an integer if it fits. Returns nullopt if
/// it is too large for a double; zero if it is too small.
std::optional<boost::json::value> json_number(std::string_view text, bool whole);

}  // namespace autoexec::text
