#pragma once

#include <boost/json/value.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The language of conditions and gates: names, literals, comparison, and/or/not. Syntax:
/// `doc/workflows.md`. Pure, and linear in the text, which has at most 4096 bytes and 64 levels of
/// nesting.
namespace autoexec::workflow {

/// An error in an expression, with its position.
struct ExpressionProblem {
    std::size_t offset = 0;  ///< In bytes, from 0.
    std::string message;
    std::string hint;  ///< May be empty.
};

enum class ValueType {
    boolean,
    number,
    text,
    any,  ///< Known only when it is evaluated.
};

/// Nothing for what no operator takes: null, lists, objects, and NaN.
std::optional<ValueType> type_of(const boost::json::value& value);

/// `a number`, `a list` …
std::string_view describe(const boost::json::value& value);

/// A name as written in an expression: `steps.review.outcome` has three parts.
struct ExpressionName {
    std::vector<std::string> parts;
    std::size_t offset = 0;

    [[nodiscard]] std::string text() const;  ///< With dots.
};

/// What is known of a name before it is evaluated.
struct NameType {
    ValueType type = ValueType::any;
    /// All values of a text; empty: any. Comparing the name with another quoted text is an error.
    std::span<const std::string_view> words{};
};

/// Finds a name when an expression is compiled. Nothing if it is not known; then it may set the
/// problem's message, and its hint.
using NameScope =
    std::function<std::optional<NameType>(const ExpressionName& name, ExpressionProblem& problem)>;

/// The values, when it is evaluated. A value that is not a bool, number or string counts as absent,
/// and so does one whose type does not fit its operator, whatever the scope had declared.
struct ExpressionValues {
    /// Empty, with a sentence, if there is no such value.
    std::function<std::optional<boost::json::value>(const ExpressionName& name,
                                                    std::string& problem)>
        value_of;
    std::function<bool(const std::string& path)> exists;
};

/// A condition, ready to be evaluated. Cheap to copy.
///
/// Thread safety: immutable.
class Expression {
public:
    struct Node;

    /// Always true.
    Expression() = default;

    /// Empty, with the error, if the text is not an expression whose value is true or false.
    static std::optional<Expression> compile(std::string_view text, const NameScope& scope,
                                             ExpressionProblem& problem);

    /// Empty, with a sentence, if the value is unknown: never true by default. Evaluates from left
    /// to right, and stops when the rest cannot change the value.
    [[nodiscard]] std::optional<bool> evaluate(const ExpressionValues& values,
                                               std::string& problem) const;

    /// All names in it, in order, with repetitions.
    [[nodiscard]] std::vector<ExpressionName> names() const;

    [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }

private:
    std::shared_ptr<const Node> root_;
};

}  // namespace autoexec::workflow
