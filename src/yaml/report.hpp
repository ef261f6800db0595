#pragma once

#include "autoexec/diagnostic.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::yaml {

/// Where something stands in a file, both 1…; a zero line is the file as a whole.
struct Position {
    int line = 0;
    int column = 0;
};

/// Gathers what is wrong with one file, so that all of it is said at once: up to 100 problems,
/// then a count would help nobody. `text` must outlive it.
class Report {
public:
    Report(std::string path, std::string_view text);

    void error(Position at, std::string message, std::string hint = {});
    void warning(Position at, std::string message, std::string hint = {});
    /// A warning, unless `refuse_unknown_keys` was called.
    void unknown_key(Position at, std::string message, std::string hint = {});
    void refuse_unknown_keys() noexcept { refuses_unknown_keys_ = true; }

    /// The first place of `word` on the line of `at`, at its column or after it; else `at`.
    [[nodiscard]] Position find(Position at, std::string_view word) const;

    /// Empty if there is no such line.
    [[nodiscard]] std::string_view line(int number) const;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] bool failed() const noexcept { return !errors_.empty(); }
    [[nodiscard]] std::vector<Diagnostic> take_errors() { return std::move(errors_); }
    [[nodiscard]] std::vector<Diagnostic> take_warnings() { return std::move(warnings_); }

private:
    [[nodiscard]] Diagnostic diagnose(Position at, std::string message, std::string hint) const;

    std::string path_;
    std::vector<std::string_view> lines_;
    std::vector<Diagnostic> errors_;
    std::vector<Diagnostic> warnings_;
    bool refuses_unknown_keys_ = false;
};

/// The candidate that `word` was most likely meant to be; empty if none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// `Did you mean 'x'?`, or empty.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace autoexec::yaml
