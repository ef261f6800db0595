#include "text/glob.hpp"

#include "text/text.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>

namespace autoexec::text {
namespace {

constexpr std::size_t path_limit = 4096;

// The text between the brackets of a set; empty if it is not closed. A leading `]` belongs to the
// set.
std::string_view set_at(std::string_view pattern)
{
    const std::size_t first =
        pattern.size() > 1 && (pattern[1] == '!' || pattern[1] == '^') ? 2 : 1;
    const std::size_t end = pattern.find(']', first + 1);
    return end == pattern.npos ? std::string_view{} : pattern.substr(1, end - 1);
}

// A pattern for one segment as a regular expression; nullopt if a set is not closed.
std::optional<std::string> expression_of(std::string_view pattern)
{
    std::string regex = "(?s)";
    while (!pattern.empty()) {
        const char c = pattern.front();
        if (c != '[') {
            regex += c == '*' ? ".*" : c == '?' ? "." : RE2::QuoteMeta(std::string(1, c));
            pattern.remove_prefix(1);
            continue;
        }
        auto set = set_at(pattern);
        if (set.empty()) return std::nullopt;
        pattern.remove_prefix(set.size() + 2);
        const bool negated = set.front() == '!' || set.front() == '^';
        regex += negated ? "[^" : "[";
        for (const char member : set.substr(negated ? 1 : 0)) {
            if (member == '[' || member == ']' || member == '\\' || member == '^') regex += '\\';
            regex += member;
        }
        regex += ']';
    }
    return regex;
}

std::vector<std::string> split(std::string_view path)
{
    std::vector<std::string> parts;
    while (!path.empty()) {
        const auto part = path.substr(0, path.find('/'));
        if (!part.empty() && part != ".") parts.push_back(valid_utf8(part));
        path.remove_prefix(std::min(path.size(), part.size() + 1));
    }
    return parts;
}

}  // namespace

std::optional<Glob> Glob::compile(std::string_view pattern, std::string& problem)
{
    problem.clear();
    const auto parts = split(pattern);
    if (pattern.starts_with('/'))
        problem = "it must be relative to the project";
    else if (pattern.size() > path_limit || pattern.find('\0') != pattern.npos)
        problem = "it is longer than a path can be, or contains a NUL character";
    else if (std::find(parts.begin(), parts.end(), "..") != parts.end())
        problem = "'..' would leave the project";
    else if (parts.empty())
        problem = "it is empty";
    Glob glob;
    for (const auto& part : parts) {
        const auto regex = expression_of(part);
        if (!regex && problem.empty()) problem = "a '[' has no ']'";
        if (!problem.empty()) return std::nullopt;
        glob.segments_.push_back(part == "**" ? nullptr
                                              : std::make_shared<RE2>(*regex, RE2::Quiet));
    }
    return problem.empty() ? std::optional(std::move(glob)) : std::nullopt;
}

bool Glob::matches(std::string_view path) const
{
    const auto parts = split(path);
    std::size_t at = 0;                                        // position in the pattern
    std::size_t part = 0;                                      // position in the path
    std::optional<std::pair<std::size_t, std::size_t>> retry;  // the same for the last `**`
    while (part < parts.size() || at < segments_.size()) {
        if (at < segments_.size() && !segments_[at]) {
            retry = {++at, part};
        } else if (at < segments_.size() && part < parts.size() &&
                   RE2::FullMatch(parts[part], *segments_[at])) {
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
        if (!segments_[i]) return true;
        if (!RE2::FullMatch(parts[i], *segments_[i])) return false;
    }
    return segments_.size() > parts.size();
}

}  // namespace autoexec::text
