#pragma once

#include <boost/json/object.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::protocol {

inline constexpr std::size_t json_depth_limit = 32;
/// Keeps the memory for a hostile document within a small multiple of its text.
inline constexpr std::size_t json_value_limit = 1'000'000;
inline constexpr std::size_t json_warning_limit = 10;

/// What a file that should hold one JSON object holds.
struct JsonReading {
    enum class Kind {
        incomplete,  ///< Could become an object if more were appended.
        malformed,   ///< Could not.
        valid,
    };
    Kind kind = Kind::incomplete;
    boost::json::object object;  ///< Meaningful only for `valid`.
    std::string problem;         ///< One sentence, for `incomplete` and `malformed`.
    /// Some string held bytes that are not UTF-8, or half a surrogate pair; U+FFFD stands there.
    bool repaired = false;
    /// A sentence for each number that is too large for a double: null stands in its place, which
    /// is the same as an absent field. At most `json_warning_limit`.
    std::vector<std::string> warnings;
};

/// JSON as its standard says, stricter than most parsers: no duplicate keys, bounded depth and
/// count. Laxer in three points: a byte-order mark is skipped, text in strings is repaired instead
/// of refused, and a number that is too large is dropped. Time and memory are linear.
JsonReading read_json_object(std::string_view text);

}  // namespace autoexec::protocol
