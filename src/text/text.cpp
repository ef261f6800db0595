#include "text/text.hpp"

#include "text/random.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace autoexec::text {
namespace {

constexpr std::size_t max_file_name_length = 128;

bool is_plain_in_name(char c) noexcept
{
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
}

std::string percent_encoded(std::string_view id)
{
    std::string out;
    for (std::size_t i = 0; i < id.size(); ++i) {
        // A leading dot hides a file or may form `..`; a leading dash looks like an option.
        const bool plain = is_plain_in_name(id[i]) && (i > 0 || (id[i] != '.' && id[i] != '-'));
        if (plain)
            out += id[i];
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(id[i]));
    }
    return out;
}

}  // namespace

bool has_form(std::string_view text, std::string_view form) noexcept
{
    return std::equal(text.begin(), text.end(), form.begin(), form.end(),
                      [](char c, char expected) {
                          return expected == 'd' ? c >= '0' && c <= '9' : c == expected;
                      });
}

std::string lower_case(std::string_view text)
{
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

std::string file_name_of(std::string_view id)
{
    auto name = percent_encoded(id);
    if (!name.empty() && name == id && name.size() <= max_file_name_length) return name;
    // `~` does not occur in unchanged names, so none of them can equal this one.
    const auto suffix = "~" + sha256_hex(id).substr(0, 32);  // 128 bits: no two ids share it
    auto length = std::min(name.size(), max_file_name_length - suffix.size());
    if (const auto escape = name.rfind('%', length); escape != name.npos && escape + 3 > length)
        length = std::min(length, escape);
    return name.substr(0, length) + suffix;
}

char* write_hex(char* out, std::string_view bytes) noexcept
{
    constexpr char hex_digits[] = "0123456789abcdef";
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        *out++ = hex_digits[byte >> 4];
        *out++ = hex_digits[byte & 0xF];
    }
    return out;
}

std::string hex(std::string_view bytes)
{
    std::string out(2 * bytes.size(), '0');
    write_hex(out.data(), bytes);
    return out;
}

Sha256 sha256(std::string_view bytes)
{
    Sha256 digest{};
    static_assert(digest.size() == SHA256_DIGEST_LENGTH);
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
}

std::string hex(const Sha256& digest)
{
    return hex(std::string_view(digest.data(), digest.size()));
}

std::string sha256_hex(std::string_view bytes)
{
    return hex(sha256(bytes));
}

std::string new_uuid()
{
    using namespace std::chrono;
    const auto now = system_clock::now().time_since_epoch();
    const auto ms = floor<milliseconds>(now);
    // Twelve bits of the millisecond's fraction order the ids of one process by time.
    const auto fraction = static_cast<std::uint64_t>(duration_cast<nanoseconds>(now - ms).count());
    std::array<unsigned char, 16> id;
    fill_random(std::span(id).subspan(8));
    const auto head =
        static_cast<std::uint64_t>(ms.count()) << 16 | 0x7000 | (fraction * 4096 / 1'000'000);
    for (std::size_t i = 0; i < 8; ++i) id[i] = static_cast<unsigned char>(head >> (56 - 8 * i));
    id[8] = static_cast<unsigned char>((id[8] & 0x3F) | 0x80);
    auto out = hex({reinterpret_cast<const char*>(id.data()), id.size()});
    for (const std::size_t dash : {8, 13, 18, 23}) out.insert(dash, 1, '-');
    return out;
}

}  // namespace autoexec::text
