#pragma once

#include "autoexec/command.hpp"
#include "autoexec/redaction.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

inline constexpr std::size_t max_artifacts = 1000;
inline constexpr std::size_t max_artifact_name = 4096;

/// The artifacts that an agent names; redacted, and bounded in number and length. Those outside the
/// worktree are skipped with a warning.
void set_artifacts(const Redactor& redactor, const std::vector<std::string>& named,
                   ExecutionResult& result);

}  // namespace autoexec::inline v1
