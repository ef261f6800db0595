#include "workflow/expression/expression_tokens.hpp"
#include "workflow/expression/expression_tree.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::workflow {
namespace {

using Node = Expression::Node;
using Kind = Token::Kind;
using Parsed = std::optional<Node>;

constexpr std::size_t max_text_length = 4096;
constexpr int deepest = 64;

// The first is the usual spelling.
constexpr std::array<std::string_view, 2> functions{"exists", "artifact"};

std::size_t end_of(const Node& node)
{
    return node.offset + node.size;
}

std::vector<std::string> split_name(std::string_view text)
{
    std::vector<std::string> parts;
    for (;;) {
        const auto dot = text.find('.');
        parts.emplace_back(text.substr(0, dot));
        if (dot == text.npos) return parts;
        text.remove_prefix(dot + 1);
    }
}

Node leaf(Node::Kind kind, const Token& token)
{
    Node node;
    node.kind = kind;
    node.offset = token.offset;
    node.size = token.text.size();
    node.value = token.value;
    if (kind == Node::Kind::name) node.name = {split_name(token.text), token.offset};
    return node;
}

Node branch(Node::Kind kind, std::size_t offset)
{
    Node node;
    node.kind = kind;
    node.offset = offset;
    return node;
}

void add_operand(Node& node, Node operand)
{
    node.size = end_of(operand) - node.offset;
    node.operands.push_back(std::move(operand));
}

/// Recursive descent; the limit of nesting bounds the stack, of evaluation, too.
///
///     disjunction  conjunction { or conjunction }
///     conjunction  negation { and negation }
///     negation     not negation | comparison
///     comparison   operand [ relation operand ]
///     operand      literal | name | function '(' text ')' | '(' disjunction ')'
class Parser {
public:
    Parser(std::string_view text, ExpressionProblem& problem)
        : tokens_(text, problem), problem_(problem)
    {}

    Parsed run()
    {
        if (!advance()) return std::nullopt;
        auto node = disjunction();
        if (node && token_.kind != Kind::end) return unexpected();
        return node;
    }

private:
    using Rule = Parsed (Parser::*)();

    Parsed disjunction()
    {
        return joined(Kind::disjunction, Node::Kind::disjunction, &Parser::conjunction);
    }

    Parsed conjunction()
    {
        return joined(Kind::conjunction, Node::Kind::conjunction, &Parser::negation);
    }

    Parsed joined(Kind by, Node::Kind kind, Rule part)
    {
        auto first = (this->*part)();
        if (!first || token_.kind != by) return first;
        auto node = branch(kind, first->offset);
        add_operand(node, *std::move(first));
        while (token_.kind == by) {
            if (!advance()) return std::nullopt;
            auto next = (this->*part)();
            if (!next) return std::nullopt;
            add_operand(node, *std::move(next));
        }
        return node;
    }

    Parsed negation()
    {
        if (token_.kind != Kind::negation) return comparison();
        auto node = branch(Node::Kind::negation, token_.offset);
        if (!descend() || !advance()) return std::nullopt;
        auto operand = negation();
        if (!operand) return std::nullopt;
        --depth_;
        add_operand(node, *std::move(operand));
        return node;
    }

    Parsed comparison()
    {
        auto left = operand();
        if (!left || token_.kind != Kind::relation) return left;
        auto node = branch(Node::Kind::comparison, left->offset);
        node.relation = token_.relation;
        add_operand(node, *std::move(left));
        if (!advance()) return std::nullopt;
        auto right = operand();
        if (!right) return std::nullopt;
        add_operand(node, *std::move(right));
        if (token_.kind == Kind::relation)
            return fail(token_.offset, "Comparisons cannot be chained",
                        "Join two of them with 'and', as in a < b and b < c.");
        return node;
    }

    Parsed operand()
    {
        const auto token = token_;
        switch (token.kind) {
            case Kind::opening:
                return group();
            case Kind::literal:
                if (!advance()) return std::nullopt;
                return leaf(Node::Kind::literal, token);
            case Kind::name:
                if (!advance()) return std::nullopt;
                return token_.kind == Kind::opening ? call(token) : leaf(Node::Kind::name, token);
            default:
                return missing_operand();
        }
    }

