#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::redaction {

/// Removes private key blocks (PEM, OpenPGP, SSH2) from text in chunks. A block is open until its
/// END. A truncated block ends where prose evidently continues, or when it is longer than any
/// secret; text that merely mentions a BEGIN line loses a few lines.
class KeyBlocks {
public:
    /// Appends to `out` the text that no later chunk can change.
    void feed(std::string_view chunk, std::string& out) { advance(chunk, out, false); }
    void finish(std::string& out);

private:
    void advance(std::string_view chunk, std::string& out, bool last);
    bool pass(std::string_view& rest, std::string& out, bool last);
    bool skip(std::string_view& rest, bool last);
    void classify_line(std::string_view line);

    std::string held_;
    bool open_ = false;
    std::size_t skipped_ = 0;
    int prose_ = 0;
};

}  // namespace autoexec::redaction
