#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <utility>
#include <vector>

/// Parameters of a workflow, as a person types them. Pure.
namespace autoexec::cli {

using ParamWords = std::vector<std::pair<std::string, std::string>>;

/// Each `NAME=VALUE`. Sentences for a person go to `problems`.
ParamWords split_params(const std::vector<std::string>& words, std::vector<std::string>& problems);

/// Their values, of the types that the workflow declares. Where it declares none, `true`, `false`
/// and numbers are what they look like, but a text that the number would not give back stays one:
/// `1.10` is a version.
boost::json::object typed_params(const ParamWords& words, const boost::json::object& declared);

}  // namespace autoexec::cli
