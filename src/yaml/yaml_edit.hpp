#pragma once

#include "yaml/yaml.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Changes values in YAML that a person wrote, and leaves the rest as it is. Pure.
namespace autoexec::yaml {

/// A scalar that is read back as `text`; `plain` without quotes, for numbers, booleans and words.
YamlNode make_scalar(std::string text, bool plain);

/// The same text on one line, in double quotes.
std::string quote_yaml(std::string_view text);

/// The node as lines of YAML, each indented by `indentation`.
std::string write_yaml(const YamlNode& node, std::size_t indentation = 0);

/// Equal but for where they stand.
bool same_content(const YamlNode& a, const YamlNode& b);

/// Sets the scalar that the keys in `path` lead to. What the new text means is checked: all other
/// values are what they were. Comments, order and spacing stay, unless the form of the text (a
/// section in braces, an alias) asks for the section to be written anew. Nothing if the text is no
/// YAML mapping, or something else than a mapping is in the way.
std::optional<std::string> set_in_yaml(std::string_view text, std::span<const std::string> path,
                                       const YamlNode& value);

}  // namespace autoexec::yaml
