#include "text/text.hpp"

namespace autoexec::text {
namespace {

/// The length for a lead byte, and the range of the second byte, which excludes overlong forms,
/// surrogates and values above U+10FFFF.
struct Lead {
    std::size_t length = 0;
    unsigned char second_min = 0x80;
    unsigned char second_max = 0xBF;
};

Lead lead_of(unsigned char c) noexcept
{
    if (c < 0x80) return {1};
    if (c < 0xC2) return {};
    if (c < 0xE0) return {2};
    if (c == 0xE0) return {3, 0xA0};
    if (c == 0xED) return {3, 0x80, 0x9F};
    if (c < 0xF0) return {3};
    if (c == 0xF0) return {4, 0x90};
    if (c < 0xF4) return {4};
    if (c == 0xF4) return {4, 0x80, 0x8F};
    return {};
}

bool is_continuation(char c) noexcept
{
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

Utf8Step decode_utf8(std::string_view text) noexcept
{
    const auto first = static_cast<unsigned char>(text[0]);
    const Lead lead = lead_of(first);
    if (lead.length == 1) return {first, 1, true};
    if (lead.length == 0) return {};
    char32_t code_point = first & (0x7Fu >> lead.length);
    for (std::size_t i = 1; i < lead.length; ++i) {
        if (i == text.size() || !is_continuation(text[i])) return {0xFFFD, i, false};
        const auto c = static_cast<unsigned char>(text[i]);
        if (i == 1 && (c < lead.second_min || c > lead.second_max)) return {};
        code_point = code_point << 6 | (c & 0x3Fu);
    }
    return {code_point, lead.length, true};
}

void append_utf8(std::string& out, char32_t code_point)
{
    const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | code_point >> 6);
        put(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        put(0xE0 | code_point >> 12);
        put(0x80 | (code_point >> 6 & 0x3F));
        put(0x80 | (code_point & 0x3F));
    } else {
        put(0xF0 | code_point >> 18);
        put(0x80 | (code_point >> 12 & 0x3F));
        put(0x80 | (code_point >> 6 & 0x3F));
        put(0x80 | (code_point & 0x3F));
    }
}

std::string valid_utf8(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto step = decode_utf8(text);
        if (step.valid)
            out += text.substr(0, step.length);
        else
            append_utf8(out, 0xFFFD);
        text.remove_prefix(step.length);
    }
    return out;
}

std::string_view head(std::string_view text, std::size_t max_bytes)
{
    if (text.size() <= max_bytes) return text;
    while (max_bytes > 0 && is_continuation(text[max_bytes])) --max_bytes;
    return text.substr(0, max_bytes);
}

std::string_view tail(std::string_view text, std::size_t max_bytes)
{
    if (text.size() <= max_bytes) return text;
    text.remove_prefix(text.size() - max_bytes);
    // A character has at most three continuation bytes; more are not UTF-8.
    for (int i = 0; i < 3 && !text.empty() && is_continuation(text.front()); ++i)
        text.remove_prefix(1);
    return text;
}

}  // namespace autoexec::text
