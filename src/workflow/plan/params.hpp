#pragma once

#include <boost/json/value.hpp>

#include <string>

/// The values of parameters. Pure.
namespace autoexec::workflow {

/// A text as a value of the type that the workflow declares: that of `declared`, the default. If
/// that is null, `true`, `false` and numbers are recognized, but a number that would be printed
/// differently stays a text: `1.10` is a version. A text of another type stays a text.
boost::json::value typed_param(const std::string& text, const boost::json::value& declared);

/// Why a value in a file cannot be that of a parameter: it completes `The parameter 'x' …`. Empty:
/// it can be. Texts with placeholders become values of its type when the step starts.
std::string flaw_of_param(const boost::json::value& value, const boost::json::value& declared);

}  // namespace autoexec::workflow
