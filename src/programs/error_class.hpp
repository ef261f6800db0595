#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// What the failures of agent programs have in common, whatever the program. Pure.
namespace autoexec::programs {

/// The `error_code` for an HTTP status of a model's provider; empty: the status tells nothing.
[[nodiscard]] std::string_view code_of_http_status(int status);

/// The `error_code` that a program's own words about a failure tell; empty: none.
[[nodiscard]] std::string_view code_of_words(std::string_view words);

/// The time until a retry may help, if the words name it: `try again in 20s`.
[[nodiscard]] std::optional<std::chrono::milliseconds> wait_in_words(std::string_view words);

/// Some programs pass on what their provider answered: the sentence in it, or else `words`.
[[nodiscard]] std::string sentence_of(std::string words);

/// False for what does not change by itself: a wrong key, a spent quota, an unknown model.
[[nodiscard]] bool waiting_may_help(std::string_view code);

}  // namespace autoexec::programs
