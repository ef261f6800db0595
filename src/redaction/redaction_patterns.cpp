#include "redaction/stages.hpp"

#include <re2/re2.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <vector>

namespace autoexec::redaction {
namespace {

using re2::StringPiece;

// How much of a line is searched for the program of an option. Bounded, so that the time is linear.
constexpr std::size_t max_context = 4096;
constexpr std::size_t max_client_context = 512;

// The meaning of a pattern's first group.
enum class Kind {
    token,       // the secret
    credential,  // the secret, unless it is a reference
    bearer,      // the secret, if it looks random
    header,      // nothing before a value that may be one
    option,      // a key; its value follows on the command line
    assignment,  // a key, then its quote and the operator; the value follows
    netrc,       // the password of a whole netrc entry
    netrc_part,  // one that may be prose: the secret, if it looks random
    curl_user,   // the quote of `user:password`, or nothing; the match ends at the password
    mysql,       // the end of `-p`; the password follows
};

struct Pattern {
    Kind kind;
    const char* text;
};

// A token may follow the `\n` of an escaped string, whose `n` is not a word boundary.
#define EDGE R"((?:\b|\\[nrt]))"
#define GAP R"((?:[ \t]|\\[nrt]){1,16})"
#define WORD R"([^\s\\]{1,100})"
// Up to the escaped line end of a JSON string.
#define NETRC_PASSWORD R"(password)" GAP R"(((?:[^\s"'\\]|\\[^nrt"'])+))"
#define KEY                                                                       \
    R"((?:pass(?:word|wd|phrase)|pwd|secret|token|credential|)"                   \
    R"((?:api|access|account|secret|private|encryption|signing|shared)[_-]?key|)" \
    R"(api key|(?-i:[A-Z0-9]_(?:PASS|KEY)))[0-9]{0,2})"

constexpr auto patterns = std::to_array<Pattern>({
    // The most frequent first: the first match decides the kind.
    {Kind::option, R"((?i)--[a-z0-9_-]*()" KEY R"()(?:[ \t]{1,16}|\\*["'],[ \t]{0,16}))"},
    {Kind::assignment, R"((?i)()" KEY R"()(\\*["'`]?\]?)[ \t]{0,16}(=>|:=|=|:)[ \t]{0,16})"},
    {Kind::token, EDGE R"((sk-(?:ant|proj|svcacct|admin|or|live|test)-[\w-]{10,}))"},
    {Kind::token, EDGE R"(((?i:[sp]k)-[A-Za-z0-9]{10,}[\w-]*))"},
    {Kind::token, R"((gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}))"},
    {Kind::token, R"((gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[\w-]{16,}[\w.-]*))"},
    {Kind::token, R"((GR1348941[\w-]{16,}))"},
    {Kind::token, R"(((?:xox[a-z]\.)?xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}))"},
    {Kind::token, R"(hooks\.slack\.com/[a-z]+/([\w/+-]{20,}))"},
    {Kind::token, R"(discord(?:app)?\.com/api/webhooks/([0-9]+/[\w-]{20,}))"},
    {Kind::token, R"((AIza[\w-]{30,}|ya29\.[\w.-]{10,}|GOCSPX-[\w-]{20,}))"},
    {Kind::token, EDGE R"((1//0[\w-]{30,}))"},
    {Kind::token, EDGE R"(((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}))"},
    {Kind::token, EDGE R"(([srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[\w+/=-]{20,}))"},
    {Kind::token, EDGE R"((npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{30,}))"},
    {Kind::token, EDGE R"((pypi-(?:AgE[\w-]{10,}|[\w-]{40,})))"},
    {Kind::token, R"((do[opr]_v1_[A-Fa-f0-9]{32,}|dapi[a-f0-9]{32,}|dckr_[a-z]+_[\w-]{20,}))"},
    {Kind::token, EDGE R"((SG\.[\w-]{16,}\.[\w-]{16,}))"},
    {Kind::token, EDGE R"((SK[0-9a-f]{32}|key-[0-9a-f]{32}|r8_[A-Za-z0-9]{30,}))"},
    {Kind::token, EDGE R"(([0-9]{8,10}:AA[\w-]{32,}|shp[a-z]{2}_[A-Fa-f0-9]{32,}))"},
    {Kind::token, EDGE R"((sq0[a-z]{3}-[\w-]{22,}|lin_api_\w{32,}|ntn_\w{40,}|pplx-\w{40,}))"},
    {Kind::token, EDGE R"((hv[sbr]\.[\w-]{20,}|pul-[a-f0-9]{40}|xai-\w{40,}|NRAK-[A-Z0-9]{27}))"},
    {Kind::token, R"((\w{14}\.atlasv1\.[\w-]{40,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}))"},
    {Kind::token, R"((gl(?:c|sa)_[\w+/=]{32,}|sntr(?:ys|yu)_[\w+/=]{32,}|ATATT3[\w=-]{40,}))"},
    {Kind::token, R"((AGE-SECRET-KEY-1[A-Z0-9]{50,}|pscale_[a-z]+_[\w.=-]{32,}))"},
    {Kind::token, R"((eyJ[\w-]{8,}(?:\.{1,2}[\w-]+){1,4}))"},
    // A PEM private key in base64: RSA, PKCS#8, EC, OPENSSH, ENCRYPTED, DSA.
    {Kind::token, R"((LS0tLS1CRUdJTiB(?:SU0Eg|QUklW|FQyBQ|PUEVO|FTkNS|EU0Eg)[\w+/=-]*))"},
    {Kind::credential, R"(://[^\s/?#:@"'<>`]*:([^\s/?#"'<>`]+)@)"},
    {Kind::credential, R"((?i)authorization\\*["']?[ \t]{0,8}[:=,][ \t]{0,8}\\*["']?)"
                       R"((?:bearer|basic|token|bot|digest|negotiate|apikey)[ \t]{1,8})"
                       R"(([^\s"'\\,;<>`]+))"},
    {Kind::header, R"((?i)authorization\\*["']?[ \t]{0,8}[:=][ \t]{0,8}\\*["']?())"
                   R"([^\s"'\\,;<>`])"},
    {Kind::bearer, R"((?i)\b(?:bearer|basic|token)[ \t]{1,8}([\w.~+/=-]{20,}))"},
    {Kind::token, EDGE R"((fig[a-z]{1,2}_[\w-]{30,}|rubygems_[a-f0-9]{32,}))"},
    {Kind::token, EDGE R"((dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,40}\.)?\w{30,}))"},
    {Kind::netrc, R"((?i))" EDGE R"(machine)" GAP WORD GAP R"((?:(?:login|account))" GAP WORD GAP
                  R"(){0,2})" NETRC_PASSWORD},
    {Kind::netrc, R"((?i))" EDGE R"(default)" GAP R"((?:(?:login|account))" GAP WORD GAP
                  R"(){1,2})" NETRC_PASSWORD},
    {Kind::netrc_part, R"((?i))" EDGE R"(login)" GAP WORD GAP NETRC_PASSWORD},
    {Kind::netrc_part, R"((?im)^[ \t]{0,16}password[ \t]{1,16}(\S{1,200})[ \t\r]{0,16}$)"},
    {Kind::curl_user, R"((?m:^|[ \t"'`])(?:-[A-Za-z#]{0,8}[uU]|--(?:proxy-)?user))"
                      R"((?:[ \t]{0,16}|=|\\*["'],[ \t]{0,16})((?:\\*["'`])?)[^\s:"'`]{0,100}:)"},
    {Kind::mysql, R"([ \t"'`]-p()[^\s-])"},
});

#undef KEY
#undef NETRC_PASSWORD
#undef WORD
#undef GAP
#undef EDGE

RE2::Options pattern_options()
{
    RE2::Options options;
    options.set_encoding(RE2::Options::EncodingLatin1);  // any bytes
    options.set_log_errors(false);
    options.set_max_mem(64 << 20);
    return options;
}

struct Compiled {
    std::unique_ptr<RE2> any;  // all patterns: a fast check that finds the candidates
    std::vector<std::unique_ptr<RE2>> each;

