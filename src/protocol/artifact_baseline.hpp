#pragma once

#include "autoexec/command.hpp"

#include <boost/json/object.hpp>

namespace autoexec::protocol {

/// As records hold it: the version of each artifact, or null for one that was not there.
boost::json::object to_json(const ArtifactBaseline& baseline);

/// Entries of another type are left out.
ArtifactBaseline baseline_in(const boost::json::object& object);

}  // namespace autoexec::protocol
