#include "redaction/stages.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <optional>

namespace autoexec::redaction {
namespace {

constexpr std::size_t max_label_length = 80;
constexpr std::size_t max_piece_length = 1024;
constexpr int max_prose = 8;

struct Label {
    std::size_t begin;
    std::size_t end;
    bool opens;
};

// An END is a label only within a block; otherwise a stray one would consume the dashes of a BEGIN.
std::optional<Label> find_label(std::string_view text, bool within_block)
{
#define KIND "[A-Z0-9 ]{0,40}PRIVATE KEY"
    static const RE2 begin("-----(BEGIN) " KIND "(?: BLOCK)?-----|---- (BEGIN) " KIND " ----",
                           RE2::Latin1);
    static const RE2 begin_or_end(
        "-----(BEGIN|END) " KIND "(?: BLOCK)?-----|---- (BEGIN|END) " KIND " ----", RE2::Latin1);
#undef KIND
    re2::StringPiece match[3];
    if (!(within_block ? begin_or_end : begin)
             .Match({text.data(), text.size()}, 0, text.size(), RE2::UNANCHORED, match, 3))
        return std::nullopt;
    const auto at = static_cast<std::size_t>(match[0].data() - text.data());
    return Label{at, at + match[0].size(), match[1] == "BEGIN" || match[2] == "BEGIN"};
}

// The end of the text that may begin a label.
std::size_t partial_label(std::string_view text)
{
    const auto line = text.rfind('\n');
    auto from = line == text.npos ? 0 : line + 1;
    if (text.size() > max_label_length) from = std::max(from, text.size() - max_label_length);
    return std::min(text.find('-', from), text.size());
}

}  // namespace

void KeyBlocks::finish(std::string& out)
{
    advance("", out, true);
    open_ = false;
}

void KeyBlocks::advance(std::string_view chunk, std::string& out, bool last)
{
    held_ += chunk;
    std::string_view rest = held_;
    while (!rest.empty() && (open_ ? skip(rest, last) : pass(rest, out, last))) {
    }
    held_.erase(0, held_.size() - rest.size());
}

// Returns false if the rest must wait for more text.
bool KeyBlocks::pass(std::string_view& rest, std::string& out, bool last)
{
    const auto label = find_label(rest, false);
    if (!label) {
        const auto safe = last ? rest.size() : partial_label(rest);
        out += rest.substr(0, safe);
        rest.remove_prefix(safe);
        return false;
    }
    out.append(rest.substr(0, label->begin)).append(redaction_marker);
    rest.remove_prefix(label->end);
    open_ = true;
    skipped_ = 0;
    prose_ = 0;
    return true;
}

// Processes lines or parts of lines, which depend only on the text, not on the chunks.
bool KeyBlocks::skip(std::string_view& rest, bool last)
{
    const auto newline = rest.substr(0, max_piece_length).find('\n');
    if (newline == rest.npos && rest.size() < max_piece_length && !last) return false;
    const auto piece = rest.substr(0, std::min(newline, max_piece_length));

    if (const auto label = find_label(piece, true)) {
        rest.remove_prefix(label->end);
        open_ = label->opens;
        skipped_ = 0;
        prose_ = 0;
        return true;
    }
    classify_line(piece);
    const bool whole = newline != rest.npos || rest.size() < max_piece_length;
    auto used = whole ? piece.size() : piece.size() - max_label_length;
    if (open_ && newline != rest.npos) ++used;
    skipped_ += used;
    rest.remove_prefix(used);
    return true;
}

// A line of a key is one long word. Headers, blank lines and other lines are neutral.
void KeyBlocks::classify_line(std::string_view line)
{
    std::size_t longest = 0;
    std::size_t words = 0;
    std::size_t word = 0;
    for (const char c : line) {
        word = c == ' ' || c == '\t' ? 0 : word + 1;
        if (word == 1) ++words;
        longest = std::max(longest, word);
    }
    if (longest >= 40)
        prose_ = 0;
    else if (words >= 3)
        ++prose_;
    if (prose_ >= max_prose || skipped_ + line.size() >= max_secret_length) open_ = false;
}

}  // namespace autoexec::redaction
