#pragma once

#include <string_view>

namespace autoexec::workflow {

/// Whether workflows of the original system use this name for a role, which any agent can play.
/// Compared in lower case.
[[nodiscard]] bool is_known_role(std::string_view name);

}  // namespace autoexec::workflow
