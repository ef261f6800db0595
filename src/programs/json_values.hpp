#pragma once

#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>

/// Values of a program's messages by JSON pointer (RFC 6901). A value of another type is absent.
namespace autoexec::programs {

/// Null for an empty pointer, too.
[[nodiscard]] const boost::json::value* value_at(const boost::json::value& message,
                                                 std::string_view pointer);

[[nodiscard]] std::string text_at(const boost::json::value& message, std::string_view pointer);

/// A scalar as text.
[[nodiscard]] std::string scalar_at(const boost::json::value& message, std::string_view pointer);

/// A number from 0 to 1e15.
[[nodiscard]] std::optional<double> number_at(const boost::json::value& message,
                                              std::string_view pointer);

}  // namespace autoexec::programs
