// Any bytes, in any chunks: redaction neither crashes nor depends on the chunks, and does nothing
// the second time.

#include "autoexec/redaction.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using autoexec::Redactor;

constexpr std::size_t max_input_length = 4096;

std::shared_ptr<const Redactor> make_redactor()
{
    const std::vector<std::pair<std::string, std::string>> environment{
        {"A_TOKEN", "abcdefgh"},    {"B_KEY", "***defghabc"},     {"C_SECRET", "a\"b/\\ c=%"},
        {"D_PASSWORD", "aaaaaaaa"}, {"E_KEY", "one\ntwo\nthree"}, {"F_KEY", "REDACTED"}};
    return std::make_shared<const Redactor>(environment);
}

void require(bool holds)
{
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const auto redactor = make_redactor();
    if (size == 0 || size > max_input_length) return 0;

    const std::string text(data + 1, data + size);
    const auto whole = redactor->redact(text);
    require(redactor->redact(whole) == whole);

    // The first byte seeds the sizes of the chunks.
    Redactor::Stream stream(redactor);
    std::string out;
    std::uint32_t seed = data[0];
    for (std::size_t at = 0; at < text.size();) {
        seed = seed * 1664525U + 1013904223U;
        const std::size_t length = 1 + (seed >> 24) % 40;
        out += stream.feed(std::string_view(text).substr(at, length));
        at += length;
    }
    out += stream.finish();
    require(out == whole);
    return 0;
}
