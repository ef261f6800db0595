#pragma once

#include <boost/json/value.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The language of conditions and gates: names, literals, comparison, and/or/not. What it looks
/// like: `doc/workflows.md`. Pure, and linear in the text, of which there are at most 4096 bytes,
/// nested at most 64 levels deep.
namespace autoexec::workflow {

/// What is wrong with an expression, and where in it.
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

/// A name as it stands in an expression: `steps.review.outcome` has three parts.
struct ExpressionName {
    std::vector<std::string> parts;
    std::size_t offset = 0;

    [[nodiscard]] std::string text() const;  ///< With dots.
};

/// What names and functions mean, when an expression is compiled. Without `type_of` no name is
/// known, without `allows_path` every path may be asked for.
struct ExpressionScope {
    /// The type of a name; nothing, and a problem (message and hint; the offset is filled in), if
    /// it is not known.
    std::function<std::optional<ValueType>(const ExpressionName& name, ExpressionProblem& problem)>
        type_of;
    /// All the words that a text can be; empty: any text. A name that is compared with another one
    /// in quotes is a mistake.
    std::function<std::vector<std::string_view>(const ExpressionName& name)> words_of;
    /// Called for each path in `exists("path")`: false, and a problem, if it can't be asked for.
    std::function<bool(const std::string& path, ExpressionProblem& problem)> allows_path;
};

/// What they are, when it is evaluated. A value that is no bool, number or string is as good as
/// none, and so is one of another type than its operator wants, whatever the scope had said.
struct ExpressionValues {
    /// Nothing, and a sentence, if there is no such value.
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

    /// Nothing, and what is wrong, if the text is no expression whose value is true or false.
    static std::optional<Expression> compile(std::string_view text, const ExpressionScope& scope,
                                             ExpressionProblem& problem);

    /// Nothing, and a sentence, where it can't be told: never true by default. Asks from left to
    /// right, and for nothing that can't change the answer any more.
    [[nodiscard]] std::optional<bool> evaluate(const ExpressionValues& values,
                                               std::string& problem) const;

    /// All names in it, in order; a name that stands there twice is there twice.
    [[nodiscard]] std::vector<ExpressionName> names() const;

    [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }

private:
    std::shared_ptr<const Node> root_;
};

}  // namespace autoexec::workflow
