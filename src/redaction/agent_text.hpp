#pragma once

#include "autoexec/redaction.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::inline v1 {

inline constexpr std::size_t max_agent_message = 16 * 1024;
inline constexpr std::size_t max_agent_code = 100;

/// At most `max` bytes of the redacted text of an agent, then an ellipsis.
std::string agent_text(const Redactor& redactor, std::string_view text, std::size_t max);

}  // namespace autoexec::inline v1
