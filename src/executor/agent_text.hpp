#pragma once

#include "autoexec/command.hpp"
#include "autoexec/redaction.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Redacts and bounds text from agents before it enters the result and the records.
namespace autoexec::inline v1 {

inline constexpr std::size_t max_agent_message = 16 * 1024;
inline constexpr std::size_t max_agent_code = 100;
inline constexpr std::size_t max_artifacts = 1000;
inline constexpr std::size_t max_artifact_name = 4096;

/// At most `max` bytes of the redacted text, then an ellipsis.
std::string agent_text(const Redactor& redactor, std::string_view text, std::size_t max);

/// The artifacts that an agent names; those outside the worktree are skipped with a warning.
void set_artifacts(const Redactor& redactor, const std::vector<std::string>& named,
                   ExecutionResult& result);

}  // namespace autoexec::inline v1
