#pragma once

#include "workflow/expression/expression.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// An expression that has been read, and the words in which its parts are spoken of. Pure.
namespace autoexec::workflow {

enum class Relation { equal, unequal, less, at_most, more, at_least };

/// All but `==` and `!=`: of numbers alone.
constexpr bool orders(Relation relation)
{
    return relation != Relation::equal && relation != Relation::unequal;
}

/// A part of an expression, and its place. Parentheses around it belong to it.
struct Expression::Node {
    enum class Kind {
        literal,
        name,
        exists,       ///< Its operand is a literal: the path.
        comparison,   ///< Of two operands.
        negation,     ///< Of one.
        conjunction,  ///< Of two or more.
        disjunction,  ///< Of two or more.
    };
    Kind kind = Kind::literal;
    std::size_t offset = 0;
    std::size_t size = 0;
    boost::json::value value;             ///< Of a literal.
    ExpressionName name;                  ///< Of a name.
    Relation relation = Relation::equal;  ///< Of a comparison.
    std::vector<Node> operands;
};

/// Nothing, and what is wrong, if the text is none. What names mean is not looked at.
std::optional<Expression::Node> parse_expression(std::string_view text, ExpressionProblem& problem);

/// False, and what is wrong, if operands do not fit their operators, or names are not known. `text`
/// is what was parsed.
bool check_types(const Expression::Node& root, std::string_view text, const ExpressionScope& scope,
                 ExpressionProblem& problem);

/// Nothing for what no operator takes: null, lists, objects, and NaN.
std::optional<ValueType> type_of(const boost::json::value& value);

/// `'and'`, `'<='`: the operator of a node, in quotes.
std::string_view operator_of(const Expression::Node& node);

/// A piece of an expression in quotes, shortened; a text keeps its own ones.
std::string quoted(std::string_view piece);

std::string_view describe(ValueType type);
std::string_view describe(const boost::json::value& value);

/// Who asks for the value of the whole.
inline constexpr std::string_view the_whole = "a condition";

/// `'params.mode' is text; 'and' requires true or false`
std::string wrong_type(std::string_view operand, std::string_view found, std::string_view wanted_by,
                       std::string_view wanted);

}  // namespace autoexec::workflow
