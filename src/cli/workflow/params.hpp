#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <utility>
#include <vector>

/// Parses the parameters of a workflow that the user types. Pure.
namespace autoexec::cli {

using ParamWords = std::vector<std::pair<std::string, std::string>>;

/// Splits each `NAME=VALUE`. Problems are added to `problems`.
ParamWords split_params(const std::vector<std::string>& words, std::vector<std::string>& problems);

/// Their values, of the types that the workflow declares. Without a declared type, `true`, `false`
/// and numbers are recognized, but a number that would be printed differently stays a text: `1.10`
/// is a version.
boost::json::object typed_params(const ParamWords& words, const boost::json::object& declared);

}  // namespace autoexec::cli
