#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>
#include <vector>

/// `{params.NAME}` in commands. Pure.
namespace autoexec::workflow {

/// The names, in order. Invalid placeholders are text.
std::vector<std::string> placeholders_in(std::string_view text);

/// Replaces each by its value; one without a value stays. Values are not expanded again.
std::string fill_placeholders(std::string_view text, const boost::json::object& params);

/// A parameter's value as text: strings as they are, other values as JSON.
std::string text_of(const boost::json::value& value);

}  // namespace autoexec::workflow
