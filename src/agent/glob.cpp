#include "agent/glob.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>

namespace autoexec::agent {
namespace {

constexpr std::size_t path_limit = 4096;

// Removes and returns the next character: a UTF-8 sequence, or a byte if the text is not UTF-8.
std::string_view pop_character(std::string_view& text)
{
    std::size_t size = 1;
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t max_size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    while (size < max_size && size < text.size() &&
           (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80)
        ++size;
    const auto character = text.substr(0, size);
    text.remove_prefix(size);
    return character;
}

// The text between the brackets of a set; empty if it is not closed. A leading `]` belongs to the
// set.
std::string_view set_at(std::string_view pattern)
{
    const std::size_t first =
        pattern.size() > 1 && (pattern[1] == '!' || pattern[1] == '^') ? 2 : 1;
    const std::size_t end = pattern.find(']', first + 1);
    return end == pattern.npos ? std::string_view{} : pattern.substr(1, end - 1);
}

bool set_contains(std::string_view set, std::string_view character)
{
    const bool negated = set.front() == '!' || set.front() == '^';
    if (negated) set.remove_prefix(1);
    bool found = false;
    while (!set.empty()) {
        const auto low = pop_character(set);
        auto high = low;
        if (set.size() > 1 && set.front() == '-') {
            set.remove_prefix(1);
            high = pop_character(set);
        }
        // UTF-8 sorts like code points when sequences are compared as bytes.
        found = found || (low <= character && character <= high);
    }
    return found != negated;
}

// Matches one character of `text` against the head of `pattern`, and removes both.
bool match_one(std::string_view& pattern, std::string_view& text)
{
    if (pattern.empty() || text.empty()) return false;
    if (pattern.front() == '?') {
        pattern.remove_prefix(1);
        pop_character(text);
        return true;
    }
    if (pattern.front() == '[') {
        const auto set = set_at(pattern);
        pattern.remove_prefix(set.size() + 2);
        return set_contains(set, pop_character(text));
    }
    return pop_character(pattern) == pop_character(text);
}

// Backtracking to the last `*` is enough: it can match whatever an earlier one could.
bool segment_matches(std::string_view pattern, std::string_view text)
{
    std::optional<std::pair<std::string_view, std::string_view>> retry;
    while (!text.empty() || !pattern.empty()) {
        if (!pattern.empty() && pattern.front() == '*') {
            pattern.remove_prefix(1);
            retry = {pattern, text};
            continue;
        }
        auto next_pattern = pattern;
        auto next_text = text;
        if (match_one(next_pattern, next_text)) {
            pattern = next_pattern;
            text = next_text;
            continue;
        }
        if (!retry || retry->second.empty()) return false;
        pop_character(retry->second);
        std::tie(pattern, text) = *retry;
    }
    return true;
}

std::vector<std::string> split(std::string_view path)
{
    std::vector<std::string> parts;
    while (!path.empty()) {
        const auto part = path.substr(0, path.find('/'));
        if (!part.empty() && part != ".") parts.emplace_back(part);
        path.remove_prefix(std::min(path.size(), part.size() + 1));
    }
    return parts;
}

bool sets_are_closed(std::string_view pattern)
{
    while (!pattern.empty()) {
        if (pattern.front() != '[') {
            pattern.remove_prefix(1);
            continue;
        }
        const auto set = set_at(pattern);
        if (set.empty()) return false;
        pattern.remove_prefix(set.size() + 2);
    }
    return true;
}

}  // namespace

std::optional<Glob> Glob::compile(std::string_view pattern, std::string& problem)
{
    Glob glob;
    glob.segments_ = split(pattern);
    const auto& parts = glob.segments_;
    problem.clear();
    if (pattern.starts_with('/'))
        problem = "it must be relative to the project";
    else if (pattern.size() > path_limit || pattern.find('\0') != pattern.npos)
        problem = "it is longer than a path can be, or contains a NUL character";
    else if (std::find(parts.begin(), parts.end(), "..") != parts.end())
        problem = "'..' would leave the project";
    else if (parts.empty())
        problem = "it is empty";
    else if (!std::all_of(parts.begin(), parts.end(), sets_are_closed))
        problem = "a '[' has no ']'";
    if (!problem.empty()) return std::nullopt;
    return glob;
}

bool Glob::matches(std::string_view path) const
{
    const auto parts = split(path);
    std::size_t at = 0;                                        // position in the pattern
    std::size_t part = 0;                                      // position in the path
    std::optional<std::pair<std::size_t, std::size_t>> retry;  // the same for the last `**`
    while (part < parts.size() || at < segments_.size()) {
        if (at < segments_.size() && segments_[at] == "**") {
            retry = {++at, part};
        } else if (at < segments_.size() && part < parts.size() &&
                   segment_matches(segments_[at], parts[part])) {
            ++at;
            ++part;
        } else {
            if (!retry || retry->second == parts.size()) return false;
            ++retry->second;
            std::tie(at, part) = *retry;
        }
    }
    return true;
}

bool Glob::may_match_below(std::string_view folder) const
{
    const auto parts = split(folder);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i == segments_.size()) return false;
        if (segments_[i] == "**") return true;
        if (!segment_matches(segments_[i], parts[i])) return false;
    }
    return segments_.size() > parts.size();
}

}  // namespace autoexec::agent
