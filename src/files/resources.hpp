#pragma once

#include "autoexec/error.hpp"

namespace autoexec::files {

/// Whether a system call failed for want of descriptors, processes or memory: the same call may
/// succeed once others have given some back.
bool is_resource_shortage(error_code ec) noexcept;

/// Whether this process can open about so many more descriptors.
bool has_descriptors_left(unsigned count) noexcept;

}  // namespace autoexec::files
