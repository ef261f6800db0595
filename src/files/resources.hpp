#pragma once

#include "autoexec/error.hpp"

namespace autoexec::files {

/// True if a system call failed for lack of descriptors, processes or memory: it may succeed later.
bool is_resource_shortage(error_code ec) noexcept;

/// True if this process can open about that many more descriptors.
bool has_descriptors_left(unsigned count) noexcept;

}  // namespace autoexec::files
