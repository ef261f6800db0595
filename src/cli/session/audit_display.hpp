#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

/// Events of the audit log as text.
namespace autoexec::cli {

/// A member; empty: there is none.
std::string text_of(const boost::json::object& event, std::string_view key);

/// `2026-01-20T10:00:00  execution_failed     1a2b3c4d  [w/s] make test  {"error": "…"}`
std::string line_of(const boost::json::object& event);

}  // namespace autoexec::cli
