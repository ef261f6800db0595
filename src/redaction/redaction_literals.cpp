#include "redaction/stages.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace autoexec::redaction {
namespace {

constexpr std::size_t min_secret_length = 8;

bool is_alnum(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

bool is_base64(char c)
{
    return is_alnum(c) || c == '+' || c == '/' || c == '-' || c == '_';
}

bool names_secret(std::string name)
{
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    constexpr std::array<std::string_view, 4> endings{"_TOKEN", "_KEY", "_SECRET", "_PASSWORD"};
    return std::ranges::any_of(endings, [&](std::string_view end) { return name.ends_with(end); });
}

std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view space = " \t\r\n";
    const auto begin = text.find_first_not_of(space);
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

std::size_t overlap(std::string_view left, std::string_view right)
{
    auto n = std::min(left.size(), right.size());
    while (!left.ends_with(right.substr(0, n))) --n;
    return n;
}

// A literal that overlaps the marker would be found again in redacted text. The overlapping bytes
// are the marker's own, so they are dropped.
std::string_view apart_from_marker(std::string_view literal)
{
    for (;;) {
        if (redaction_marker.find(literal) != literal.npos) return {};
        const auto front = overlap(redaction_marker, literal);
        literal.remove_prefix(front);
        const auto back = overlap(literal, redaction_marker);
        literal.remove_suffix(back);
        if (front + back == 0) break;
    }
    return literal.find(redaction_marker) == literal.npos ? literal : std::string_view{};
}

}  // namespace

SecretLiterals::SecretLiterals(std::span<const std::pair<std::string, std::string>> environment)
{
    for (const auto& [name, value] : environment) {
        const std::string secret(trimmed(value));
        if (secret.size() < min_secret_length || secret.size() > max_secret_length) continue;
        if (!names_secret(name)) continue;
        for (const auto& form : forms_of_secret(secret)) insert(form);
    }
    link();
}

void SecretLiterals::insert(const SecretForm& form)
{
    const auto text = apart_from_marker(form.text);
    if (text.size() < min_secret_length - 2) return;

    std::uint32_t at = 0;
    for (const unsigned char byte : text) {
        auto to = child(at, byte);
        if (to == 0) {
            to = static_cast<std::uint32_t>(nodes_.size());
            Node node;
            node.byte = byte;
            node.depth = nodes_[at].depth + 1;
            node.sibling = nodes_[at].first_child;
            nodes_.push_back(node);
            nodes_[at].first_child = to;
            if (at == 0) roots_[byte] = to;
        }
        at = to;
    }
    nodes_[at].hit = nodes_[at].depth;
    nodes_[at].grows_left |= form.grows_left && text.size() == form.text.size();
    nodes_[at].grows_right |= form.grows_right && text.size() == form.text.size();
    starts_.set(static_cast<unsigned char>(text[0]) << 8 | static_cast<unsigned char>(text[1]));
}

void SecretLiterals::link()
{
    std::vector<std::uint32_t> queue{0};
    for (std::size_t i = 0; i < queue.size(); ++i) {
        const auto at = queue[i];
        for (auto to = nodes_[at].first_child; to != 0; to = nodes_[to].sibling) {
            auto& node = nodes_[to];
            node.fail = at == 0 ? 0 : next(nodes_[at].fail, node.byte);
            const auto& fail = nodes_[node.fail];
            node.grows_right |= fail.grows_right;
            if (node.hit == 0) {
                node.hit = fail.hit;
                node.grows_left = fail.grows_left;
            }
            queue.push_back(to);
        }
    }
}

std::uint32_t SecretLiterals::child(std::uint32_t node, unsigned char byte) const
{
    if (node == 0) return roots_[byte];
    auto at = nodes_[node].first_child;
    while (at != 0 && nodes_[at].byte != byte) at = nodes_[at].sibling;
    return at;
}

std::uint32_t SecretLiterals::next(std::uint32_t node, unsigned char byte) const
{
    for (;; node = nodes_[node].fail) {
        if (const auto to = child(node, byte); to != 0) return to;
        if (node == 0) return 0;
    }
}

bool SecretLiterals::may_start(std::string_view text, std::size_t at) const
{
    if (at + 1 >= text.size()) return true;
    return starts_.test(static_cast<unsigned char>(text[at]) << 8 |
                        static_cast<unsigned char>(text[at + 1]));
}

void SecretLiterals::Scan::feed(std::string_view chunk, std::string& out)
{
    if (literals_.nodes_.size() == 1) {
        out += chunk;
        return;
    }
    held_ += chunk;
    for (; scanned_ < held_.size(); ++scanned_) {
        if (state_ != 0 || grows_ || literals_.may_start(held_, scanned_)) step(scanned_);
    }
    // A later match begins at the automaton's depth at the earliest, or one base64 digit before.
    auto limit = scanned_ - literals_.nodes_[state_].depth;
    if (limit > 0 && is_base64(held_[limit - 1])) --limit;
    emit(limit, out);
}

void SecretLiterals::Scan::finish(std::string& out)
{
    emit(held_.size(), out);
    state_ = 0;
    grows_ = after_marker_ = false;
}

void SecretLiterals::Scan::step(std::size_t at)
{
    if (grows_ && is_base64(held_[at])) cover({at, at + 1});
    state_ = literals_.next(state_, static_cast<unsigned char>(held_[at]));
    const auto& node = literals_.nodes_[state_];
    grows_ = node.grows_right;
    if (node.hit == 0) return;
    auto begin = at + 1 - node.hit;
    if (node.grows_left && begin > 0 && is_base64(held_[begin - 1])) --begin;
    cover({begin, at + 1});
}

void SecretLiterals::Scan::cover(Range range)
{
    while (!covered_.empty() && covered_.back().end >= range.begin) {
        range.begin = std::min(range.begin, covered_.back().begin);
        covered_.pop_back();
    }
    covered_.push_back(range);
}

void SecretLiterals::Scan::emit(std::size_t limit, std::string& out)
{
    const auto plain = [&](std::size_t begin, std::size_t end) {
        out.append(held_, begin, end - begin);
        after_marker_ = after_marker_ && begin == end;
    };
    std::size_t at = 0;
    std::size_t used = 0;
    for (; used < covered_.size() && covered_[used].begin < limit; ++used) {
        plain(at, covered_[used].begin);
        if (!after_marker_) out += redaction_marker;
        after_marker_ = true;
        at = std::min(covered_[used].end, limit);
        if (covered_[used].end > limit) break;
    }
    plain(at, limit);

    covered_.erase(covered_.begin(), covered_.begin() + static_cast<std::ptrdiff_t>(used));
    for (auto& range : covered_) {
        range.begin = std::max(range.begin, limit) - limit;
        range.end -= limit;
    }
    held_.erase(0, limit);
    scanned_ -= limit;
}

}  // namespace autoexec::redaction
