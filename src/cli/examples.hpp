#pragma once

#include <string_view>

namespace autoexec::cli {

/// Lines with examples of a command, such as `workflow list`; empty: its own source has them.
std::string_view examples_of(std::string_view words) noexcept;

}  // namespace autoexec::cli
