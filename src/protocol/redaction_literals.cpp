#include "protocol/redaction_literals.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace autoexec::protocol {
namespace {

constexpr std::size_t shortest_secret = 8;

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

// A literal that could overlap the marker would be found again in text that is redacted already.
// Those bytes are the marker's own, so nothing is lost without them.
std::string_view apart_from_marker(std::string_view literal)
{
    for (auto n = redaction_marker.size(); n > 0; --n) {
        if (literal.starts_with(redaction_marker.substr(redaction_marker.size() - n)))
            return apart_from_marker(literal.substr(n));
        if (literal.ends_with(redaction_marker.substr(0, n)))
            return apart_from_marker(literal.substr(0, literal.size() - n));
    }
    const bool nested = literal.find(redaction_marker) != literal.npos ||
                        redaction_marker.find(literal) != literal.npos;
    return nested ? std::string_view{} : literal;
}

std::string base64(std::string_view bytes, bool url)
{
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const auto digit = [&](std::uint32_t n) {
        if (n < digits.size()) return digits[n];
        return n == 62 ? (url ? '-' : '+') : (url ? '_' : '/');
    };
    std::string text;
    std::uint32_t bits = 0;
    int count = 0;
    for (const unsigned char byte : bytes) {
        bits = bits << 8 | byte;
        for (count += 8; count >= 6; count -= 6) text += digit(bits >> (count - 6) & 63U);
    }
    if (count > 0) text += digit(bits << (6 - count) & 63U);
    return text;
}

std::string url_encoded(std::string_view text, std::string_view kept, std::string_view hex)
{
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_alnum(c) || kept.find(c) != kept.npos)
            encoded += c == ' ' ? '+' : c;
        else
            encoded.append({'%', hex[byte >> 4], hex[byte & 15]});
    }
    return encoded;
}

void append_json_unit(std::string& out, std::uint32_t unit, std::string_view hex)
{
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += hex[unit >> shift & 15U];
}

// `also`: further characters that some writers escape ("/" by PHP, "<>&" by Go).
std::string json_escaped(std::string_view text, std::string_view also, std::string_view hex)
{
    constexpr std::string_view plain = "\"\\\b\f\n\r\t";
    constexpr std::string_view letters = "\"\\bfnrt";
    std::string escaped;
    for (const char c : text) {
        if (const auto at = plain.find(c); at != plain.npos)
            escaped.append({'\\', letters[at]});
        else if (c == '/' && also.find(c) != also.npos)
            escaped += "\\/";
        else if (static_cast<unsigned char>(c) < 0x20 || also.find(c) != also.npos)
            append_json_unit(escaped, static_cast<unsigned char>(c), hex);
        else
            escaped += c;
    }
    return escaped;
}

// What is not ASCII as \uXXXX. Text that is no UTF-8 has no such form; it comes back empty.
std::string json_ascii(std::string_view text, std::string_view hex)
{
    const auto escaped = json_escaped(text, "", hex);
    std::string ascii;
    for (std::size_t i = 0; i < escaped.size();) {
        const auto lead = static_cast<unsigned char>(escaped[i]);
        const std::size_t more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        if (i + more >= escaped.size()) return {};
        std::uint32_t code = more == 0 ? lead : lead & (0x3FU >> more);
        for (std::size_t k = 1; k <= more; ++k)
            code = code << 6 | (static_cast<unsigned char>(escaped[i + k]) & 0x3FU);
        if (more == 0)
            ascii += escaped[i];
        else if (code < 0x10000)
            append_json_unit(ascii, code, hex);
        else {
            append_json_unit(ascii, 0xD800 + ((code - 0x10000) >> 10 & 0x3FFU), hex);
            append_json_unit(ascii, 0xDC00 + (code & 0x3FFU), hex);
        }
        i += more + 1;
    }
    return ascii;
}

std::string shell_quoted(std::string_view text)
{
    std::string quoted;
    for (const char c : text) c == '\'' ? quoted += "'\\''" : quoted += c;
    return quoted;
}

}  // namespace

SecretLiterals::SecretLiterals(std::span<const std::pair<std::string, std::string>> environment)
{
    for (const auto& [name, value] : environment) {
        const std::string secret(trimmed(value));
        if (secret.size() < shortest_secret || secret.size() > longest_secret) continue;
        if (!names_secret(name)) continue;
        for (const auto& form : forms_of(secret)) insert(form);
    }
    link();
}

std::vector<SecretLiterals::Literal> SecretLiterals::forms_of(const std::string& secret)
{
    std::vector<Literal> forms{{secret}, {shell_quoted(secret)}};
    for (const std::string_view hex : {"0123456789ABCDEF", "0123456789abcdef"}) {
        // All; RFC 3986; paths; encodeURIComponent; forms, where a space is a plus
        for (const std::string_view kept : {"", "-_.~", "-_.~/", "-_.~!'()*", "-_.* ", "-_.~ "})
            forms.push_back({url_encoded(secret, kept, hex)});
        for (const std::string_view also : {"", "/", "<>&"})
            forms.push_back({json_escaped(secret, also, hex)});
        forms.push_back({json_ascii(secret, hex)});
    }
    base64_forms(secret, false, forms);
    base64_forms(secret, true, forms);
    return forms;
}

// Inside a longer encoded text (`user:secret`) the secret begins at one of three offsets. Only the
// digits in its middle are the same each time; the digit beside them has some bits of the secret.
void SecretLiterals::base64_forms(std::string_view secret, bool url, std::vector<Literal>& forms)
{
    for (const std::size_t offset : {0, 1, 2}) {
        const auto digits = base64(std::string(offset, '\0').append(secret), url);
        const std::size_t first = offset == 0 ? 0 : offset + 1;
        const auto whole = (offset + secret.size()) * 8 / 6;
        forms.push_back({digits.substr(first, whole - first), offset != 0, whole < digits.size()});
    }
    auto padded = base64(secret, url);
    padded.append((4 - padded.size() % 4) % 4, '=');
    forms.push_back({std::move(padded)});
}

void SecretLiterals::insert(const Literal& literal)
{
    const auto text = apart_from_marker(literal.text);
    if (text.size() < shortest_secret - 2) return;

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
    nodes_[at].grows_left |= literal.grows_left && text.size() == literal.text.size();
    nodes_[at].grows_right |= literal.grows_right && text.size() == literal.text.size();
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
    // A match that is still to come begins at the automaton's depth, or one base64 digit earlier.
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

}  // namespace autoexec::protocol
