#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>
#include <vector>

/// `{params.NAME}` in commands. Pure.
namespace autoexec::workflow {

/// The names, in order. What only looks like a placeholder is text.
std::vector<std::string> placeholders_in(std::string_view text);

/// Each replaced by its value; one without a value stays as it is. Values are not looked into.
std::string fill_placeholders(std::string_view text, const boost::json::object& params);

/// A parameter's value as text: strings as they are, all else as JSON.
std::string text_of(const boost::json::value& value);

}  // namespace autoexec::workflow
