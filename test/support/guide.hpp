#pragma once

#include "support/program.hpp"
#include "support/text.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// The pages in `doc/` whose examples are run.
namespace autoexec::test {

inline const fs::path documents = fs::path(AUTOEXEC_SOURCE_DIR) / "doc";

/// A command of a page, which is indented and follows `$ `, and what it prints.
struct Transcript {
    std::string command;
    Words lines;
    int code = 0;  ///< As the marker `<!-- exit CODE -->` above it says.
};

/// A block of YAML with the commands below it, or, with a marker that `opens_project`, those
/// without one.
struct Example {
    std::string marker;  ///< Of the comment above it: `<!-- MARKER -->`.
    std::size_t line = 0;
    std::string text;
    std::vector<Transcript> transcripts;

    /// As the comment in its first line says, else by its id.
    [[nodiscard]] std::string file() const;
};

/// Whether the examples from here to the next such marker share a repository.
bool opens_project(std::string_view marker);

std::vector<Example> read_page(const std::string& page);

/// Compares what a page shows with what is printed, without ids and times, and without the number
/// of spaces.
class Comparison {
public:
    /// The lines that were not printed; `…` is none. Remembers the ids of the others.
    Words missing(const Transcript& transcript, const Ended& ended);

    /// With the ids and paths of this time instead of those that the page has shown before.
    [[nodiscard]] std::string translated(std::string command) const;

private:
    /// A path contains the id of its run.
    struct LongerFirst {
        bool operator()(const std::string& a, const std::string& b) const
        {
            return a.size() != b.size() ? a.size() > b.size() : a < b;
        }
    };

    void learn(const std::string& shown, const std::string& printed);

    std::map<std::string, std::string, LongerFirst> names_;
};

}  // namespace autoexec::test
