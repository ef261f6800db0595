#pragma once

#include "autoexec/diagnostic.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::yaml {

/// A position in a file, both numbers from 1. Line zero is the file as a whole.
struct Position {
    int line = 0;
    int column = 0;
};

/// Collects the errors and warnings of one file, at most 100 of each. `text` must outlive it.
class Report {
public:
    Report(std::string path, std::string_view text);

    void error(Position at, std::string message, std::string hint = {});
    void warning(Position at, std::string message, std::string hint = {});
    /// A warning, unless `refuse_unknown_keys` was called.
    void unknown_key(Position at, std::string message, std::string hint = {});
    void refuse_unknown_keys() noexcept { refuses_unknown_keys_ = true; }

    /// The first position of `word` on the line of `at`, from its column; `at` if there is none.
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

/// The candidate that is most similar to `word`; empty if none is similar.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// `Did you mean 'x'?`, or empty.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace autoexec::yaml
