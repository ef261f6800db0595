#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::redaction {

/// A secret found by its looks: `[begin, end)` is replaced; the search began to match at `head`.
struct Finding {
    std::size_t head;
    std::size_t begin;
    std::size_t end;
};

/// The first secret at or after `from` by one of the patterns. None spans a line end, and what is
/// redacted already is none.
std::optional<Finding> find_secret(std::string_view text, std::size_t from);

/// A value beside the name of a secret, and how sure the form makes it.
enum class Certainty {
    certain,  ///< `user:password@host`, `Authorization: Bearer …`: anything but a reference
    strong,   ///< `key=value`, `--key value`, `"key": "value"`: anything but a placeholder
    weak,     ///< `key: value`, which is prose, code or documentation more often than not
};

/// Whether the value of `key` is a secret and not a placeholder, a type, or a word of prose.
bool is_secret_value(Certainty certainty, std::string_view key, std::string_view value);

}  // namespace autoexec::redaction
