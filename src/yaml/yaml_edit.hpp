#pragma once

#include "yaml/yaml.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Changes values in YAML text and preserves the rest. Pure.
namespace autoexec::yaml {

/// A scalar that parses as `text`; `plain`: without quotes, for numbers, booleans and words.
YamlNode make_scalar(std::string text, bool plain);

/// The text on one line, in double quotes.
std::string quote_yaml(std::string_view text);

/// Writes the node as lines of YAML, indented by `indentation`.
std::string write_yaml(const YamlNode& node, std::size_t indentation = 0);

/// Compares everything but positions.
bool same_content(const YamlNode& a, const YamlNode& b);

/// Where the lines of an entry of the document end. The comments at the margin above the next entry
/// are not of this one.
std::size_t end_of_section(std::string_view text, const YamlNode& root, std::size_t entry);

/// Sets the scalar at `path`. The new text is parsed to check that no other value has changed.
/// Comments, order and spacing stay, unless the form of the text (a section in braces, an alias)
/// requires the section to be rewritten. Nothing if the text is not a YAML mapping, or a value on
/// the path is not one.
std::optional<std::string> set_in_yaml(std::string_view text, std::span<const std::string> path,
                                       const YamlNode& value);

}  // namespace autoexec::yaml
