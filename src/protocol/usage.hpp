#pragma once

#include "autoexec/output_rules.hpp"
#include "text/json_fields.hpp"

#include <boost/json/object.hpp>

#include <optional>

/// `Usage` ↔ JSON, as status files and records have it.
namespace autoexec::protocol {

/// Only what is known.
boost::json::object format_usage(const Usage& usage);

/// Members that are not valid are left out; nullopt: none is valid.
std::optional<Usage> parse_usage(const text::Fields& fields);

/// Adds what is known; the larger peak of memory and the last model count.
void add_usage(std::optional<Usage>& total, const std::optional<Usage>& more);

}  // namespace autoexec::protocol
