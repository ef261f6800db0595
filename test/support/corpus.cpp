#include "support/corpus.hpp"

#include "text/text.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <string_view>

namespace autoexec::test {

namespace {

// `\xNN` stands for a byte, `\r` for itself, where the title says so: editors must not touch them.
std::string unescaped(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == "\\x") {
            unsigned byte = 0;
            std::from_chars(text.data() + i + 2, text.data() + i + 4, byte, 16);
            out += static_cast<char>(byte);
            i += 3;
        } else if (text.substr(i, 2) == "\\r") {
            out += '\r';
            ++i;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace

std::vector<BrokenFile> read_corpus(const std::filesystem::path& path)
{
    std::vector<BrokenFile> cases;
    std::ifstream in(path, std::ios::binary);
    REQUIRE_MESSAGE(in, path.string());
    bool expected = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("=== ")) {
            cases.push_back({line.substr(4), {}, {}});
            expected = false;
        } else if (line == "--->") {
            expected = true;
        } else if (!cases.empty()) {
            (expected ? cases.back().expected : cases.back().text) += line + "\n";
        }
    }
    for (auto& one : cases)
        if (one.title.ends_with("(escaped)")) one.text = unescaped(one.text);
    return cases;
}

std::string described(const std::vector<Diagnostic>& diagnostics)
{
    std::string text;
    for (const auto& d : diagnostics) {
        text += fmt::format("{}:{}: {}: {}\n", d.line, d.column,
                            d.severity == Diagnostic::Severity::error ? "error" : "warning",
                            text::printable(d.message));
        if (!d.hint.empty()) text += fmt::format("    {}\n", text::printable(d.hint));
    }
    return text;
}

}  // namespace autoexec::test