    Parsed group()
    {
        const auto opening = token_;
        if (!descend() || !advance()) return std::nullopt;
        auto node = disjunction();
        if (!node) return std::nullopt;
        if (token_.kind == Kind::end) return not_closed(opening);
        if (token_.kind != Kind::closing) return unexpected();
        --depth_;
        node->offset = opening.offset;
        node->size = token_.offset + 1 - opening.offset;
        return advance() ? std::move(node) : std::nullopt;
    }

    // At the parenthesis after the function.
    Parsed call(const Token& function)
    {
        if (std::find(functions.begin(), functions.end(), function.text) == functions.end())
            return unknown_function(function);
        const auto opening = token_;
        if (!advance()) return std::nullopt;
        if (token_.kind == Kind::end) return not_closed(opening);
        if (!token_.value.is_string())
            return fail(token_.offset, fmt::format("'{}' requires a path in quotes", function.text),
                        fmt::format("As in {}(\"docs/plan.md\").", function.text));
        auto node = branch(Node::Kind::exists, function.offset);
        add_operand(node, leaf(Node::Kind::literal, token_));
        if (!advance()) return std::nullopt;
        if (token_.kind == Kind::end) return not_closed(opening);
        if (token_.kind != Kind::closing)
            return fail(token_.offset, fmt::format("'{}' takes one path", function.text),
                        "Use one for each path, and join them with 'and' or 'or'.");
        node.size = token_.offset + 1 - node.offset;
        if (!advance()) return std::nullopt;
        return node;
    }

    Parsed unknown_function(const Token& function)
    {
        auto hint = yaml::did_you_mean(function.text, functions);
        if (hint.empty()) hint = fmt::format("There is {}(\"PATH\").", functions.front());
        return fail(function.offset, fmt::format("Unknown function {}", quoted(function.text)),
                    std::move(hint));
    }

    Parsed not_closed(const Token& opening) { return fail(opening.offset, "'(' is not closed"); }

    Parsed missing_operand()
    {
        if (token_.kind == Kind::negation)
            return fail(token_.offset, "'not' cannot be an operand of a comparison",
                        "Put parentheses around 'not' and its operand.");
        if (token_.kind != Kind::end)
            return fail(token_.offset,
                        fmt::format("Something is missing before '{}'", token_.text));
        if (before_.empty()) return fail(token_.offset, "There is no expression");
        return fail(token_.offset, fmt::format("Something is missing after '{}'", before_));
    }

    // Where an operator could stand.
    Parsed unexpected()
    {
        if (token_.kind == Kind::closing) return fail(token_.offset, "')' closes nothing");
        if (token_.kind == Kind::comma) return fail(token_.offset, "',' has no meaning here");
        const bool has_sign = token_.value.is_number() && token_.text.find_first_of("+-") == 0;
        return fail(token_.offset,
                    fmt::format("An operator is missing before {}", quoted(token_.text)),
                    has_sign ? "There is no arithmetic." : "");
    }

    bool advance()
    {
        before_ = token_.text;
        auto next = tokens_.next();
        if (!next) return false;
        token_ = *std::move(next);
        return true;
    }

    bool descend()
    {
        if (++depth_ <= deepest) return true;
        fail(token_.offset, fmt::format("It is nested deeper than {} levels", deepest));
        return false;
    }

    std::nullopt_t fail(std::size_t offset, std::string message, std::string hint = {})
    {
        problem_ = {offset, std::move(message), std::move(hint)};
        return std::nullopt;
    }

    TokenReader tokens_;
    Token token_;
    std::string_view before_;  // the text of the token before
    int depth_ = 0;
    ExpressionProblem& problem_;
};

}  // namespace

std::optional<Node> parse_expression(std::string_view text, ExpressionProblem& problem)
{
    if (text.size() <= max_text_length) return Parser(text, problem).run();
    problem = {
        max_text_length, fmt::format("An expression has at most {} bytes", max_text_length), {}};
    return std::nullopt;
}

}  // namespace autoexec::workflow
