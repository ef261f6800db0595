#pragma once

#include <span>

namespace autoexec::text {

/// Fills `bytes` from the kernel's random generator. Any thread; a forked child never gets the
/// bytes of its parent. Throws `system_error`.
void fill_random(std::span<unsigned char> bytes);

}  // namespace autoexec::text
