#pragma once

#include "yaml/report.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::yaml {

struct YamlEntry;

/// A YAML node with its position. A scalar keeps its text; the reader decides its type.
struct YamlNode {
    enum class Kind { null, scalar, sequence, mapping };

    Kind kind = Kind::null;
    Position at;                     ///< Of a null in a mapping: that of its key.
    std::string text;                ///< Of a scalar, and of a null that is written out.
    bool quoted = false;             ///< Quoted or a block: always text.
    std::vector<YamlNode> items;     ///< Of a sequence.
    std::vector<YamlEntry> entries;  ///< Of a mapping, in order.

    /// True if nothing is written.
    [[nodiscard]] bool is_empty() const { return kind == Kind::null && text.empty(); }

    /// The first entry of a mapping with that key; null if there is none.
    [[nodiscard]] const YamlEntry* find_entry(std::string_view key) const;
    /// Its value.
    [[nodiscard]] const YamlNode* find(std::string_view key) const;

    // What a scalar means, if it is one of that type. `010` is no integer: to some readers it
    // is 8, to others 10. Booleans are those of YAML 1.1, `yes` and `off` included.
    [[nodiscard]] std::optional<bool> as_bool() const;
    [[nodiscard]] std::optional<std::int64_t> as_integer() const;
    [[nodiscard]] std::optional<double> as_number() const;
    [[nodiscard]] std::optional<std::string> as_string() const;

    /// `text`, `a number`, `a list` …
    [[nodiscard]] std::string_view describe() const;
};

struct YamlEntry {
    std::string key;
    Position at;
    YamlNode value;
};

struct YamlLimits {
    std::size_t bytes = 1024 * 1024;
    std::size_t nodes = 50'000;  ///< The nodes of an alias count each time.
    std::size_t depth = 32;
};

/// Parses one document. An empty one is a null node. A duplicate key is an error in `report`, and
/// parsing continues. Nothing, with an error in `report`, if the text is not valid UTF-8 or YAML,
/// exceeds a limit, or has a second document.
std::optional<YamlNode> parse_yaml(std::string_view text, Report& report,
                                   const YamlLimits& limits = {});

/// The offset of a position in a text; the size of the text for positions after its end.
std::size_t offset_of(std::string_view text, Position at);

/// The length of the quoted scalar at the start of a text, with its quotes; `npos` if it does not
/// end.
std::size_t quoted_size(std::string_view text);

}  // namespace autoexec::yaml
