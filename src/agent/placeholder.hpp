#pragma once

#include "agent/template.hpp"

#include <optional>
#include <string>
#include <string_view>

/// The names of placeholders. Pure.
namespace autoexec::agent {

/// The word (lower-case letters and underscores) if `text` begins with `{word}`; otherwise empty.
std::string_view name_in_braces(std::string_view text);

std::optional<Placeholder> placeholder_named(std::string_view name);

/// The most similar known name; empty if none is similar.
std::string_view guess_placeholder(std::string_view name);

/// `{command}, {command_file_path}, …`
std::string placeholder_list();

}  // namespace autoexec::agent
