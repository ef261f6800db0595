#pragma once

#include "autoexec/workflow.hpp"
#include "autoexec/workflow_result.hpp"

#include <optional>
#include <string_view>

/// Reads the words that `to_string` writes for the enumerations of the file formats.
namespace autoexec::protocol {

/// Empty for an unknown word.
template <class Enum>
std::optional<Enum> parse_word(std::string_view word) noexcept;

}  // namespace autoexec::protocol
