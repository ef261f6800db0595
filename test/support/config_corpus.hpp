#pragma once

#include <doctest/doctest.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

/// One file that is wrong, with what is said about it.
struct BrokenFile {
    std::string title;
    std::string text;
    std::string expected;  ///< `line:column: severity: message`, and `    hint` where there is one.
};

// `\xNN` stands for a byte, `\r` for itself, where the title says so: editors must not touch them.
inline std::string unescaped(std::string_view text)
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

/// A corpus is a text file of cases: `=== title`, the file, `--->`, what is expected.
inline std::vector<BrokenFile> read_corpus(const std::filesystem::path& path)
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

}  // namespace autoexec::test