    Compiled()
    {
        std::string all;
        for (const auto& pattern : patterns) {
            each.push_back(std::make_unique<RE2>(pattern.text, pattern_options()));
            all.append(all.empty() ? "(?:" : "|(?:").append(pattern.text).append(")");
        }
        any = std::make_unique<RE2>(all, pattern_options());
    }
};

struct Range {
    std::size_t begin;
    std::size_t end;
};

bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

// In a string that is escaped d times over, its quotes have n = 2^d - 1 backslashes; those inside
// it have n + (n + 1) of them, and each escaped backslash before a quote adds 2 (n + 1).
std::optional<Range> quoted_value(std::string_view text, std::size_t at)
{
    auto quote = at;
    while (quote < text.size() && text[quote] == '\\') ++quote;
    if (quote >= text.size() || !is_quote(text[quote])) return std::nullopt;

    const auto slashes = quote - at;
    std::size_t run = 0;
    for (auto i = quote + 1; i < text.size() && text[i] != '\n'; ++i) {
        if (text[i] == text[quote] && run % (2 * (slashes + 1)) == slashes) {
            if (text.substr(i, 4) != "'\\''") return Range{quote + 1, i - slashes};
            i += 3;  // a quote in text that is quoted for a shell
        }
        run = text[i] == '\\' ? run + 1 : 0;
    }
    return std::nullopt;
}

// A comma belongs to the value unless the next item of a list follows.
bool ends_item(std::string_view text, std::size_t comma)
{
    auto at = comma + 1;
    if (at >= text.size() || is_space(text[at]) || is_quote(text[at])) return true;
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 ||
                                text[at] == '_' || text[at] == '.' || text[at] == '-'))
        ++at;
    return at < text.size() && (text[at] == '=' || text[at] == ':');
}

