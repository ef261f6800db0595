#include "text/json.hpp"

#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>

namespace autoexec::text {
namespace {

namespace json = boost::json;

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::string_view digits = "0123456789";

template <class Number>
std::optional<Number> read_number(std::string_view text)
{
    Number number{};
    const auto ec = std::from_chars(text.data(), text.data() + text.size(), number).ec;
    return ec == std::errc{} ? std::optional(number) : std::nullopt;
}

/// For a number outside a double's range: true if it is too small, not too large. `from_chars` has
/// the same error for both.
bool is_below_one(std::string_view text)
{
    const auto e = std::min(text.find_first_of("eE"), text.size());
    const auto point = static_cast<std::int64_t>(std::min(text.find('.'), e));
    const auto first = static_cast<std::int64_t>(text.find_first_of("123456789"));
    auto exponent = text.substr(std::min(e + 1, text.size()));
    const bool negative = exponent.starts_with('-');
    if (negative || exponent.starts_with('+')) exponent.remove_prefix(1);
    if (exponent.empty()) return point < first;
    const auto size = read_number<std::int32_t>(exponent);
    if (!size) return negative;
    return point - first + (negative ? -*size : *size) < 0;
}

/// Recursive descent; the depth limit bounds the stack. A reading function that fails sets
/// `problem_` and returns false, which ends the parsing.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    JsonReading read()
    {
        JsonReading out;
        if (document(out.object))
            out.kind = JsonReading::Kind::valid;
        else
            out.kind = incomplete_ ? JsonReading::Kind::incomplete : JsonReading::Kind::malformed;
        out.problem = std::move(problem_);
        out.repaired = repaired_;
        out.warnings = std::move(warnings_);
        return out;
    }

private:
    bool document(json::object& out)
    {
        if (looks_like_utf16()) return fail("It is UTF-16; UTF-8 is needed");
        if (text_.empty()) return cut_off();
        if (text_.front() == byte_order_mark.front()) {
            if (byte_order_mark.starts_with(text_)) return cut_off();
            if (text_.starts_with(byte_order_mark)) at_ = byte_order_mark.size();
        }
        skip_space();
        if (at_end()) return cut_off();
        if (text_[at_] != '{') return fail("It is not a JSON object");
        if (!object(out)) return false;
        skip_space();
        return at_end() || fail("Text follows the JSON object");
    }

    bool looks_like_utf16() const
    {
        return text_.starts_with("\xFF\xFE") || text_.starts_with("\xFE\xFF") ||
               text_.starts_with(std::string_view("{\0", 2)) ||
               text_.starts_with(std::string_view("\0{", 2));
    }

    bool value(json::value& out)
    {
        if (++values_ > json_value_limit) return fail("It contains more than a million values");
        if (at_end()) return cut_off();
        switch (text_[at_]) {
            case '{':
                return object(out.emplace_object());
            case '[':
                return array(out.emplace_array());
            case '"':
                ++at_;
                return string(out.emplace_string());
            case 't':
                return out = true, literal("true");
            case 'f':
                return out = false, literal("false");
            case 'n':
                return literal("null");  // unchanged
            default:
                return number(out);
        }
    }

    bool object(json::object& out)
    {
        return sequence('}', "a comma or a closing brace", [&] {
            json::string key;
            if (!expect('"', "a key in double quotes") || !string(key)) return false;
            skip_space();
            if (!expect(':', "a colon")) return false;
            skip_space();
            const auto [member, fresh] = out.emplace(key, nullptr);
            if (!fresh) return fail("A key occurs twice in one object");
            const auto outer = std::exchange(key_, key);
            const bool done = value(member->value());
            key_ = outer;
            return done;
        });
    }

    bool array(json::array& out)
    {
        return sequence(']', "a comma or a closing bracket",
                        [&] { return value(out.emplace_back(nullptr)); });
    }

    /// From the opening bracket on.
    template <class Item>
    bool sequence(char bracket, std::string_view expected, Item item)
    {
        if (++depth_ > json_depth_limit) return fail("It is nested deeper than 32 levels");
        ++at_;
        skip_space();
        if (consume(bracket)) return --depth_, true;
        do {
            skip_space();
            if (!item()) return false;
            skip_space();
        } while (consume(','));
        --depth_;
        return expect(bracket, expected);
    }

    /// After the opening quote.
    bool string(json::string& out)
    {
        while (!at_end()) {
            const char c = text_[at_];
            if (c == '"') return ++at_, true;
            if (c == '\\') {
                if (!escape(out)) return false;
            } else if (static_cast<unsigned char>(c) < 0x20) {
                return fail("A string contains a raw control character");
            } else {
                plain_run(out);
            }
        }
        return cut_off();
    }

    /// Everything up to the next quote, backslash or control character.
    void plain_run(json::string& out)
    {
        const auto begin = at_;
        while (!at_end()) {
            const auto c = static_cast<unsigned char>(text_[at_]);
            if (c == '"' || c == '\\' || c < 0x20) break;
            const auto step = c < 0x80 ? Utf8Step{c, 1, true} : decode_utf8(text_.substr(at_));
            if (!step.valid) break;
            at_ += step.length;
        }
        out.append(text_.substr(begin, at_ - begin));
        if (at_ > begin) return;
        at_ += decode_utf8(text_.substr(at_)).length;
        repair(out);
    }

