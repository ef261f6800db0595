#include "workflow/expression/expression_tokens.hpp"

#include "text/json_number.hpp"
#include "text/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::workflow {
namespace {

using Kind = Token::Kind;

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view digits = "0123456789";
constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

struct Symbol {
    std::string_view text;
    Kind kind = Kind::end;
    Relation relation = Relation::equal;
    std::string_view instead{};  // for what only other languages have
};

// A symbol that others begin with comes after them.
constexpr std::array symbols{
    Symbol{"===", Kind::end, {}, "=="},
    Symbol{"!==", Kind::end, {}, "!="},
    Symbol{"==", Kind::relation, Relation::equal},
    Symbol{"!=", Kind::relation, Relation::unequal},
    Symbol{"<=", Kind::relation, Relation::at_most},
    Symbol{">=", Kind::relation, Relation::at_least},
    Symbol{"<>", Kind::end, {}, "!="},
    Symbol{"=<", Kind::end, {}, "<="},
    Symbol{"=>", Kind::end, {}, ">="},
    Symbol{"&&", Kind::conjunction},
    Symbol{"||", Kind::disjunction},
    Symbol{"<", Kind::relation, Relation::less},
    Symbol{">", Kind::relation, Relation::more},
    Symbol{"!", Kind::negation},
    Symbol{"(", Kind::opening},
    Symbol{")", Kind::closing},
    Symbol{",", Kind::comma},
    Symbol{"=", Kind::end, {}, "=="},
    Symbol{"&", Kind::end, {}, "&&"},
    Symbol{"|", Kind::end, {}, "||"},
};

constexpr std::array<std::pair<std::string_view, Kind>, 5> keywords{{
    {"and", Kind::conjunction},
    {"or", Kind::disjunction},
    {"not", Kind::negation},
    {"true", Kind::literal},
    {"false", Kind::literal},
}};

bool is_in(std::string_view set, char c)
{
    return set.find(c) != set.npos;
}
bool begins_name(char c)
{
    return c == '_' || is_in(letters, c);
}
bool continues_name(char c)
{
    return begins_name(c) || c == '-' || is_in(digits, c);
}

std::size_t end_of_part(std::string_view text, std::size_t from)
{
    while (from < text.size() && continues_name(text[from])) ++from;
    return from;
}

std::string in_lower_case(std::string_view word)
{
    std::string lower(word);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

bool skip_one_of(std::string_view set, std::string_view& text)
{
    const bool there = !text.empty() && is_in(set, text.front());
    if (there) text.remove_prefix(1);
    return there;
}

bool skip_digits(std::string_view& text)
{
    const auto before = text.size();
    while (skip_one_of(digits, text)) continue;
    return text.size() < before;
}

bool begins_number(std::string_view text)
{
    skip_one_of("+-", text);
    skip_one_of(".", text);
    return skip_digits(text);
}

// All that a reader would take for one number, right or wrong: `1.2.3`, `007`, `5x`.
std::size_t number_size(std::string_view text)
{
    std::size_t size = 1;
    while (size < text.size()) {
        const bool signs_exponent = is_in("eE", text[size - 1]) && is_in("+-", text[size]);
        if (!signs_exponent && !is_in(letters, text[size]) && !is_in("_.", text[size]) &&
            !is_in(digits, text[size]))
            break;
        ++size;
    }
    return size;
}

enum class NumberForm { none, whole, fraction };

// JSON's, after a sign.
NumberForm form_of(std::string_view text)
{
    skip_one_of("-", text);
    if (!skip_one_of("0", text) && !skip_digits(text)) return NumberForm::none;
    const bool whole = text.empty();
    if (skip_one_of(".", text) && !skip_digits(text)) return NumberForm::none;
    if (skip_one_of("eE", text)) {
        skip_one_of("+-", text);
        if (!skip_digits(text)) return NumberForm::none;
    }
    if (!text.empty()) return NumberForm::none;
    return whole ? NumberForm::whole : NumberForm::fraction;
}

}  // namespace

TokenReader::TokenReader(std::string_view text, ExpressionProblem& problem)
    : text_(text.substr(0, text.find_last_not_of(blanks) + 1)), problem_(problem)
{}

std::optional<Token> TokenReader::next()
{
    at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size());
    if (at_ == text_.size()) return take(Kind::end, 0);
    const auto rest = text_.substr(at_);
    if (begins_name(rest.front())) return word();
    if (is_in("'\"", rest.front())) return text_literal();
    if (begins_number(rest)) return number();
    return symbol();
}

