#include "workflow/expression/expression_tree.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace autoexec::workflow {
namespace {

using Node = Expression::Node;
using Type = std::optional<ValueType>;

bool fits(ValueType found, ValueType wanted)
{
    return found == wanted || found == ValueType::any || wanted == ValueType::any;
}

// What a text in quotes would be without them.
bool would_be(ValueType wanted, std::string_view text)
{
    if (wanted == ValueType::boolean) return text == "true" || text == "false";
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

class TypeCheck {
public:
    TypeCheck(std::string_view text, const ExpressionScope& scope, ExpressionProblem& problem)
        : text_(text), scope_(scope), problem_(problem)
    {}

    bool wants(ValueType wanted, const Node& operand, std::string_view wanted_by)
    {
        const auto found = type(operand);
        return found && accept(wanted, operand, *found, wanted_by);
    }

private:
    /// Nothing, and a problem, if something within the node is wrong.
    Type type(const Node& node)
    {
        switch (node.kind) {
            case Node::Kind::literal:
                return type_of(node.value);
            case Node::Kind::name:
                return type_of_name(node);
            case Node::Kind::exists:
                return truth_if(allows(node.operands.front()));
            case Node::Kind::comparison:
                return truth_if(orders(node.relation) ? all_want(ValueType::number, node)
                                                      : sides_agree(node));
            case Node::Kind::negation:
            case Node::Kind::conjunction:
            case Node::Kind::disjunction:
                break;
        }
        return truth_if(all_want(ValueType::boolean, node));
    }

    static Type truth_if(bool sound) { return sound ? Type(ValueType::boolean) : std::nullopt; }

    bool all_want(ValueType wanted, const Node& node)
    {
        for (const auto& operand : node.operands)
            if (!wants(wanted, operand, operator_of(node))) return false;
        return true;
    }

    bool sides_agree(const Node& node)
    {
        const auto& right = node.operands.back();
        const auto left_type = type(node.operands.front());
        if (!left_type) return false;
        const auto right_type = type(right);
        if (!right_type) return hint_at_quotes(*left_type, right), false;
        return accept(*left_type, right, *right_type, operator_of(node)) &&
               is_possible(node.operands.front(), right) &&
               is_possible(right, node.operands.front());
    }

    // A comparison with a word that never comes would be false without a word.
    bool is_possible(const Node& name, const Node& literal)
    {
        if (name.kind != Node::Kind::name || literal.kind != Node::Kind::literal ||
            !literal.value.is_string() || !scope_.words_of)
            return true;
        const auto words = scope_.words_of(name.name);
        const std::string_view word(literal.value.get_string());
        if (words.empty() || std::find(words.begin(), words.end(), word) != words.end())
            return true;
        ExpressionProblem why;
        why.message = fmt::format("{} is never '{}'", quoted(piece(name)), word);
        why.hint = yaml::did_you_mean(word, words);
        if (why.hint.empty()) why.hint = fmt::format("It is one of {}.", fmt::join(words, ", "));
        return refuse(literal, std::move(why));
    }

    // `outcome == completed`: a word alone is hardly ever meant as a name there.
    void hint_at_quotes(ValueType other_side, const Node& unknown)
    {
        if (other_side == ValueType::text && unknown.kind == Node::Kind::name &&
            unknown.name.parts.size() == 1)
            problem_.hint = fmt::format("Put text in quotes: {}.", quoted(piece(unknown)));
    }

    Type type_of_name(const Node& node)
    {
        ExpressionProblem why;
        const auto known = scope_.type_of ? scope_.type_of(node.name, why) : std::nullopt;
        if (known) return known;
        if (why.message.empty()) why.message = fmt::format("Unknown name {}", quoted(piece(node)));
        return refuse(node, std::move(why)), std::nullopt;
    }

    bool allows(const Node& path)
    {
        ExpressionProblem why;
        if (!scope_.allows_path || scope_.allows_path(std::string(path.value.get_string()), why))
            return true;
        if (why.message.empty())
            why.message = fmt::format("{} cannot be used here", quoted(piece(path)));
        return refuse(path, std::move(why));
    }

    bool accept(ValueType wanted, const Node& operand, ValueType found, std::string_view wanted_by)
    {
        if (fits(found, wanted)) return true;
        ExpressionProblem why;
        why.message =
            wrong_type(quoted(piece(operand)), describe(found), wanted_by, describe(wanted));
        why.hint = hint(wanted, operand, found);
        return refuse(operand, std::move(why));
    }

    std::string hint(ValueType wanted, const Node& operand, ValueType found) const
    {
        if (operand.kind == Node::Kind::literal && wanted == ValueType::text)
            return fmt::format("Put text in quotes: '{}'.", piece(operand));
        if (operand.kind == Node::Kind::literal && found == ValueType::text &&
            would_be(wanted, operand.value.get_string()))
            return fmt::format("Write {} without quotes.",
                               std::string_view(operand.value.get_string()));
        if (operand.kind == Node::Kind::name && wanted == ValueType::boolean)
            return fmt::format("Compare it with something, as in {} == {}.", operand.name.text(),
                               found == ValueType::text ? "'done'" : "0");
        return {};
    }

    bool refuse(const Node& node, ExpressionProblem why)
    {
        problem_ = std::move(why);
        problem_.offset = node.offset;
        return false;
    }

    std::string_view piece(const Node& node) const { return text_.substr(node.offset, node.size); }

    std::string_view text_;
    const ExpressionScope& scope_;
    ExpressionProblem& problem_;
};

}  // namespace

bool check_types(const Node& root, std::string_view text, const ExpressionScope& scope,
                 ExpressionProblem& problem)
{
    return TypeCheck(text, scope, problem).wants(ValueType::boolean, root, the_whole);
}

}  // namespace autoexec::workflow
