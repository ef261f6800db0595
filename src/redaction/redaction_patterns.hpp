#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::redaction {

/// A secret found by its form: `[begin, end)` is replaced; the match began at `head`.
struct Finding {
    std::size_t head;
    std::size_t begin;
    std::size_t end;
};

/// The first match of a pattern at or after `from`. None spans a line end or matches redacted text.
std::optional<Finding> find_secret(std::string_view text, std::size_t from);

/// How certainly a value beside a secret's name is a secret, by its form.
enum class Certainty {
    certain,  ///< `user:password@host`, `Authorization: Bearer …`: anything but a reference
    strong,   ///< `key=value`, `--key value`, `"key": "value"`: anything but a placeholder
    weak,     ///< `key: value`, which is prose, code or documentation more often than not
};

/// True if the value of `key` is a secret, not a placeholder, a type, or a word of prose.
bool is_secret_value(Certainty certainty, std::string_view key, std::string_view value);

}  // namespace autoexec::redaction
