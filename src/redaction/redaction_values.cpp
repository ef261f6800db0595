#include "redaction/stages.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>

namespace autoexec::redaction {
namespace {

RE2::Options value_options()
{
    RE2::Options options;
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_log_errors(false);
    return options;
}

bool matches(std::string_view value, const RE2& pattern)
{
    return RE2::FullMatch({value.data(), value.size()}, pattern);
}

// Variables, templates, and marks of omission.
bool is_reference(std::string_view value)
{
    static const RE2 pattern(
        R"re((?i)[<\[({].*|\$[{(].*|\$[a-z_]+(?:[-.:\[].*)?|%[sdvq]|%\(.*|%[a-z_]+%|)re"
        R"re(x{3,}|\*+|[.]{2,}.*|[-_=?/\\]+)re",
        value_options());
    return matches(value, pattern);
}

// Code, types, and the words that documentation uses in place of a secret.
bool is_placeholder(std::string_view value)
{
    static const RE2 pattern(
        R"re((?i)none|null|nil|nullptr|undefined|true|false|yes|no|str|string|bytes|int|integer|)re"
        R"re(bool|boolean|any|object|optional|required|text|(?:your|my|the|some)[-_ ].*|)re"
        R"re((?:[a-z]+[-_.])*(?:password|passwd|pwd|passphrase|secret|token|key)|)re"
        R"re([a-z_]+(?:(?:\.|::|->)[a-z_]+)*\(.*|[a-z_]+(?:(?:\.|::|->)[a-z_]+)+|)re"
        R"re((?-i:[A-Z]+(?:_[A-Z]+)*)(?:,.*)?)re",
        value_options());
    return matches(value, pattern);
}

bool has_code(std::string_view value)
{
    static const RE2 pattern(
        R"re([a-zA-Z_]\w*(?:\.|::|->)[a-zA-Z_].*|.*[(\[{<>].*|.*://.*|[~.]{0,2}/[^/]+/.*|&.*)re",
        value_options());
    return matches(value, pattern);
}

bool is_password(std::string_view key)
{
    const auto second = key.size() < 2 ? ' ' : std::tolower(static_cast<unsigned char>(key[1]));
    return second == 'a' || second == 'w';  // pass…, pwd; the others have neither
}

struct Classes {
    std::size_t lower = 0;
    std::size_t upper = 0;
    std::size_t digits = 0;
    std::size_t other = 0;
};

Classes classes_of(std::string_view value)
{
    Classes count;
    for (const unsigned char c : value) {
        if (std::islower(c) != 0)
            ++count.lower;
        else if (std::isupper(c) != 0)
            ++count.upper;
        else if (std::isdigit(c) != 0)
            ++count.digits;
        else
            ++count.other;
    }
    return count;
}

bool looks_random(std::string_view key, std::string_view value)
{
    if (has_code(value)) return false;
    const auto [lower, upper, digits, other] = classes_of(value);
    const auto letters = lower + upper;
    if (letters == 0) return digits >= 8 && other == 0 && is_password(key);
    const bool words = value.find(' ') != value.npos;
    const bool mixed = lower > 0 && upper > 0;
    if (is_password(key))
        return (value.size() >= 6 && digits > 0) ||
               (value.size() >= 8 && mixed && other > 0 && !words);
    return (value.size() >= 16 && digits >= 2) || (value.size() >= 20 && mixed && digits > 0) ||
           (value.size() >= 10 && mixed && digits >= 2);
}

}  // namespace

bool is_secret_value(Certainty certainty, std::string_view key, std::string_view value)
{
    value = value.substr(0, max_examined);
    if (value.find(redaction_marker) != value.npos) return value != redaction_marker;
    if (value.empty() || is_reference(value)) return false;
    if (certainty == Certainty::certain) return true;
    if (is_placeholder(value)) return false;
    if (key.size() == 3 && (value.front() == '.' || value.find_first_of("/\\~") < 3))
        return false;                                        // PWD is the working directory
    if (key.size() == 9 && value.size() == 1) return false;  // HTML's accesskey="n"
    const bool number = value.find_first_not_of("0123456789") == value.npos;
    if (number && value.size() < 8 && !is_password(key)) return false;  // a count of tokens
    return certainty == Certainty::strong || looks_random(key, value);
}

}  // namespace autoexec::redaction
