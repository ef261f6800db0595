#include "autoexec/diagnostic.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::inline v1 {
namespace {

// As wide as the text before the column, so that the caret is below the column.
std::string padding(const Diagnostic& d)
{
    const auto before = static_cast<std::size_t>(std::max(d.source_column - 1, 0));
    std::string padding;
    for (const char c : text::printable(std::string_view(d.source_line).substr(0, before))) {
        const bool within_character = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
        if (!within_character) padding += c == '\t' ? '\t' : ' ';
    }
    return padding;
}

std::string location(const Diagnostic& d)
{
    auto path = text::printable(d.path);
    if (d.line <= 0) return path;
    if (d.column <= 0) return fmt::format("{}:{}", path, d.line);
    return fmt::format("{}:{}:{}", path, d.line, d.column);
}

}  // namespace

std::string to_string(const Diagnostic& d)
{
    const auto* word = d.severity == Diagnostic::Severity::error ? "error" : "warning";
    auto text = fmt::format("{}: {}: {}\n", location(d), word, text::printable(d.message));
    if (d.line > 0 && !d.source_line.empty()) {
        text += fmt::format("{:>5} | {}\n", d.line, text::printable(d.source_line));
        if (d.source_column > 0) text += fmt::format("      | {}^\n", padding(d));
    }
    if (!d.hint.empty()) text += fmt::format("  hint: {}\n", text::printable(d.hint));
    return text;
}

std::string to_string(std::span<const Diagnostic> diagnostics)
{
    std::string text;
    for (const auto& diagnostic : diagnostics) text += to_string(diagnostic);
    return text;
}

}  // namespace autoexec::inline v1