Range bare_value(std::string_view text, std::size_t at)
{
    constexpr std::string_view ends = " \t\r\n\"'`&;|<>)}]";
    auto end = at;
    while (end < text.size() && ends.find(text[end]) == ends.npos &&
           (text[end] != ',' || !ends_item(text, end)))
        ++end;
    if (end < text.size() && is_quote(text[end]))  // those are the quote's
        while (end > at && text[end - 1] == '\\') --end;
    return {at, end};
}

// The secret at `at`; empty if its first part is none.
template <class IsSecret>
Range value_at(std::string_view text, std::size_t at, IsSecret is_secret)
{
    if (const auto quoted = quoted_value(text, at)) {
        const auto value = text.substr(quoted->begin, quoted->end - quoted->begin);
        return {quoted->begin, is_secret(value, true) ? quoted->end : quoted->begin};
    }
    const auto [begin, end] = bare_value(text.substr(0, at + max_examined), at);
    const bool found = is_secret(text.substr(begin, end - begin), false);
    return {begin, found ? bare_value(text, at).end : begin};
}

Range option_value(std::string_view text, std::string_view key, std::size_t at)
{
    static const RE2 prose(
        R"((?i)(?:options?|flags?|arguments?|parameters?|switch|switches|values?|fields?|is|are|was|)"
        R"(and|or|to|for|with|without|if|in|on|as|at|of|from|by|via|can|will|must|may|should|the|a|)"
        R"(an|not|when|then|has|that|which|instead|also|only|but|does|into|now|support)[.,:;]?)");
    return value_at(text, at, [&](std::string_view value, bool quoted) {
        return (quoted || (!value.starts_with('-') &&
                           !RE2::FullMatch(StringPiece(value.data(), value.size()), prose))) &&
               is_secret_value(Certainty::strong, key, value);
    });
}

Range assigned_value(std::string_view text, const std::array<StringPiece, 4>& match)
{
    const std::string_view key(match[1].data(), match[1].size());
    const std::string_view sign(match[3].data(), match[3].size());
    auto at = static_cast<std::size_t>(match[0].data() + match[0].size() - text.data());
    // `token::type`, `token == x`
    if (at < text.size() && (text[at] == '=' || text[at] == ':')) return {at, at};
    const bool tight = sign == "=" && match[3].data() == match[2].data() + match[2].size() &&
                       sign.data() + 1 == text.data() + at;
    const bool plain_key = key.size() == 5 && key.ends_with("_KEY");  // without a key

    if (at + 1 < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0 &&
        is_quote(text[at + 1]))
        ++at;  // Python's b"", r"", f""
    return value_at(text, at, [&](std::string_view value, bool quoted) {
        const bool spaced = value.find(' ') != value.npos;
        const bool strong = tight || (quoted && (!spaced || !match[2].empty()));
        return is_secret_value(!plain_key && strong ? Certainty::strong : Certainty::weak, key,
                               value);
    });
}

// The value of a header `Authorization` without a scheme.
Range header_value(std::string_view text, std::size_t at)
{
    constexpr std::string_view ends = " \t\r\n\f\"'\\,;<>`";
    const auto begun = text.substr(at, max_examined);
    const auto value = begun.substr(0, begun.find_first_of(ends));
    if (!is_secret_value(Certainty::weak, "token", value)) return {at, at};
    return {at, std::min(text.find_first_of(ends, at), text.size())};
}

// The text before `at` on its line, at most `max` bytes.
std::string_view line_before(std::string_view text, std::size_t at, std::size_t max)
{
    const auto from = at > max ? at - max : 0;
    const auto before = text.substr(from, at - from);
    const auto* const newline =
        static_cast<const char*>(::memrchr(before.data(), '\n', before.size()));
    return newline == nullptr
               ? before
               : before.substr(static_cast<std::size_t>(newline - before.data()) + 1);
}

bool is_word_character(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool begins_word(std::string_view text, std::size_t at)
{
    return at == 0 || !is_word_character(text[at - 1]);
}

bool has_word(std::string_view text, std::string_view word)
{
    for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
        const auto end = at + word.size();
        if (begins_word(text, at) && (end == text.size() || !is_word_character(text[end])))
            return true;
    }
    return false;
}

