#pragma once

#include "autoexec/diagnostic.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::test {

/// An invalid file and the expected messages.
struct BrokenFile {
    std::string title;
    std::string text;
    std::string expected;  ///< As `described` gives it.
};

/// A corpus is a text file of cases: `=== title`, the file, `--->`, what is expected.
std::vector<BrokenFile> read_corpus(const std::filesystem::path& path);

/// `line:column: severity: message`, and `    hint` where there is one.
std::string described(const std::vector<Diagnostic>& diagnostics);

}  // namespace autoexec::test
