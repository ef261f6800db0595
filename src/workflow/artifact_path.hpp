#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace autoexec::workflow {

/// A path as it is compared: relative, normal, without a slash at its end. Nothing if it is empty,
/// absolute, or leads out.
std::optional<std::string> artifact_path(std::string_view path);

}  // namespace autoexec::workflow
