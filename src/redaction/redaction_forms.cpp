#include "redaction/stages.hpp"
#include "text/text.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace autoexec::redaction {
namespace {

// The hex forms of a longer secret would need tens of megabytes.
constexpr std::size_t max_hex_secret = 4096;

// With padding.
std::string base64(std::string_view bytes, bool url)
{
    std::string text((bytes.size() + 2) / 3 * 4, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                    reinterpret_cast<const unsigned char*>(bytes.data()),
                    static_cast<int>(bytes.size()));
    if (url) std::ranges::replace(text, '+', '-');
    if (url) std::ranges::replace(text, '/', '_');
    return text;
}

std::string url_encoded(std::string_view text, std::string_view kept, std::string_view hex)
{
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || kept.find(c) != kept.npos)
            encoded += c == ' ' ? '+' : c;
        else
            encoded.append({'%', hex[byte >> 4], hex[byte & 15]});
    }
    return encoded;
}

// Each byte as two digits, with `mark` before each or, if `between`, only between them.
std::string hex_encoded(std::string_view text, std::string_view mark, bool between,
                        std::string_view hex)
{
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (!between || !encoded.empty()) encoded += mark;
        encoded.append({hex[byte >> 4], hex[byte & 15]});
    }
    return encoded;
}

void append_json_unit(std::string& out, std::uint32_t unit, std::string_view hex)
{
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += hex[unit >> shift & 15U];
}

// `also`: further characters that some writers escape ("/" by PHP, "<>&" by Go).
std::string json_escaped(std::string_view text, std::string_view also, std::string_view hex)
{
    constexpr std::string_view plain = "\"\\\b\f\n\r\t";
    constexpr std::string_view letters = "\"\\bfnrt";
    std::string escaped;
    for (const char c : text) {
        if (const auto at = plain.find(c); at != plain.npos)
            escaped.append({'\\', letters[at]});
        else if (c == '/' && also.find(c) != also.npos)
            escaped += "\\/";
        else if (static_cast<unsigned char>(c) < 0x20 || also.find(c) != also.npos)
            append_json_unit(escaped, static_cast<unsigned char>(c), hex);
        else
            escaped += c;
    }
    return escaped;
}

// Non-ASCII characters as \uXXXX.
std::string json_ascii(std::string_view text, std::string_view hex)
{
    const auto escaped = json_escaped(text, "", hex);
    std::string ascii;
    for (std::string_view rest = escaped; !rest.empty();) {
        const auto [code, length, valid] = text::decode_utf8(rest);
        if (code < 0x80) {
            ascii += rest.front();
        } else if (code < 0x10000) {
            append_json_unit(ascii, code, hex);
        } else {
            append_json_unit(ascii, 0xD800 + ((code - 0x10000) >> 10), hex);
            append_json_unit(ascii, 0xDC00 + (code & 0x3FFU), hex);
        }
        rest.remove_prefix(length);
    }
    return ascii;
}

std::string shell_quoted(std::string_view text)
{
    std::string quoted;
    for (const char c : text) c == '\'' ? quoted += "'\\''" : quoted += c;
    return quoted;
}

// Inside a longer encoded text (`user:secret`) the secret begins at one of three offsets. Only the
// digits in its middle are always the same; the digit beside them has some bits of the secret.
void append_base64_forms(std::string_view secret, bool url, std::vector<SecretForm>& forms)
{
    for (const std::size_t offset : {0, 1, 2}) {
        const auto bits = (offset + secret.size()) * 8;
        const std::size_t first = offset == 0 ? 0 : offset + 1;
        forms.push_back(
            {base64(std::string(offset, '\0').append(secret), url).substr(first, bits / 6 - first),
             offset != 0, bits % 6 != 0});
    }
    forms.push_back({base64(secret, url)});
}

// `xxd -p`; escapes of C and Python; URLs in which every byte is encoded; dumps and fingerprints.
void append_hex_forms(std::string_view secret, std::string_view hex, std::vector<SecretForm>& forms)
{
    if (secret.size() > max_hex_secret) return;
    for (const std::string_view mark : {"", "\\x", "%"})
        forms.push_back({hex_encoded(secret, mark, false, hex)});
    for (const std::string_view mark : {" ", ":"})
        forms.push_back({hex_encoded(secret, mark, true, hex)});
}

}  // namespace

std::vector<SecretForm> forms_of_secret(const std::string& secret)
{
    std::vector<SecretForm> forms{{secret}, {shell_quoted(secret)}};
    for (const std::string_view hex : {"0123456789ABCDEF", "0123456789abcdef"}) {
        // All; RFC 3986; paths; encodeURIComponent; forms, where a space is a plus
        for (const std::string_view kept : {"", "-_.~", "-_.~/", "-_.~!'()*", "-_.* ", "-_.~ "})
            forms.push_back({url_encoded(secret, kept, hex)});
        for (const std::string_view also : {"", "/", "<>&"})
            forms.push_back({json_escaped(secret, also, hex)});
        forms.push_back({json_ascii(secret, hex)});
        append_hex_forms(secret, hex, forms);
    }
    append_base64_forms(secret, false, forms);
    append_base64_forms(secret, true, forms);
    return forms;
}

}  // namespace autoexec::redaction
