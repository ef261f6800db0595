#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::redaction {

/// Takes private key blocks (PEM, OpenPGP, SSH2) out of a text that comes in chunks. A block is
/// open until its END. One that is cut off ends where prose evidently goes on, or when it is
/// longer than any secret; what merely mentions a BEGIN line costs a few lines.
class KeyBlocks {
public:
    /// Appends to `out` what no later chunk can change.
    void feed(std::string_view chunk, std::string& out) { advance(chunk, out, false); }
    void finish(std::string& out);

private:
    void advance(std::string_view chunk, std::string& out, bool last);
    bool pass(std::string_view& rest, std::string& out, bool last);
    bool skip(std::string_view& rest, bool last);
    void weigh(std::string_view line);

    std::string held_;
    bool open_ = false;
    std::size_t skipped_ = 0;
    int prose_ = 0;
};

}  // namespace autoexec::redaction
