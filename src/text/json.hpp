#pragma once

#include "text/text_buffer.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::text {

inline constexpr std::size_t json_depth_limit = 32;
/// Bounds the memory for a hostile document to a small multiple of its text.
inline constexpr std::size_t json_value_limit = 1'000'000;
inline constexpr std::size_t json_warning_limit = 10;

/// The result of reading a file that should contain one JSON object.
struct JsonReading {
    enum class Kind {
        incomplete,  ///< More text could complete it.
        malformed,   ///< More text cannot complete it.
        valid,
    };
    Kind kind = Kind::incomplete;
    boost::json::object object;  ///< Meaningful only for `valid`.
    std::string problem;         ///< One sentence, for `incomplete` and `malformed`.
    /// A string contained bytes that are not UTF-8, or half a surrogate pair; they were replaced
    /// with U+FFFD.
    bool repaired = false;
    /// A sentence for each number that is too large for a double; it is replaced with null, which
    /// means an absent field. At most `json_warning_limit`.
    std::vector<std::string> warnings;
};

/// Parses standard JSON, more strictly than most parsers: no duplicate keys, bounded depth and
/// count. Less strictly in three points: a byte-order mark is skipped, text in strings is repaired,
/// and a number that is too large is dropped. Time and memory are linear.
JsonReading read_json_object(std::string_view text);

/// Converts a valid JSON number. A whole number becomes an integer if it fits. Returns nullopt if
/// it is too large for a double; zero if it is too small.
std::optional<boost::json::value> json_number(std::string_view text, bool whole);

/// JSON as written by Python's `json.dumps(…, indent=2)`: ASCII, doubles as `1500.0`.
std::string dump_indented(const boost::json::value& value);

/// JSON on one line as written by Python's `json.dumps`: ASCII, `", "` and `": "`.
std::string dump_line(const boost::json::value& value);

/// An object on one line, written member by member: as `dump_line` of an object, without the
/// object.
class JsonLine {
public:
    /// `before` is the text before the object.
    explicit JsonLine(std::string_view before = {}) : JsonLine(before, false) {}
    void text(std::string_view key, std::string_view value);
    /// null for an absent text.
    void text_or_null(std::string_view key, const std::optional<std::string>& value);
    void number(std::string_view key, std::int64_t value);
    void number(std::string_view key, double value);
    /// As `iso_utc`.
    void time(std::string_view key, std::chrono::system_clock::time_point value);
    void null(std::string_view key);
    void value(std::string_view key, const boost::json::value& value);
    void value(std::string_view key, const boost::json::object& value);

    void truth(std::string_view key, bool value);
    void texts(std::string_view key, const std::vector<std::string>& values);

    /// An object as a member: what follows is in it until `close`.
    void open(std::string_view key);
    void close();

    /// The members so far as a whole object. None is open.
    [[nodiscard]] std::string object() const&;
    [[nodiscard]] std::string object() &&;

protected:
    JsonLine(std::string_view before, bool indented);

private:
    void begin(std::string_view key);
    void next_item();
    void new_line();
    void end(char bracket);
    [[nodiscard]] bool is_empty() const { return line_.back() == '{' || line_.back() == '['; }

    TextBuffer line_;
    bool indented_;
    std::size_t depth_ = 1;
};

/// The same, as `dump_indented` of the object.
class JsonText : public JsonLine {
public:
    JsonText() : JsonLine({}, true) {}
};

/// null for an absent value.
template <class T>
boost::json::value or_null(const std::optional<T>& value)
{
    return value ? boost::json::value(*value) : boost::json::value(nullptr);
}

/// null for an empty text.
boost::json::value text_or_null(std::string_view text);

boost::json::array array_of(const std::vector<std::string>& texts);

}  // namespace autoexec::text
