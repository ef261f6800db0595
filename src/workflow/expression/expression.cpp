#include "workflow/expression/expression.hpp"

#include "workflow/expression/expression_tree.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
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

bool holds(AnyNumber left, Symbol relation, AnyNumber right)
{
    if (relation == Symbol::less) return left < right;
    if (relation == Symbol::at_most) return left <= right;
    if (relation == Symbol::more) return left > right;
    if (relation == Symbol::at_least) return left >= right;
    return (left == right) == (relation == Symbol::equal);
}

/// Types are checked again: a value may have another type than it was declared with. Once there is
/// a problem, nothing more is evaluated, and the values have no meaning.
class Evaluation {
public:
    explicit Evaluation(const ExpressionValues& values) : values_(values) {}

    bool truth(const Node& node, std::string_view wanted_by)
    {
        const auto found = value(node);
        if (found.is_bool()) return found.get_bool();
        complain(node, found, wanted_by, ValueType::boolean);
        return false;
    }

    std::string problem;

private:
    json::value value(const Node& node)
    {
        if (!problem.empty()) return nullptr;
        switch (node.symbol) {
            case Symbol::literal:
                return node.value;
            case Symbol::name:
                return value_of_name(node.name);
            case Symbol::exists:
                return values_.exists(std::string(node.value.get_string()));
            case Symbol::negation:
                return !truth(node.operands.front(), in_quotes(node.symbol));
            case Symbol::conjunction:
                return !any_is(false, node);
            case Symbol::disjunction:
                return any_is(true, node);
            default:
                return compare(node);
        }
    }

    json::value value_of_name(const ExpressionName& name)
    {
        std::string why;
        auto found = values_.value_of(name, why);
        if (found) return *std::move(found);
        problem = why.empty() ? fmt::format("{} has no value", in_quotes(name.text())) : why;
        return nullptr;
    }

    // The first operand with that value decides; the rest is not evaluated.
    bool any_is(bool deciding, const Node& node)
    {
        return std::ranges::any_of(node.operands, [&](const Node& operand) {
            return truth(operand, in_quotes(node.symbol)) == deciding;
        });
    }

    bool compare(const Node& node)
    {
        const auto left = value(node.operands.front());
        const auto right = value(node.operands.back());
        if (!comparable(node, left, right)) return false;
        if (left.is_number()) return holds(number_of(left), node.symbol, number_of(right));
        return (left == right) == (node.symbol == Symbol::equal);
    }

    bool comparable(const Node& node, const json::value& left, const json::value& right)
    {
        const auto left_type = type_of(left);
        const auto right_type = type_of(right);
        const auto wanted = orders(node.symbol) ? ValueType::number : ValueType::any;
        const auto by = in_quotes(node.symbol);
        if (!left_type || (wanted != ValueType::any && left_type != wanted))
            complain(node.operands.front(), left, by, wanted);
        else if (left_type == right_type)
            return true;
        // Only a name can have another type than when the expression was compiled.
        else if (node.operands.back().symbol == Symbol::name)
            complain(node.operands.back(), right, by, *left_type);
        else
            complain(node.operands.front(), left, by, *right_type);
        return false;
    }

    void complain(const Node& node, const json::value& found, std::string_view wanted_by,
                  ValueType wanted)
    {
        if (problem.empty())
            problem = wrong_type(in_quotes(node.name.text()), describe(found), wanted_by, wanted);
    }

    const ExpressionValues& values_;
};

void gather_names(const Node& node, std::vector<ExpressionName>& names)
{
    if (node.symbol == Symbol::name) names.push_back(node.name);
    for (const auto& operand : node.operands) gather_names(operand, names);
}

}  // namespace

std::optional<ValueType> type_of(const json::value& value)
{
    if (value.is_bool()) return ValueType::boolean;
    if (value.is_string()) return ValueType::text;
    if (!value.is_number() || (value.is_double() && std::isnan(value.get_double())))
        return std::nullopt;
    return ValueType::number;
}

std::string_view describe(ValueType type)
{
    switch (type) {
        case ValueType::boolean:
            return "true or false";
        case ValueType::number:
            return "a number";
        case ValueType::text:
            return "text";
        case ValueType::any:
            break;
    }
    return "true or false, a number, or text";
}

std::string_view describe(const json::value& value)
{
    if (const auto type = type_of(value)) return describe(*type);
    if (value.is_null()) return "null";
    if (value.is_array()) return "a list";
    return value.is_object() ? "an object" : "not a number";
}

std::string wrong_type(std::string_view operand, std::string_view found, std::string_view wanted_by,
                       ValueType wanted)
{
    return fmt::format("{} is {}; {} requires {}", operand, found, wanted_by, describe(wanted));
}

std::string ExpressionName::text() const
{
    return fmt::to_string(fmt::join(parts, "."));
}

std::optional<Expression> Expression::compile(std::string_view text, const NameScope& scope,
                                              ExpressionProblem& problem)
{
    problem = {};
    auto root = parse_expression(text, scope, problem);
    if (!root) return std::nullopt;
    Expression expression;
    expression.root_ = std::make_shared<const Node>(*std::move(root));
    return expression;
}

std::optional<bool> Expression::evaluate(const ExpressionValues& values, std::string& problem) const
{
    problem.clear();
    if (empty()) return true;
    Evaluation evaluation(values);
    const bool is = evaluation.truth(*root_, the_whole);
    problem = std::move(evaluation.problem);
    return problem.empty() ? std::optional(is) : std::nullopt;
}

std::vector<ExpressionName> Expression::names() const
{
    std::vector<ExpressionName> names;
    if (!empty()) gather_names(*root_, names);
    return names;
}

}  // namespace autoexec::workflow
