#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

namespace autoexec::text {
namespace {

namespace json = boost::json;

bool is_plain_in_json(char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

void append_escaped(std::string& out, char32_t c)
{
    constexpr std::string_view special = "\"\\\n\r\t\b\f";
    constexpr std::string_view letters = "\"\\nrtbf";
    const auto escape = [&out](char32_t unit) {
        out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(unit));
    };
    const auto at = c < 0x80 ? special.find(static_cast<char>(c)) : special.npos;
    if (at != special.npos) {
        out.append({'\\', letters[at]});
    } else if (c >= 0x20 && c < 0x7F) {
        out += static_cast<char>(c);
    } else if (c < 0x10000) {
        escape(c);
    } else {
        escape(0xD800 + ((c - 0x10000) >> 10));
        escape(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
}

void append_string(std::string& out, std::string_view text)
{
    out += '"';
    while (!text.empty()) {
        // Most text needs no escapes and is copied in one piece.
        const auto* const rest = std::find_if_not(text.begin(), text.end(), is_plain_in_json);
        out.append(text.begin(), rest);
        text.remove_prefix(static_cast<std::size_t>(rest - text.begin()));
        if (text.empty()) break;
        const auto step = decode_utf8(text);
        append_escaped(out, step.code_point);
        text.remove_prefix(step.length);
    }
    out += '"';
}

class Dumper {
public:
    explicit Dumper(bool indented, std::size_t depth = 0) : indented_(indented), depth_(depth) {}

    std::string release() { return std::move(out_); }

    void value(const json::value& v)
    {
        switch (v.kind()) {
            case json::kind::null:
                out_ += "null";
                break;
            case json::kind::bool_:
                out_ += v.get_bool() ? "true" : "false";
                break;
            case json::kind::int64:
                out_ += fmt::format("{}", v.get_int64());
                break;
            case json::kind::uint64:
                out_ += fmt::format("{}", v.get_uint64());
                break;
            case json::kind::double_:
                out_ += format_double(v.get_double());
                break;
            case json::kind::string:
                string(v.get_string());
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
            string(member.key());
            out_ += ": ";
            value(member.value());
        });
    }

private:
    void string(std::string_view text) { append_string(out_, text); }

    template <class Items, class Each>
    void sequence(char open, char close, const Items& items, Each each)
    {
        out_ += open;
        ++depth_;
        bool first = true;
        for (const auto& item : items) {
            if (!first) out_ += indented_ ? "," : ", ";
            first = false;
            new_line();
            each(item);
        }
        --depth_;
        if (!first) new_line();
        out_ += close;
    }

    void new_line()
    {
        if (indented_) out_.append("\n").append(2 * depth_, ' ');
    }

    std::string out_;
    bool indented_;
    std::size_t depth_;
};

std::string dump(const json::value& value, bool indented)
{
    Dumper dumper(indented);
    dumper.value(value);
    return dumper.release();
}

}  // namespace

void JsonLine::begin(std::string_view key)
{
    next_item();
    append_string(line_, key);
    line_ += ": ";
}

void JsonLine::next_item()
{
    if (!is_empty()) line_ += indented_ ? "," : ", ";
    if (indented_) line_.append("\n").append(2 * depth_, ' ');
}

void JsonLine::end(char bracket)
{
    --depth_;
    if (indented_ && !is_empty()) line_.append("\n").append(2 * depth_, ' ');
    line_ += bracket;
}

void JsonLine::open(std::string_view key)
{
    begin(key);
    line_ += '{';
    ++depth_;
}

void JsonLine::close()
{
    end('}');
}

std::string JsonLine::object() const
{
    auto whole = *this;
    whole.end('}');
    return std::move(whole.line_);
}

void JsonLine::truth(std::string_view key, bool value)
{
    begin(key);
    line_ += value ? "true" : "false";
}

void JsonLine::texts(std::string_view key, const std::vector<std::string>& values)
{
    begin(key);
    line_ += '[';
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
    line_ += std::to_string(value);
}

void JsonLine::number(std::string_view key, double value)
{
    begin(key);
    line_ += format_double(value);
}

void JsonLine::null(std::string_view key)
{
    begin(key);
    line_ += "null";
}

void JsonLine::value(std::string_view key, const json::value& value)
{
    begin(key);
    Dumper dumper(indented_, depth_);
    dumper.value(value);
    line_ += dumper.release();
}

void JsonLine::value(std::string_view key, const json::object& value)
{
    begin(key);
    Dumper dumper(indented_, depth_);
    dumper.object(value);
    line_ += dumper.release();
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
    if (!std::isfinite(value)) return "null";  // JSON has no such number
    // Python's `repr`: the shortest digits that read back exactly; with an exponent if that is
    // below -4 or above 15.
    const auto size = std::fabs(value);
    const bool fixed = value == 0 || (size >= 1e-4 && size < 1e16);
    std::array<char, 40> buffer;
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                      fixed ? std::chars_format::fixed : std::chars_format::scientific);
    std::string out(buffer.data(), end.ptr);
    if (fixed && out.find('.') == out.npos) out += ".0";
    return out;
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
