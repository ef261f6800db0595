#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace autoexec::text {

/// A text that grows by small pieces. A string calls a function for each piece, and writes a
/// terminator; this is a comparison and a copy.
class TextBuffer {
public:
    /// Most lines of records fit into the room at first.
    explicit TextBuffer(std::size_t room = 1024) : text_(room, char{}) {}

    void append(char c)
    {
        *room(1) = c;
        ++size_;
    }

    void append(std::string_view piece)
    {
        std::copy(piece.begin(), piece.end(), room(piece.size()));
        size_ += piece.size();
    }

    void append(std::size_t count, char c)
    {
        std::fill_n(room(count), count, c);
        size_ += count;
    }

    void append_number(std::integral auto number)
    {
        constexpr std::size_t max_size = std::numeric_limits<decltype(number)>::digits10 + 2;
        append_by(max_size,
                  [number](char* at) { return std::to_chars(at, at + max_size, number).ptr; });
    }

    /// `write` gets the place for `max_size` bytes, and returns the end of what it wrote there.
    template <class Write>
    void append_by(std::size_t max_size, Write write)
    {
        char* const begin = room(max_size);
        size_ += static_cast<std::size_t>(write(begin) - begin);
    }

    /// The last byte. There is one.
    [[nodiscard]] char back() const { return text_[size_ - 1]; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

    [[nodiscard]] std::string release() &&
    {
        text_.resize(size_);
        return std::move(text_);
    }

private:
    char* room(std::size_t count)
    {
        if (text_.size() - size_ < count) grow(count);
        return text_.data() + size_;
    }

    void grow(std::size_t count) { text_.resize(std::max(2 * text_.size(), size_ + count)); }

    std::string text_;  // the text, and room after it
    std::size_t size_ = 0;
};

}  // namespace autoexec::text
