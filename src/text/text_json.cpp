#include "text/json.hpp"
#include "text/text.hpp"
#include "text/text_buffer.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

namespace autoexec::text {
namespace {

namespace json = boost::json;

// A byte that a JSON string contains as it is.
constexpr bool is_plain_in_json(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

// The same for eight bytes at once.
bool are_plain_in_json(std::uint64_t bytes)
{
    constexpr auto each = ~std::uint64_t{0} / 0xFF;
    // The highest bit of some byte is set if one is below `limit`, which is at most 0x80.
    const auto below = [](std::uint64_t values, std::uint64_t limit) {
        return (values - each * limit) & ~values;
    };
    const auto equal = [&](unsigned char c) { return below(bytes ^ (each * c), 1); };
    const auto special = bytes | below(bytes, 0x20) | equal('"') | equal('\\') | equal(0x7F);
    return (special & (each * 0x80)) == 0;
}

std::size_t plain_length(std::string_view text)
{
    std::size_t at = 0;
    for (std::uint64_t bytes = 0; at + sizeof bytes <= text.size(); at += sizeof bytes) {
        std::memcpy(&bytes, text.data() + at, sizeof bytes);
        if (!are_plain_in_json(bytes)) break;
    }
    while (at < text.size() && is_plain_in_json(static_cast<unsigned char>(text[at]))) ++at;
    return at;
}

void append_unit(TextBuffer& out, char32_t unit)
{
    const char bytes[] = {static_cast<char>(unit >> 8), static_cast<char>(unit)};
    out.append("\\u");
    out.append_by(2 * sizeof bytes, [&bytes](char* at) {
        return write_hex(at, {bytes, sizeof bytes});
    });
}

void append_escaped(TextBuffer& out, char32_t c)
{
    constexpr std::string_view special = "\"\\\n\r\t\b\f";
    constexpr std::string_view letters = "\"\\nrtbf";
    const auto at = c < 0x80 ? special.find(static_cast<char>(c)) : special.npos;
    if (at != special.npos) {
        out.append('\\');
        out.append(letters[at]);
    } else if (c < 0x10000) {
        append_unit(out, c);
    } else {
        append_unit(out, 0xD800 + ((c - 0x10000) >> 10));
        append_unit(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
    }
}

void append_string(TextBuffer& out, std::string_view text)
{
    out.append('"');
    for (;;) {
        // Most text needs no escapes and is copied in one piece.
        const auto plain = plain_length(text);
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty()) break;
        const auto step = decode_utf8(text);
        append_escaped(out, step.code_point);
        text.remove_prefix(step.length);
    }
    out.append('"');
}

// Python's `repr`: the shortest digits that read back exactly; with an exponent if that is below -4
// or above 15.
void append_double(TextBuffer& out, double value)
{
    if (!std::isfinite(value)) return out.append("null");  // JSON has no such number
    const auto size = std::fabs(value);
    const bool fixed = value == 0 || (size >= 1e-4 && size < 1e16);
    constexpr std::size_t max_size = 40;
    const auto begin = out.size();
    out.append_by(max_size, [value, fixed](char* at) {
        const auto form = fixed ? std::chars_format::fixed : std::chars_format::scientific;
        return std::to_chars(at, at + max_size, value, form).ptr;
    });
    if (fixed && out.view().find('.', begin) == std::string_view::npos) out.append(".0");
}

class Dumper {
public:
    Dumper(TextBuffer& out, bool indented, std::size_t depth)
        : out_(out), indented_(indented), depth_(depth)
    {}

    void value(const json::value& v)
    {
        switch (v.kind()) {
            case json::kind::null:
                out_.append("null");
                break;
            case json::kind::bool_:
                out_.append(v.get_bool() ? "true" : "false");
                break;
            case json::kind::int64:
                out_.append_number(v.get_int64());
                break;
            case json::kind::uint64:
                out_.append_number(v.get_uint64());
                break;
            case json::kind::double_:
                append_double(out_, v.get_double());
                break;
            case json::kind::string:
                append_string(out_, v.get_string());
                break;
            case json::kind::array:
                sequence('[', ']', v.get_array(), [this](const auto& item) { value(item); });
                break;
            case json::kind::object:
                object(v.get_object());
                break;
        }
    }

    void object(const json::object& members)
    {
        sequence('{', '}', members, [this](const auto& member) {
            append_string(out_, member.key());
            out_.append(": ");
            value(member.value());
        });
    }

private:
    template <class Items, class Each>
    void sequence(char open, char close, const Items& items, Each each)
    {
        out_.append(open);
        ++depth_;
        bool first = true;
        for (const auto& item : items) {
            if (!first) out_.append(indented_ ? "," : ", ");
            first = false;
            new_line();
            each(item);
        }
        --depth_;
        if (!first) new_line();
        out_.append(close);
    }

    void new_line()
    {
        if (!indented_) return;
        out_.append('\n');
        out_.append(2 * depth_, ' ');
    }

    TextBuffer& out_;
    bool indented_;
    std::size_t depth_;
};

std::string dump(const json::value& value, bool indented)
{
    TextBuffer out;
    Dumper(out, indented, 0).value(value);
    return std::move(out).release();
}

}  // namespace

JsonLine::JsonLine(std::string_view before, bool indented) : indented_(indented)
{
    line_.append(before);
    line_.append('{');
}

void JsonLine::begin(std::string_view key)
{
    next_item();
    append_string(line_, key);
    line_.append(": ");
}

void JsonLine::next_item()
{
    if (!is_empty()) line_.append(indented_ ? "," : ", ");
    if (indented_) new_line();
}

void JsonLine::new_line()
{
    line_.append('\n');
    line_.append(2 * depth_, ' ');
}

void JsonLine::end(char bracket)
{
    --depth_;
    if (indented_ && !is_empty()) new_line();
    line_.append(bracket);
}

void JsonLine::open(std::string_view key)
{
    begin(key);
    line_.append('{');
    ++depth_;
}

void JsonLine::close()
{
    end('}');
}

std::string JsonLine::object() const&
{
    const auto members = line_.view();
    std::string whole;
    whole.reserve(members.size() + 2);
    whole += members;
    if (indented_ && !is_empty()) whole += '\n';
    whole += '}';
    return whole;
}

std::string JsonLine::object() &&
{
    end('}');
    return std::move(line_).release();
}

void JsonLine::truth(std::string_view key, bool value)
{
    begin(key);
    line_.append(value ? "true" : "false");
}

void JsonLine::texts(std::string_view key, const std::vector<std::string>& values)
{
    begin(key);
    line_.append('[');
    ++depth_;
    for (const auto& value : values) {
        next_item();
        append_string(line_, value);
    }
    end(']');
}

void JsonLine::text(std::string_view key, std::string_view value)
{
    begin(key);
    append_string(line_, value);
}

void JsonLine::text_or_null(std::string_view key, const std::optional<std::string>& value)
{
    if (value)
        text(key, std::string_view(*value));
    else
        null(key);
}

void JsonLine::number(std::string_view key, std::int64_t value)
{
    begin(key);
    line_.append_number(value);
}

void JsonLine::number(std::string_view key, double value)
{
    begin(key);
    append_double(line_, value);
}

void JsonLine::time(std::string_view key, std::chrono::system_clock::time_point value)
{
    begin(key);
    line_.append('"');
    line_.append_by(iso_utc_size, [value](char* at) { return write_iso_utc(at, value); });
    line_.append('"');
}

void JsonLine::null(std::string_view key)
{
    begin(key);
    line_.append("null");
}

void JsonLine::value(std::string_view key, const json::value& value)
{
    begin(key);
    Dumper(line_, indented_, depth_).value(value);
}

void JsonLine::value(std::string_view key, const json::object& value)
{
    begin(key);
    Dumper(line_, indented_, depth_).object(value);
}

std::string dump_indented(const json::value& value)
{
    return dump(value, true);
}

std::string dump_line(const json::value& value)
{
    return dump(value, false);
}

std::string format_double(double value)
{
    TextBuffer out;
    append_double(out, value);
    return std::string(out.view());
}

json::value text_or_null(std::string_view text)
{
    return text.empty() ? json::value(nullptr) : json::value(text);
}

json::array array_of(const std::vector<std::string>& texts)
{
    return json::array(texts.begin(), texts.end());
}

}  // namespace autoexec::text
