#pragma once

#include "cli/top/keys.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace autoexec::cli {

/// A line of text that a person edits.
class LineEditor {
public:
    static constexpr std::size_t max_bytes = 64 * 1024;

    explicit LineEditor(std::string text = {}) : text_(std::move(text)), cursor_(text_.size()) {}

    /// False: the key has no meaning here.
    bool press(const KeyPress& key);

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// The part around the cursor that fits into so many columns, and the column of the cursor.
    [[nodiscard]] std::pair<std::string, std::size_t> visible(std::size_t columns) const;

private:
    void insert(std::string_view text);
    [[nodiscard]] std::size_t before_cursor() const noexcept;
    [[nodiscard]] std::size_t after_cursor() const noexcept;

    std::string text_;
    std::size_t cursor_;  ///< In bytes, at a character.
};

}  // namespace autoexec::cli
