#pragma once

#include "agent/template.hpp"

namespace autoexec::agent {

/// The word (lower-case letters and underscores) if `text` begins with `{word}`; otherwise empty.
std::string_view name_in_braces(std::string_view text);

/// True, with the problem, if `text` begins with a placeholder that lacks its brace.
bool is_unclosed(std::string_view text, TemplateProblem& problem);

std::optional<Placeholder> placeholder_named(std::string_view name);

/// A call of `/bin/sh` for the script. Replaces known placeholders by references to positional
/// parameters, so that a value is one word, quoted or not. A placeholder in single quotes is an
/// error.
///
/// Follows quotes, `$(…)`, backquotes and comments. If it misreads the script (a here-document), a
/// value may be split into words, but never becomes part of the script.
std::optional<CommandTemplate> compile_script(std::string_view text, TemplateProblem& problem);

}  // namespace autoexec::agent
