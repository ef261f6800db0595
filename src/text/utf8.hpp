#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::text {

/// One step of decoding. For bytes that are not UTF-8, `valid` is false and `length` covers the
/// longest prefix of a character: one U+FFFD, as Unicode recommends.
struct Utf8Step {
    char32_t code_point = 0xFFFD;
    std::size_t length = 1;
    bool valid = false;
};

/// `text` must not be empty.
Utf8Step decode_utf8(std::string_view text) noexcept;

void append_utf8(std::string& out, char32_t code_point);

}  // namespace autoexec::text