std::optional<Token> TokenReader::word()
{
    auto end = end_of_part(text_, at_);
    while (end < text_.size() && text_[end] == '.') {
        const auto begin = end + 1;
        end = end_of_part(text_, begin);
        if (end == begin || text_[begin] == '-')
            return fail(begin - 1, "After '.', a name continues with a letter, a digit or '_'");
    }
    auto token = take(Kind::name, end - at_);
    const auto lower = in_lower_case(token.text);
    const auto* const keyword = std::find_if(keywords.begin(), keywords.end(),
                                             [&](const auto& k) { return k.first == lower; });
    if (keyword == keywords.end()) return token;
    token.kind = keyword->second;
    if (token.kind == Kind::literal) token.value = lower == "true";
    if (token.text == lower || token.text == "True" || token.text == "False") return token;
    return fail(token.offset, fmt::format("{} must be in lower case", quoted(token.text)),
                fmt::format("Write '{}'.", lower));
}

std::optional<Token> TokenReader::text_literal()
{
    const char quote = text_[at_];
    std::string value;
    for (auto i = at_ + 1; i < text_.size(); ++i) {
        if (text_[i] == quote) {
            auto token = take(Kind::literal, i + 1 - at_);
            token.value = value;
            return token;
        }
        if (text_[i] == '\\' && i + 1 < text_.size()) {
            if (text_[++i] != quote && text_[i] != '\\')
                return fail(i - 1,
                            "A backslash is allowed only before the quote or another backslash",
                            "Write two backslashes for one.");
        }
        value += text_[i];
    }
    return fail(at_, "A quote is not closed");
}

std::optional<Token> TokenReader::number()
{
    auto token = take(Kind::literal, number_size(text_.substr(at_)));
    auto plain = token.text;
    skip_one_of("+", plain);
    const auto form = form_of(plain);
    if (form == NumberForm::none)
        return fail(token.offset, fmt::format("{} is not a number", quoted(token.text)),
                    "Numbers are written as in JSON; put text in quotes.");
    const auto value = text::json_number(plain, form == NumberForm::whole);
    if (!value) return fail(token.offset, fmt::format("{} is too large", quoted(token.text)));
    token.value = *value;
    return token;
}

std::optional<Token> TokenReader::symbol()
{
    const auto rest = text_.substr(at_);
    const auto* const found = std::find_if(symbols.begin(), symbols.end(),
                                           [&](const auto& s) { return rest.starts_with(s.text); });
    if (found == symbols.end()) return unknown_character();
    if (!found->instead.empty())
        return fail(at_, fmt::format("'{}' is not an operator", found->text),
                    fmt::format("Write '{}'.", found->instead));
    auto token = take(found->kind, found->text.size());
    token.relation = found->relation;
    return token;
}

std::nullopt_t TokenReader::unknown_character()
{
    const auto rest = text_.substr(at_);
    const auto character = rest.substr(0, text::decode_utf8(rest).length);
    std::string hint;
    if (is_in("+-*/%", rest.front())) hint = "There is no arithmetic.";
    if (is_in("${}", rest.front())) hint = "Write names without '$' and braces.";
    return fail(at_, fmt::format("{} has no meaning here", quoted(character)), std::move(hint));
}

Token TokenReader::take(Kind kind, std::size_t size)
{
    Token token;
    token.kind = kind;
    token.offset = at_;
    token.text = text_.substr(at_, size);
    at_ += size;
    return token;
}

std::nullopt_t TokenReader::fail(std::size_t offset, std::string message, std::string hint)
{
    problem_ = {offset, std::move(message), std::move(hint)};
    return std::nullopt;
}

}  // namespace autoexec::workflow
