#include "protocol/expected_artifacts.hpp"
#include "text/json.hpp"
#include "text/text.hpp"
#include "workflow/expression/expression_tree.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/algorithm/string/split.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::workflow {
namespace {

using Node = Expression::Node;

constexpr std::size_t max_text_length = 4096;
constexpr std::size_t max_quotation_length = 60;
constexpr int max_depth = 64;

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view number_characters =
    "+.-0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr auto name_characters = number_characters.substr(2);
constexpr auto name_beginnings = number_characters.substr(13);
constexpr auto digits = number_characters.substr(3, 10);

// The first is the usual spelling.
constexpr std::array<std::string_view, 2> functions{"exists", "artifact"};

struct Spelling {
    std::string_view text;
    Symbol symbol = Symbol::end;
    std::string_view instead{};  // for what only other languages have
};

// Of each symbol the usual spelling first; what others begin with comes after them.
constexpr std::array spellings{
    Spelling{"and", Symbol::conjunction}, Spelling{"or", Symbol::disjunction},
    Spelling{"not", Symbol::negation},    Spelling{"true", Symbol::literal},
    Spelling{"false", Symbol::literal},   Spelling{"===", Symbol::end, "=="},
    Spelling{"!==", Symbol::end, "!="},   Spelling{"==", Symbol::equal},
    Spelling{"!=", Symbol::unequal},      Spelling{"<=", Symbol::at_most},
    Spelling{">=", Symbol::at_least},     Spelling{"<>", Symbol::end, "!="},
    Spelling{"=<", Symbol::end, "<="},    Spelling{"=>", Symbol::end, ">="},
    Spelling{"&&", Symbol::conjunction},  Spelling{"||", Symbol::disjunction},
    Spelling{"<", Symbol::less},          Spelling{">", Symbol::more},
    Spelling{"!", Symbol::negation},      Spelling{"(", Symbol::opening},
    Spelling{")", Symbol::closing},       Spelling{",", Symbol::comma},
    Spelling{"=", Symbol::end, "=="},     Spelling{"&", Symbol::end, "&&"},
    Spelling{"|", Symbol::end, "||"},
};

bool is_in(std::string_view set, char c)
{
    return set.find(c) != set.npos;
}

bool begins_number(std::string_view text)
{
    if (is_in("+-", text.front())) text.remove_prefix(1);
    if (text.starts_with('.')) text.remove_prefix(1);
    return !text.empty() && is_in(digits, text.front());
}

bool is_json_number(std::string_view text)
{
    boost::json::error_code ec;
    (void)boost::json::parse(text, ec);
    return !ec || ec == boost::json::error::exponent_overflow;
}

// What a text in quotes would be without them.
bool would_be(ValueType wanted, std::string_view text)
{
    if (wanted == ValueType::boolean) return text == "true" || text == "false";
    return !text.empty() && text.find_first_not_of(digits) == text.npos;
}

/// Recursive descent, which checks types as it returns; the limit of nesting bounds the stack, of
/// evaluation, too. An error ends the text, so that all rules return.
///
///     disjunction  conjunction { or conjunction }
///     conjunction  negation { and negation }
///     negation     not negation | comparison
///     comparison   operand [ relation operand ]
///     operand      literal | name | function '(' text ')' | '(' disjunction ')'
/// A function for each of these rules and each kind of symbol.
class Parser {
public:
    // The end is right behind the last symbol, so that it is on a line that has text.
    Parser(std::string_view text, const NameScope& scope)
        : text_(text.substr(0, text.find_last_not_of(blanks) + 1)), scope_(scope)
    {}

    std::optional<Node> run(ExpressionProblem& problem)
    {
        advance();
        auto root = disjunction();
        if (token_.symbol != Symbol::end) fail_at_operator();
        require(ValueType::boolean, root, the_whole);
        if (!syntax_problem_ && !type_problem_) return root;
        problem = syntax_problem_ ? *syntax_problem_ : *type_problem_;
        return std::nullopt;
    }

private:
    using Rule = Node (Parser::*)();

    Node disjunction() { return joined(Symbol::disjunction, &Parser::conjunction); }
    Node conjunction() { return joined(Symbol::conjunction, &Parser::negation); }

    Node joined(Symbol by, Rule part)
    {
        auto first = (this->*part)();
        if (token_.symbol != by) return first;
        auto node = branch(by, first.offset);
        add_operand(node, std::move(first), ValueType::boolean);
        while (token_.symbol == by) {
            advance();
            add_operand(node, (this->*part)(), ValueType::boolean);
        }
        return node;
    }

