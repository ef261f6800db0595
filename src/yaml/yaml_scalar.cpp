#include "yaml/yaml.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace autoexec::yaml {
namespace {

bool is_one_of(std::string_view text, std::span<const std::string_view> words)
{
    return std::find(words.begin(), words.end(), text) != words.end();
}

std::optional<std::string_view> plain_text(const YamlNode& node)
{
    if (node.kind != YamlNode::Kind::scalar || node.quoted) return std::nullopt;
    return node.text;
}

template <typename T>
std::optional<T> read_whole(std::string_view text)
{
    if (text.starts_with('+')) text.remove_prefix(1);
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Digits with at most a sign, a point and an exponent: `from_chars` would take `inf`, too.
bool looks_like_number(std::string_view text)
{
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (text.starts_with('.')) text.remove_prefix(1);
    return !text.empty() && is_digit(text.front());
}

}  // namespace

std::optional<bool> YamlNode::as_bool() const
{
    static constexpr std::array<std::string_view, 9> yes{"true", "True", "TRUE", "yes", "Yes",
                                                         "YES",  "on",   "On",   "ON"};
    static constexpr std::array<std::string_view, 9> no{"false", "False", "FALSE", "no", "No",
                                                        "NO",    "off",   "Off",   "OFF"};
    const auto plain = plain_text(*this);
    if (plain && is_one_of(*plain, yes)) return true;
    if (plain && is_one_of(*plain, no)) return false;
    return std::nullopt;
}

std::optional<std::int64_t> YamlNode::as_integer() const
{
    const auto plain = plain_text(*this);
    if (!plain) return std::nullopt;
    const auto digits = plain->substr(plain->find_first_not_of("+-") == 1 ? 1 : 0);
    if (digits.empty() || !is_digit(digits.front())) return std::nullopt;
    if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
    return read_whole<std::int64_t>(*plain);
}

std::optional<double> YamlNode::as_number() const
{
    const auto plain = plain_text(*this);
    if (!plain || !looks_like_number(*plain)) return std::nullopt;
    return read_whole<double>(*plain);
}

std::optional<std::string> YamlNode::as_string() const
{
    if (kind != Kind::scalar || as_bool() || as_number()) return std::nullopt;
    return text;
}

std::string_view YamlNode::describe() const
{
    switch (kind) {
        case Kind::null:
            return "empty";
        case Kind::sequence:
            return "a list";
        case Kind::mapping:
            return "a mapping";
        case Kind::scalar:
            break;
    }
    return as_bool() ? "true or false" : as_number() ? "a number" : "text";
}

}  // namespace autoexec::yaml
