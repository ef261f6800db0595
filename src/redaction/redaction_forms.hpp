#pragma once

#include <string>
#include <vector>

namespace autoexec::redaction {

/// One way to write a secret. The byte before or after it may hold some bits of the secret too:
/// a base64 digit in a longer encoded text.
struct SecretForm {
    std::string text;
    bool grows_left = false;
    bool grows_right = false;
};

/// A secret as it is, and quoted for a shell, in JSON, in URLs, in base64 and, up to 4 KiB, in hex
/// as common writers do it. Some of them may be equal.
std::vector<SecretForm> forms_of_secret(const std::string& secret);

}  // namespace autoexec::redaction
