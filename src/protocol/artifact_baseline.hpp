#pragma once

#include "autoexec/command.hpp"

#include <boost/json/object.hpp>

namespace autoexec::protocol {

/// The form in records: the version of each artifact, or null for a missing one.
boost::json::object to_json(const ArtifactBaseline& baseline);

/// Entries of another type are skipped.
ArtifactBaseline baseline_in(const boost::json::object& object);

}  // namespace autoexec::protocol