// `-u user:password` of curl. Without curl before it, it may be the next line of a long command.
Range curl_password(std::string_view text, const std::array<StringPiece, 4>& match)
{
    const auto head = static_cast<std::size_t>(match[0].data() - text.data());
    const auto before = line_before(text, head, max_context);
    const bool continued = before.find_first_not_of(" \t") == before.npos;
    const bool is_curl = has_word(before, "curl");
    if (!is_curl && !continued) return {head, head};

    const auto begin = head + match[0].size();
    const auto quote = static_cast<std::size_t>(match[1].data() - text.data());
    const auto quoted = match[1].empty() ? std::nullopt : quoted_value(text, quote);
    const auto end = quoted && quoted->end >= begin ? quoted->end : bare_value(text, begin).end;
    const auto certainty = is_curl ? Certainty::strong : Certainty::weak;
    const bool found = is_secret_value(certainty, "password", text.substr(begin, end - begin));
    return {begin, found ? end : begin};
}

// The text after the name of a MySQL or MariaDB client; nullopt without one.
std::optional<std::string_view> mysql_arguments(std::string_view line)
{
    std::optional<std::string_view> arguments;
    for (const std::string_view client : {"mysql", "mariadb"})
        for (auto at = line.find(client); at != line.npos; at = line.find(client, at + 1))
            if (begins_word(line, at)) arguments = line.substr(at + client.size());
    return arguments;
}

Range mysql_password(std::string_view text, std::size_t head, std::size_t at)
{
    const auto arguments = mysql_arguments(line_before(text, head, max_client_context));
    if (!arguments) return {head, head};
    // After `|`, `;` or `&&` it may belong to another program: `mkdir -pv`, `ssh -p2222`.
    const bool other_program = arguments->find_first_of("|;") != arguments->npos ||
                               arguments->find("&&") != arguments->npos;
    return value_at(text, at, [&](std::string_view value, bool) {
        const bool too_plain =
            value.size() < 4 || value.find_first_not_of("0123456789:.") == value.npos;
        return !(other_program && too_plain) &&
               is_secret_value(Certainty::strong, "password", value);
    });
}

// The secret; if it is empty, continue after it.
Range classify(Kind kind, std::string_view text, const std::array<StringPiece, 4>& match)
{
    const auto begin = static_cast<std::size_t>(match[1].data() - text.data());
    const auto end = begin + match[1].size();
    const auto head = static_cast<std::size_t>(match[0].data() - text.data());
    const auto head_end = head + match[0].size();
    const std::string_view group(match[1].data(), match[1].size());
    const auto if_secret = [&](Certainty certainty, std::string_view key) {
        return Range{begin, is_secret_value(certainty, key, group) ? end : begin};
    };
    switch (kind) {
        case Kind::token:
            return {begin, end};
        case Kind::credential:
            return if_secret(Certainty::certain, "password");
        case Kind::bearer:
            return if_secret(Certainty::weak, "token");
        case Kind::header:
            return header_value(text, begin);
        case Kind::netrc:
            return if_secret(Certainty::strong, "password");
        case Kind::netrc_part:
            return if_secret(Certainty::weak, "password");
        case Kind::curl_user:
            return curl_password(text, match);
        case Kind::mysql:
            return mysql_password(text, head, begin);
        case Kind::option:
            return option_value(text, group, head_end);
        case Kind::assignment:
            return assigned_value(text, match);
    }
    return {head_end, head_end};
}

}  // namespace

std::optional<Finding> find_secret(std::string_view text, std::size_t from)
{
    static const Compiled compiled;
    const StringPiece piece(text.data(), text.size());
    StringPiece any;
    while (from < text.size() &&
           compiled.any->Match(piece, from, text.size(), RE2::UNANCHORED, &any, 1)) {
        const auto head = static_cast<std::size_t>(any.data() - text.data());
        from = head + 1;
        for (std::size_t i = 0; i < patterns.size(); ++i) {
            std::array<StringPiece, 4> match;
            const int groups = 1 + std::min(3, compiled.each[i]->NumberOfCapturingGroups());
            if (!compiled.each[i]->Match(piece, head, text.size(), RE2::ANCHOR_START, match.data(),
                                         groups))
                continue;
            const auto [begin, end] = classify(patterns[i].kind, text, match);
            const auto value = text.substr(begin, end - begin);
            if (!value.empty() && value != redaction_marker) return Finding{head, begin, end};
            from = std::max(end, from);
            break;
        }
    }
    return std::nullopt;
}

}  // namespace autoexec::redaction