    bool escape(json::string& out)
    {
        static constexpr std::string_view names = "\"\\/bfnrt";
        static constexpr std::string_view values = "\"\\/\b\f\n\r\t";
        if (++at_; at_end()) return cut_off();
        const char c = text_[at_++];
        if (c == 'u') return unicode_escape(out);
        const auto found = names.find(c);
        if (found == names.npos) return fail("A string contains an unknown escape");
        out.push_back(values[found]);
        return true;
    }

    bool unicode_escape(json::string& out)
    {
        const auto first = hex4();
        if (!first) return false;
        if (*first < 0xD800 || *first > 0xDFFF) return append(out, *first), true;
        const bool pairs = *first < 0xDC00 && text_.substr(at_).starts_with("\\u");
        if (!pairs) return repair(out), true;
        const auto before = at_;
        at_ += 2;
        const auto second = hex4();
        if (!second) return false;
        if (*second >= 0xDC00 && *second <= 0xDFFF)
            return append(out, 0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00)), true;
        at_ = before;
        return repair(out), true;
    }

    std::optional<char32_t> hex4()
    {
        std::uint32_t unit = 0;
        const auto part = text_.substr(at_, 4);
        const auto end = part.data() + part.size();
        const bool hex = part.find_first_not_of("0123456789abcdefABCDEF") == part.npos;
        if (!hex) return fail("A string contains an unknown escape"), std::nullopt;
        if (part.size() < 4) return cut_off(), std::nullopt;
        std::from_chars(part.data(), end, unit, 16);
        at_ += 4;
        return unit;
    }

    static void append(json::string& out, char32_t c)
    {
        std::string bytes;
        append_utf8(bytes, c);
        out.append(bytes);
    }

    void repair(json::string& out)
    {
        repaired_ = true;
        append(out, 0xFFFD);
    }

    bool literal(std::string_view word)
    {
        const auto here = text_.substr(at_, word.size());
        if (!word.starts_with(here)) return unexpected();
        at_ += here.size();
        return here == word || cut_off();
    }

    bool number(json::value& out)
    {
        const auto begin = at_;
        consume('-');
        const auto first = at_;
        if (!some_digits()) return false;
        if (text_[first] == '0' && at_ > first + 1) return fail("A number begins with a zero");
        bool integral = true;
        if (consume('.')) {
            integral = false;
            if (!some_digits()) return false;
        }
        if (consume('e') || consume('E')) {
            integral = false;
            if (!consume('+')) consume('-');
            if (!some_digits()) return false;
        }
        if (auto value = json_number(text_.substr(begin, at_ - begin), integral))
            out = std::move(*value);
        else
            drop_number(begin);
        return true;
    }

    /// The value stays null.
    void drop_number(std::size_t begin)
    {
        constexpr std::size_t max_key_length = 40;
        if (warnings_.size() == json_warning_limit) return;
        warnings_.push_back(fmt::format("`{}` is too large for a double and is ignored ({}).",
                                        printable(key_.substr(0, max_key_length)),
                                        position_of(begin)));
    }

    bool some_digits()
    {
        if (at_end()) return cut_off();
        if (digits.find(text_[at_]) == digits.npos) return unexpected();
        at_ = std::min(text_.find_first_not_of(digits, at_), text_.size());
        return true;
    }

    bool consume(char c)
    {
        const bool found = !at_end() && text_[at_] == c;
        at_ += found ? 1 : 0;
        return found;
    }

    bool expect(char c, std::string_view what)
    {
        if (at_end()) return cut_off();
        return consume(c) || fail(fmt::format("It is not JSON: {} is missing", what));
    }

    bool unexpected()
    {
        const auto rest = text_.substr(at_);
        if (rest.starts_with("NaN") || rest.starts_with("Infinity"))
            return fail("NaN and Infinity are not JSON");
        return fail("It is not JSON: a value is missing");
    }

    bool cut_off()
    {
        incomplete_ = true;
        problem_ = text_.empty() ? "It is empty." : "It is incomplete.";
        return false;
    }

    bool fail(std::string_view what)
    {
        problem_ = fmt::format("{} ({}).", what, position_of(at_));
        return false;
    }

    std::string position_of(std::size_t at) const
    {
        const auto before = text_.substr(0, at);
        const auto line_begin = before.rfind('\n') + 1;  // `npos` + 1 is 0
        return fmt::format("line {}, column {}", 1 + std::count(before.begin(), before.end(), '\n'),
                           1 + at - line_begin);
    }

    bool at_end() const { return at_ == text_.size(); }

    void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::size_t values_ = 0;
    bool incomplete_ = false;
    bool repaired_ = false;
    std::string problem_;
    std::string_view key_;  ///< Name of the current member.
    std::vector<std::string> warnings_;
};

}  // namespace

std::optional<boost::json::value> json_number(std::string_view text, bool whole)
{
    if (whole) {
        if (const auto number = read_number<std::int64_t>(text)) return *number;
        if (const auto number = read_number<std::uint64_t>(text)) return *number;
    }
    if (const auto number = read_number<double>(text)) return *number;
    if (is_below_one(text)) return 0.0;
    return std::nullopt;
}

JsonReading read_json_object(std::string_view text)
{
    return Parser(text).read();
}

}  // namespace autoexec::text
