#pragma once

#include "agent/template.hpp"

namespace autoexec::agent {

struct ShellScript {
    std::string text;                    ///< With `"${1}"` in place of the first argument.
    std::vector<Placeholder> arguments;  ///< `$1`, `$2` …, without duplicates.
};

/// Replaces known placeholders by references to positional parameters, so that a value is one word,
/// quoted or not. A placeholder in single quotes is an error.
///
/// Follows quotes, `$(…)`, backquotes and comments. If it misreads the script (a here-document), a
/// value may be split into words, but never becomes part of the script.
std::optional<ShellScript> compile_script(std::string_view text, TemplateProblem& problem);

}  // namespace autoexec::agent
