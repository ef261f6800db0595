#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

enum class Key {
    character,
    paste,
    enter,
    escape,
    tab,
    backspace,
    erase,
    erase_line,
    left,
    right,
    up,
    down,
    home,
    end,
    page_up,
    page_down,
    redraw,  ///< Ctrl-L
    other,
};

struct KeyPress {
    Key key = Key::other;
    std::string text{};  ///< Of `character` and `paste`: UTF-8 without control characters.

    /// Whether it is this character.
    [[nodiscard]] bool is(std::string_view character) const noexcept
    {
        return key == Key::character && text == character;
    }
    bool operator==(const KeyPress&) const = default;
};

/// What a terminal sends, as keys. Pasted text is one key, so that it is never taken for commands.
class KeyDecoder {
public:
    /// Sequences may be divided between calls.
    std::vector<KeyPress> feed(std::string_view bytes);

    /// True if more bytes may belong to the last key.
    [[nodiscard]] bool is_incomplete() const noexcept { return !held_.empty(); }
    /// Called when nothing has followed for a moment: what is held is the key Escape, or dropped.
    std::vector<KeyPress> finish();

private:
    // Each removes what it has read from `held_`; false: that is incomplete.
    bool read_key(std::vector<KeyPress>& keys);
    bool read_paste(std::vector<KeyPress>& keys);
    bool read_sequence(std::vector<KeyPress>& keys);
    bool read_character(std::vector<KeyPress>& keys);

    std::string held_;
    bool pastes_ = false;
    std::string pasted_;
};

}  // namespace autoexec::cli
