#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::text {

/// `printable` with line ends kept, for text in chunks. The chunking does not affect the result,
/// unless a colour sequence exceeds 64 bytes.
///
/// Thread safety: none.
class PrintableStream {
public:
    /// Feeds a chunk; returns the text that is safe to show so far.
    [[nodiscard]] std::string feed(std::string_view chunk);
    /// Returns the rest. The stream is empty afterwards.
    [[nodiscard]] std::string finish();

private:
    std::string held_;  // an incomplete character, colour sequence or line end
};

}  // namespace autoexec::text
