#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::text {

/// `printable` with line ends kept, for a text that comes in chunks. No chunking changes the
/// result, as long as no colour is longer than 64 bytes.
///
/// Thread safety: none.
class PrintableStream {
public:
    /// What of all that was fed so far is safe to show.
    [[nodiscard]] std::string feed(std::string_view chunk);
    /// The rest. The stream is empty afterwards.
    [[nodiscard]] std::string finish();

private:
    std::string held_;  // the start of a character, of a colour or of a line end
};

}  // namespace autoexec::text
