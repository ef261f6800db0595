#include "cli/top/keys.hpp"

#include "text/text.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_sequence = 32;
constexpr std::size_t max_paste = 64 * 1024;
constexpr std::string_view end_of_paste = "\x1b[201~";

Key key_of_control(char c)
{
    switch (c) {
        case '\r':
        case '\n':
            return Key::enter;
        case '\t':
            return Key::tab;
        case '\x08':
        case '\x7f':
            return Key::backspace;
        case '\x01':
            return Key::home;
        case '\x05':
            return Key::end;
        case '\x0c':
            return Key::redraw;
        case '\x15':
            return Key::erase_line;
        default:
            return Key::other;
    }
}

// `ESC [ NUMBER ~`
Key key_of_number(std::string_view number)
{
    if (number == "1" || number == "7") return Key::home;
    if (number == "4" || number == "8") return Key::end;
    if (number == "3") return Key::erase;
    if (number == "5") return Key::page_up;
    if (number == "6") return Key::page_down;
    return number == "200" ? Key::paste : Key::other;
}

// `ESC [ NUMBERS FINAL` and `ESC O FINAL`
Key key_of_sequence(std::string_view numbers, char final)
{
    switch (final) {
        case 'A':
            return Key::up;
        case 'B':
            return Key::down;
        case 'C':
            return Key::right;
        case 'D':
            return Key::left;
        case 'H':
            return Key::home;
        case 'F':
            return Key::end;
        case 'M':
            return Key::enter;
        case '~':
            return key_of_number(numbers.substr(0, numbers.find(';')));
        default:
            return Key::other;
    }
}

bool is_control(char32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

// Of a character that has more bytes than have arrived.
bool is_partial(std::string_view bytes, const text::Utf8Step& step)
{
    const auto first = static_cast<unsigned char>(bytes.front());
    return !step.valid && step.length == bytes.size() && first >= 0xC2 && first < 0xF5;
}

// In one line.
std::string pasted_text(std::string_view bytes)
{
    auto text = text::valid_utf8(bytes);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\t'; }, ' ');
    std::string clean;
    for (std::string_view rest = text; !rest.empty();) {
        const auto step = text::decode_utf8(rest);
        if (!is_control(step.code_point)) clean += rest.substr(0, step.length);
        rest.remove_prefix(step.length);
    }
    return clean;
}

}  // namespace

std::vector<KeyPress> KeyDecoder::feed(std::string_view bytes)
{
    std::vector<KeyPress> keys;
    held_ += bytes;
    while (!held_.empty() && read_key(keys)) {
    }
    return keys;
}

std::vector<KeyPress> KeyDecoder::finish()
{
    const bool is_escape = held_ == "\x1b" && !pastes_;
    if (!pastes_) held_.clear();
    if (is_escape) return {{Key::escape}};
    return {};
}

bool KeyDecoder::read_key(std::vector<KeyPress>& keys)
{
    if (pastes_) return read_paste(keys);
    if (held_.front() == '\x1b') return read_sequence(keys);
    return read_character(keys);
}

bool KeyDecoder::read_paste(std::vector<KeyPress>& keys)
{
    const auto end = held_.find(end_of_paste);
    const bool has_ended = end != held_.npos;
    // A part of the end may have arrived.
    const auto whole = has_ended ? end : held_.size() - std::min(held_.size(), end_of_paste.size());
    pasted_.append(held_, 0, std::min(whole, max_paste - pasted_.size()));
    held_.erase(0, has_ended ? end + end_of_paste.size() : whole);
    if (!has_ended) return false;
    keys.push_back({Key::paste, pasted_text(std::exchange(pasted_, {}))});
    pastes_ = false;
    return true;
}

bool KeyDecoder::read_sequence(std::vector<KeyPress>& keys)
{
    if (held_.size() < 2) return false;
    const bool has_numbers = held_[1] == '[';
    if (!has_numbers && held_[1] != 'O') {
        // Alt and a key; two times Escape is Escape.
        const bool is_escape = held_[1] == '\x1b';
        held_.erase(0, is_escape ? 1 : 2);
        keys.push_back({is_escape ? Key::escape : Key::other});
        return true;
    }
    const auto end =
        has_numbers ? held_.find_first_not_of("0123456789;:<=>? !\"#$%&'()*+,-./", 2) : 2;
    const auto length = std::min(end, held_.size());
    if (length == held_.size() && length < max_sequence) return false;
    const bool is_whole = length < held_.size() && held_[length] >= '@' && held_[length] <= '~';
    const auto key =
        is_whole ? key_of_sequence(std::string_view(held_).substr(2, length - 2), held_[length])
                 : Key::other;
    held_.erase(0, length + (is_whole ? 1 : 0));
    pastes_ = key == Key::paste;
    if (!pastes_) keys.push_back({key});
    return true;
}

bool KeyDecoder::read_character(std::vector<KeyPress>& keys)
{
    const auto step = text::decode_utf8(held_);
    if (is_partial(held_, step)) return false;
    const auto first = held_.front();
    const bool is_ascii_control = step.valid && (step.code_point < 0x20 || step.code_point == 0x7F);
    KeyPress press;
    if (is_ascii_control)
        press.key = key_of_control(first);
    else if (step.valid && !is_control(step.code_point))
        press = {Key::character, held_.substr(0, step.length)};
    keys.push_back(std::move(press));
    held_.erase(0, step.length);
    return true;
}

}  // namespace autoexec::cli
