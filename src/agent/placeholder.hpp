#pragma once

#include "autoexec/agents_file.hpp"

#include <optional>
#include <string>
#include <string_view>

/// The names of placeholders. Pure.
namespace autoexec::agent {

/// The word in `{word}`, of lower-case letters and underscores, that `text` begins with; else
/// empty.
std::string_view name_in_braces(std::string_view text);

std::optional<Placeholder> placeholder_named(std::string_view name);

/// The known name that is nearest; empty if none is near.
std::string_view guess_placeholder(std::string_view name);

/// `{command}, {command_file_path}, …`
std::string placeholder_list();

}  // namespace autoexec::agent
