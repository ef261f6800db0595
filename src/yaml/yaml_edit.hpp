#pragma once

#include "yaml/yaml.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Changes YAML text and preserves the rest, its line ends included. Pure.
namespace autoexec::yaml {

/// The keys that lead to a node.
using YamlPath = std::span<const std::string>;

/// A scalar that parses as `text`; `plain`: without quotes, for numbers, booleans and words.
YamlNode make_scalar(std::string text, bool plain);

/// The text on one line, in double quotes.
std::string quote_yaml(std::string_view text);

/// Writes the node as lines of YAML, indented by `indentation`.
std::string write_yaml(const YamlNode& node, std::size_t indentation = 0);

/// Compares everything but positions and the order of keys.
bool same_content(const YamlNode& a, const YamlNode& b);

/// Null if a key does not exist.
const YamlNode* find_in_yaml(const YamlNode& root, YamlPath path);

// The new text is parsed to check that no other value has changed. Comments, order and spacing
// stay. If the form of the text (a section in braces, an alias) requires it, the section is written
// again, but only if it has no comments.

/// Sets the scalar at `path`. Nothing if the text is not a YAML mapping, a value on the path is not
/// one, or comments would be lost.
std::optional<std::string> set_in_yaml(std::string_view text, YamlPath path, const YamlNode& value);

/// Renames the entry at `from` and moves it to another mapping if the paths say so, with the
/// comments above it. `to` must not exist. Nothing if there is no such entry, `to` is not possible,
/// or comments would be lost.
std::optional<std::string> rename_in_yaml(std::string_view text, YamlPath from, YamlPath to);

/// Removes the entry, and mappings that become empty; comments about them stay.
std::optional<std::string> remove_in_yaml(std::string_view text, YamlPath path);

}  // namespace autoexec::yaml
