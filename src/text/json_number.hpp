#pragma once

#include <boost/json/value.hpp>

#include <optional>
#include <string_view>

namespace autoexec::text {

/// The value of a number that has been checked to be JSON's. A whole one becomes an integer
/// where that can hold it. Nothing if it is too large for a double; too small is zero.
std::optional<boost::json::value> json_number(std::string_view text, bool whole);

}  // namespace autoexec::text