    Node negation()
    {
        if (token_.symbol != Symbol::negation) return comparison();
        auto node = branch(Symbol::negation, token_.offset);
        descend();
        add_operand(node, negation(), ValueType::boolean);
        --depth_;
        return node;
    }

    Node comparison()
    {
        auto left = operand();
        if (!compares(token_.symbol)) return left;
        auto node = branch(token_.symbol, left.offset);
        const auto left_type = left.type.type;
        const bool ordered = orders(node.symbol);
        add_operand(node, std::move(left), ordered ? ValueType::number : ValueType::any);
        advance();
        const bool sound = !type_problem_;
        auto right = operand();
        if (sound && type_problem_ && left_type == ValueType::text) hint_at_quotes(right);
        add_operand(node, std::move(right), ordered ? ValueType::number : left_type);
        check_words(node.operands[0], node.operands[1]);
        check_words(node.operands[1], node.operands[0]);
        if (compares(token_.symbol))
            fail(token_.offset, "Comparisons cannot be chained",
                 "Join two of them with 'and', as in a < b and b < c.");
        return node;
    }

    Node operand()
    {
        if (token_.symbol == Symbol::opening) return group();
        auto node = token_;
        if (node.symbol != Symbol::literal && node.symbol != Symbol::name) {
            fail_at_operand();
            return node;
        }
        advance();
        if (node.symbol == Symbol::name) {
            if (token_.symbol == Symbol::opening) return call(node);
            resolve(node);
        }
        return node;
    }

    Node group()
    {
        const auto begin = token_.offset;
        descend();
        auto node = disjunction();
        if (token_.symbol != Symbol::end && token_.symbol != Symbol::closing) fail_at_operator();
        --depth_;
        node.offset = begin;
        close(node, begin);
        return node;
    }

    // At the parenthesis after the function.
    Node call(const Node& function)
    {
        const auto name = piece(function);
        if (std::ranges::find(functions, name) == functions.end()) fail_at_function(function);
        const auto opening = token_.offset;
        advance();
        const auto path = token_;
        if (path.symbol != Symbol::end && !path.value.is_string())
            fail(path.offset, fmt::format("'{}' requires a path in quotes", name),
                 fmt::format("As in {}(\"docs/plan.md\").", name));
        advance();
        if (token_.symbol != Symbol::end && token_.symbol != Symbol::closing)
            fail(token_.offset, fmt::format("'{}' takes one path", name),
                 "Use one for each path, and join them with 'and' or 'or'.");
        if (path.value.is_string()) check_path(path);
        auto node = branch(Symbol::exists, function.offset);
        node.value = path.value;
        close(node, opening);
        return node;
    }

    void close(Node& node, std::size_t opening)
    {
        if (token_.symbol == Symbol::end) fail(opening, "'(' is not closed");
        node.size = token_.offset + 1 - node.offset;
        advance();
    }

    static Node branch(Symbol symbol, std::size_t offset)
    {
        return {symbol, offset, 0, {ValueType::boolean}, {}, {}, {}};
    }

    void add_operand(Node& node, Node operand, ValueType wanted)
    {
        require(wanted, operand, in_quotes(node.symbol));
        node.size = operand.offset + operand.size - node.offset;
        node.operands.push_back(std::move(operand));
    }

    void descend()
    {
        if (++depth_ > max_depth)
            fail(token_.offset, fmt::format("It is nested deeper than {} levels", max_depth));
        advance();
    }

    void fail_at_function(const Node& function)
    {
        auto hint = yaml::did_you_mean(piece(function), functions);
        if (hint.empty()) hint = fmt::format("There is {}(\"PATH\").", functions.front());
        fail(function.offset, fmt::format("Unknown function {}", in_quotes(piece(function))),
             std::move(hint));
    }

    void fail_at_operand()
    {
        if (token_.symbol == Symbol::negation)
            fail(token_.offset, "'not' cannot be an operand of a comparison",
                 "Put parentheses around 'not' and its operand.");
        else if (token_.symbol != Symbol::end)
            fail(token_.offset, fmt::format("Something is missing before '{}'", piece(token_)));
        else if (before_.empty())
            fail(token_.offset, "There is no expression");
        else
            fail(token_.offset, fmt::format("Something is missing after '{}'", before_));
    }

