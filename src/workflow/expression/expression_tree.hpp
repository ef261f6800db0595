#pragma once

#include "workflow/expression/expression.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// An expression that has been read, and the words that describe its parts. Pure.
namespace autoexec::workflow {

/// The symbols of the language, and the parts of an expression.
enum class Symbol {
    end,
    literal,
    name,
    exists,       ///< Its value is the path.
    negation,     ///< Of one operand.
    conjunction,  ///< Of two or more.
    disjunction,  ///< Of two or more.
    equal,        ///< This and the other comparisons are of two.
    unequal,
    less,
    at_most,
    more,
    at_least,
    opening,
    closing,
    comma,
};

constexpr bool compares(Symbol symbol)
{
    return symbol >= Symbol::equal && symbol <= Symbol::at_least;
}

/// All comparisons but `==` and `!=`: only of numbers.
constexpr bool orders(Symbol symbol)
{
    return symbol >= Symbol::less && symbol <= Symbol::at_least;
}

/// A part of an expression, and its place. Parentheses around it belong to it.
struct Expression::Node {
    Symbol symbol = Symbol::end;
    std::size_t offset = 0;
    std::size_t size = 0;
    NameType type;  ///< As far as it is known before the evaluation.
    boost::json::value value;
    ExpressionName name;
    std::vector<Node> operands;
};

/// Nothing, and the error, if the text is no expression whose value is true or false. A syntax
/// error is reported before an operand that does not fit.
std::optional<Expression::Node> parse_expression(std::string_view text, const NameScope& scope,
                                                 ExpressionProblem& problem);

std::string_view describe(ValueType type);

/// `'and'`, `'<='`: an operator in quotes.
std::string in_quotes(Symbol symbol);

/// A piece of an expression in quotes, shortened; a text keeps its own ones.
std::string in_quotes(std::string_view piece);

/// What requires the value of the whole.
inline constexpr std::string_view the_whole = "a condition";

/// `'params.mode' is text; 'and' requires true or false`
std::string wrong_type(std::string_view operand, std::string_view found, std::string_view wanted_by,
                       ValueType wanted);

}  // namespace autoexec::workflow
