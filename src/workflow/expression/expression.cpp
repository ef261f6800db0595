#include "workflow/expression/expression.hpp"

#include "workflow/expression/expression_tree.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <memory>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;
using Node = Expression::Node;

// Holds each int64, uint64 and double exactly, so comparisons do not round.
using AnyNumber = long double;
static_assert(std::numeric_limits<AnyNumber>::digits >= 64);

AnyNumber number_of(const json::value& value)
{
    if (value.is_int64()) return static_cast<AnyNumber>(value.get_int64());
    if (value.is_uint64()) return static_cast<AnyNumber>(value.get_uint64());
    return static_cast<AnyNumber>(value.get_double());
}

bool fits(const json::value& value, ValueType wanted)
{
    const auto type = type_of(value);
    return type && (type == wanted || wanted == ValueType::any);
}

bool holds(AnyNumber left, Relation relation, AnyNumber right)
{
    switch (relation) {
        case Relation::less:
            return left < right;
        case Relation::at_most:
            return left <= right;
        case Relation::more:
            return left > right;
        case Relation::at_least:
            return left >= right;
        case Relation::equal:
        case Relation::unequal:
            break;
    }
    return (left == right) == (relation == Relation::equal);
}

/// Each function that returns nothing has set `problem_`. Types are checked again: a value may have
/// another type than it was declared with.
class Evaluation {
public:
    Evaluation(const ExpressionValues& values, std::string& problem)
        : values_(values), problem_(problem)
    {}

    std::optional<bool> truth(const Node& node, std::string_view wanted_by)
    {
        switch (node.kind) {
            case Node::Kind::conjunction:
                return unless_one_is(false, node);
            case Node::Kind::disjunction:
                return unless_one_is(true, node);
            case Node::Kind::negation:
                return opposite(node);
            case Node::Kind::comparison:
                return compare(node);
            case Node::Kind::exists:
                return exists(node.operands.front());
            case Node::Kind::literal:
            case Node::Kind::name:
                break;
        }
        const auto found = value(node);
        if (!found) return std::nullopt;
        if (found->is_bool()) return found->get_bool();
        return complain(node, *found, wanted_by, ValueType::boolean);
    }

private:
    // The first operand with that value decides; the rest is not evaluated.
    std::optional<bool> unless_one_is(bool deciding, const Node& node)
    {
        for (const auto& operand : node.operands) {
            const auto is = truth(operand, operator_of(node));
            if (!is || *is == deciding) return is;
        }
        return !deciding;
    }

    std::optional<bool> opposite(const Node& node)
    {
        const auto is = truth(node.operands.front(), operator_of(node));
        return is ? std::optional(!*is) : std::nullopt;
    }

    std::optional<bool> exists(const Node& path)
    {
        if (values_.exists) return values_.exists(std::string(path.value.get_string()));
        problem_ = "It is unknown whether a file exists";
        return std::nullopt;
    }

    std::optional<bool> compare(const Node& node)
    {
        const auto left = value(node.operands.front());
        if (!left) return std::nullopt;
        const auto right = value(node.operands.back());
        if (!right || !comparable(node, *left, *right)) return std::nullopt;
        if (left->is_number()) return holds(number_of(*left), node.relation, number_of(*right));
        return (*left == *right) == (node.relation == Relation::equal);
    }

    bool comparable(const Node& node, const json::value& left, const json::value& right)
    {
        const auto& left_node = node.operands.front();
        const auto& right_node = node.operands.back();
        const auto wanted = orders(node.relation) ? ValueType::number : ValueType::any;
        if (!fits(left, wanted)) return complain(left_node, left, operator_of(node), wanted), false;
        const auto left_type = type_of(left);
        const auto right_type = type_of(right);
        if (left_type == right_type) return true;
        // Only a name can have another type than when the expression was compiled.
        if (right_node.kind == Node::Kind::name)
            return complain(right_node, right, operator_of(node), *left_type), false;
        return complain(left_node, left, operator_of(node), *right_type), false;
    }

    std::optional<json::value> value(const Node& node)
    {
        if (node.kind == Node::Kind::literal) return node.value;
        if (node.kind == Node::Kind::name) return value_of_name(node.name);
        const auto is = truth(node, the_whole);
        return is ? std::optional<json::value>(*is) : std::nullopt;
    }

    std::optional<json::value> value_of_name(const ExpressionName& name)
    {
        std::string why;
        auto found = values_.value_of ? values_.value_of(name, why) : std::nullopt;
        if (!found)
            problem_ =
                why.empty() ? fmt::format("{} has no value", workflow::quoted(name.text())) : why;
        return found;
    }

    std::nullopt_t complain(const Node& node, const json::value& found, std::string_view wanted_by,
                            ValueType wanted)
    {
        problem_ = wrong_type(workflow::quoted(node.name.text()), describe(found), wanted_by,
                              describe(wanted));
        return std::nullopt;
    }

    const ExpressionValues& values_;
    std::string& problem_;
};

void gather_names(const Node& node, std::vector<ExpressionName>& names)
{
    if (node.kind == Node::Kind::name) names.push_back(node.name);
    for (const auto& operand : node.operands) gather_names(operand, names);
}

}  // namespace

std::string ExpressionName::text() const
{
    return fmt::to_string(fmt::join(parts, "."));
}

std::optional<Expression> Expression::compile(std::string_view text, const ExpressionScope& scope,
                                              ExpressionProblem& problem)
{
    problem = {};
    auto root = parse_expression(text, problem);
    if (!root || !check_types(*root, text, scope, problem)) return std::nullopt;
    Expression expression;
    expression.root_ = std::make_shared<const Node>(*std::move(root));
    return expression;
}

std::optional<bool> Expression::evaluate(const ExpressionValues& values, std::string& problem) const
{
    problem.clear();
    if (empty()) return true;
    return Evaluation(values, problem).truth(*root_, the_whole);
}

std::vector<ExpressionName> Expression::names() const
{
    std::vector<ExpressionName> names;
    if (!empty()) gather_names(*root_, names);
    return names;
}

}  // namespace autoexec::workflow
