#pragma once

#include "autoexec/health.hpp"

namespace autoexec::health {

/// `probes` with empty ones replaced by the real implementation. Null `spawner`: the supervised
/// one.
HealthProbes real_where_empty(HealthProbes probes, std::shared_ptr<Spawner> spawner);

}  // namespace autoexec::health
