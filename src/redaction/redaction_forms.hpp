#pragma once

#include <string>
#include <vector>

namespace autoexec::redaction {

/// An encoding of a secret. The byte before or after it may also contain bits of the secret: a
/// base64 digit in a longer encoded text.
struct SecretForm {
    std::string text;
    bool grows_left = false;
    bool grows_right = false;
};

/// The common encodings of a secret: plain, quoted for a shell, in JSON, in URLs, in base64 and, up
/// to 4 KiB, in hex. Some of them may be equal.
std::vector<SecretForm> forms_of_secret(const std::string& secret);

}  // namespace autoexec::redaction
