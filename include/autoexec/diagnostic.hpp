#pragma once

#include <span>
#include <string>

namespace autoexec::inline v1 {

/// A problem in a file that a person wrote, with its place.
struct Diagnostic {
    /// Whether the file can be used.
    enum class Severity { error, warning };

    Severity severity = Severity::error;
    std::string path;         ///< As it is shown.
    int line = 0;             ///< 1…; zero: the file as a whole.
    int column = 0;           ///< 1…, in bytes; zero: the line as a whole.
    std::string message;      ///< The problem, without the place.
    std::string hint;         ///< How to correct it; may be empty.
    std::string source_line;  ///< The line, or the part of it around the column.
    int source_column = 0;    ///< Where `column` is in `source_line`.
};

/// As compilers show them, safe for a terminal, with a newline at the end:
///
///     agents.yaml:4:7: error: Agent 1: Field 'enabled' must be true or false
///       4 |     enabled: maybe
///         |              ^
///       hint: …
std::string to_string(const Diagnostic& diagnostic);

/// One after the other.
std::string to_string(std::span<const Diagnostic> diagnostics);

}  // namespace autoexec::inline v1