    void fail_at_operator()
    {
        if (token_.symbol == Symbol::closing) return fail(token_.offset, "')' closes nothing");
        if (token_.symbol == Symbol::comma) return fail(token_.offset, "',' has no meaning here");
        const bool has_sign = token_.value.is_number() && is_in("+-", piece(token_).front());
        fail(token_.offset,
             fmt::format("An operator is missing before {}", in_quotes(piece(token_))),
             has_sign ? "There is no arithmetic." : "");
    }

    // Types.

    void require(ValueType wanted, const Node& operand, std::string_view wanted_by)
    {
        const auto found = operand.type.type;
        if (found == wanted || found == ValueType::any || wanted == ValueType::any) return;
        refuse(operand.offset,
               {0, wrong_type(in_quotes(piece(operand)), describe(found), wanted_by, wanted),
                hint_for(operand, wanted)});
    }

    std::string hint_for(const Node& operand, ValueType wanted) const
    {
        const bool is_text = operand.type.type == ValueType::text;
        if (operand.symbol == Symbol::literal && wanted == ValueType::text)
            return fmt::format("Put text in quotes: '{}'.", piece(operand));
        if (operand.symbol == Symbol::literal && is_text &&
            would_be(wanted, operand.value.get_string()))
            return fmt::format("Write {} without quotes.", operand.value.get_string().c_str());
        if (operand.symbol == Symbol::name && wanted == ValueType::boolean)
            return fmt::format("Compare it with something, as in {} == {}.", operand.name.text(),
                               is_text ? "'done'" : "0");
        return {};
    }

    // `outcome == completed`: a word alone is hardly ever meant as a name there.
    void hint_at_quotes(const Node& unknown)
    {
        if (unknown.symbol == Symbol::name && unknown.name.parts.size() == 1)
            type_problem_->hint =
                fmt::format("Put text in quotes: {}.", in_quotes(unknown.name.text()));
    }

    void resolve(Node& node)
    {
        const auto words = piece(node);
        boost::algorithm::split(node.name.parts, words, [](char c) { return c == '.'; });
        node.name.offset = node.offset;
        if (type_problem_) return;  // only the first is reported, and a guess takes time
        ExpressionProblem why;
        const auto found = scope_(node.name, why);
        node.type = found.value_or(NameType{});
        if (found) return;
        if (why.message.empty())
            why.message = fmt::format("Unknown name {}", in_quotes(piece(node)));
        refuse(node.offset, std::move(why));
    }

    void check_path(const Node& path)
    {
        const std::string_view text(path.value.get_string());
        if (!protocol::artifact_path(text))
            refuse(path.offset,
                   {0, fmt::format("'{}' is not a path within the worktree", text), {}});
    }

    // A comparison with a word that never occurs would always be false.
    void check_words(const Node& name, const Node& literal)
    {
        const auto words = name.type.words;
        if (words.empty() || !literal.value.is_string()) return;
        const std::string_view word(literal.value.get_string());
        if (std::ranges::find(words, word) != words.end()) return;
        auto hint = yaml::did_you_mean(word, words);
        if (hint.empty()) hint = fmt::format("It is one of {}.", fmt::join(words, ", "));
        refuse(literal.offset,
               {0, fmt::format("{} is never '{}'", in_quotes(piece(name)), word), std::move(hint)});
    }

    void refuse(std::size_t offset, ExpressionProblem why)
    {
        why.offset = offset;
        if (!type_problem_) type_problem_ = std::move(why);
    }

    std::string_view piece(const Node& node) const { return text_.substr(node.offset, node.size); }

    // Symbols.

    void advance()
    {
        before_ = piece(token_);
        at_ = end_of(blanks, at_);
        const auto rest = text_.substr(at_);
        if (rest.empty())
            take(Symbol::end, 0);
        else if (is_in(name_beginnings, rest.front()))
            read_word();
        else if (is_in("'\"", rest.front()))
            read_text();
        else if (begins_number(rest))
            read_number();
        else
            read_symbol();
    }

    void read_word()
    {
        auto end = end_of(name_characters, at_);
        while (end < text_.size() && text_[end] == '.') {
            const auto begin = end + 1;
            end = end_of(name_characters, begin);
            if (end == begin || text_[begin] == '-')
                return fail(begin - 1, "After '.', a name continues with a letter, a digit or '_'");
        }
        take(Symbol::name, end - at_);
        const auto word = piece(token_);
        const auto lower = text::lower_case(word);
        const auto* const keyword = std::ranges::find(spellings, lower, &Spelling::text);
        if (keyword == spellings.end()) return;
        token_.symbol = keyword->symbol;
        if (token_.symbol == Symbol::literal) set_value(ValueType::boolean, lower == "true");
        if (word != lower && word != "True" && word != "False")
            fail(token_.offset, fmt::format("{} must be in lower case", in_quotes(word)),
                 fmt::format("Write '{}'.", lower));
    }

