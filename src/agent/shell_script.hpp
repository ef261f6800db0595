#pragma once

#include "agent/template.hpp"

namespace autoexec::agent {

struct ShellScript {
    std::string text;                    ///< With `"${1}"` where the first argument goes.
    std::vector<Placeholder> arguments;  ///< `$1`, `$2` …, none twice.
};

/// Puts references to positional parameters in the place of known placeholders, so that a value
/// is one word in bare text as in double quotes. In single quotes that can't be: an error.
///
/// Follows quotes, `$(…)`, backquotes and comments. Where it is misled (a here-document), a value
/// may be split into words; it never becomes part of the script.
std::optional<ShellScript> compile_script(std::string_view text, TemplateProblem& problem);

}  // namespace autoexec::agent
