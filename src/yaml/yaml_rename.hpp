#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Renames and removes keys in YAML text. Comments and order stay, unless the form
/// of the text (a section in braces, an alias) requires the section to be written again. Pure.
namespace autoexec::yaml {

using YamlPath = std::span<const std::string>;

/// Renames the entry at `from` and moves it to another mapping if the paths say so, with the
/// comments above it. `to` must not exist. Nothing if there is no such entry, or `to` is not
/// possible.
std::optional<std::string> rename_in_yaml(std::string_view text, YamlPath from, YamlPath to);

/// Removes the entry; comments about it stay.
std::optional<std::string> remove_in_yaml(std::string_view text, YamlPath path);

}  // namespace autoexec::yaml