    void read_text()
    {
        const char quote = text_[at_];
        boost::json::string value;
        for (auto i = at_ + 1; i < text_.size(); ++i) {
            if (text_[i] == quote) {
                take(Symbol::literal, i + 1 - at_);
                return set_value(ValueType::text, std::move(value));
            }
            if (text_[i] == '\\' && i + 1 < text_.size() && text_[++i] != quote && text_[i] != '\\')
                return fail(i - 1,
                            "A backslash is allowed only before the quote or another backslash",
                            "Write two backslashes for one.");
            value += text_[i];
        }
        fail(at_, "A quote is not closed");
    }

    // All that a reader would take for one number is one, right or wrong: `1.2.3`, `007`, `5x`.
    void read_number()
    {
        take(Symbol::literal, end_of(number_characters, at_) - at_);
        const auto word = piece(token_);
        const auto plain = word.substr(word.starts_with('+') ? 1 : 0);
        if (!is_json_number(plain))
            return fail(token_.offset, fmt::format("{} is not a number", in_quotes(word)),
                        "Numbers are written as in JSON; put text in quotes.");
        const bool whole = plain.find_first_of(".eE") == plain.npos;
        const auto value = text::json_number(plain, whole);
        if (!value) return fail(token_.offset, fmt::format("{} is too large", in_quotes(word)));
        set_value(ValueType::number, *value);
    }

    void read_symbol()
    {
        const auto rest = text_.substr(at_);
        const auto* const found = std::ranges::find_if(
            spellings, [&](const auto& s) { return rest.starts_with(s.text); });
        if (found == spellings.end())
            fail_at_character(rest);
        else if (!found->instead.empty())
            fail(at_, fmt::format("'{}' is not an operator", found->text),
                 fmt::format("Write '{}'.", found->instead));
        else
            take(found->symbol, found->text.size());
    }

    void fail_at_character(std::string_view rest)
    {
        const auto character = rest.substr(0, text::decode_utf8(rest).length);
        std::string hint;
        if (is_in("+-*/%", rest.front())) hint = "There is no arithmetic.";
        if (is_in("${}", rest.front())) hint = "Write names without '$' and braces.";
        fail(at_, fmt::format("{} has no meaning here", in_quotes(character)), std::move(hint));
    }

    std::size_t end_of(std::string_view characters, std::size_t from) const
    {
        return std::min(text_.find_first_not_of(characters, from), text_.size());
    }

    void take(Symbol symbol, std::size_t size)
    {
        token_ = {symbol, at_, size, {}, {}, {}, {}};
        at_ += size;
    }

    void set_value(ValueType type, boost::json::value value)
    {
        token_.type.type = type;
        token_.value = std::move(value);
    }

    // The first error counts: others may follow from it.
    void fail(std::size_t offset, std::string message, std::string hint = {})
    {
        if (!syntax_problem_)
            syntax_problem_ = ExpressionProblem{offset, std::move(message), std::move(hint)};
        at_ = text_.size();
        take(Symbol::end, 0);
    }

    std::string_view text_;
    const NameScope& scope_;
    std::size_t at_ = 0;
    Node token_;
    std::string_view before_;  // the text of the token before
    int depth_ = 0;
    std::optional<ExpressionProblem> syntax_problem_;
    std::optional<ExpressionProblem> type_problem_;
};

}  // namespace

std::optional<Node> parse_expression(std::string_view text, const NameScope& scope,
                                     ExpressionProblem& problem)
{
    if (text.size() <= max_text_length) return Parser(text, scope).run(problem);
    problem = {
        max_text_length, fmt::format("An expression has at most {} bytes", max_text_length), {}};
    return std::nullopt;
}

std::string in_quotes(Symbol symbol)
{
    return fmt::format("'{}'", std::ranges::find(spellings, symbol, &Spelling::symbol)->text);
}

std::string in_quotes(std::string_view piece)
{
    auto size = std::min(piece.size(), max_quotation_length);
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    while (size > 0 && size < piece.size() && continues(piece[size])) --size;
    auto text = text::printable(piece.substr(0, size)) + (size < piece.size() ? "\u2026" : "");
    const bool has_quotes = piece.starts_with('\'') || piece.starts_with('"');
    return has_quotes && piece.size() > 1 ? text : fmt::format("'{}'", text);
}

}  // namespace autoexec::workflow
