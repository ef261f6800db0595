#pragma once

#include "workflow/expression/expression_tree.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::workflow {

struct Token {
    enum class Kind {
        end,
        literal,
        name,
        relation,
        conjunction,
        disjunction,
        negation,
        opening,
        closing,
        comma,
    };
    Kind kind = Kind::end;
    std::size_t offset = 0;
    std::string_view text;
    boost::json::value value;             ///< Of a literal.
    Relation relation = Relation::equal;  ///< Of a relation.
};

/// Splits an expression into its words. What is no word of the language ends it. Pure.
class TokenReader {
public:
    TokenReader(std::string_view text, ExpressionProblem& problem);

    /// Nothing, and what is wrong, if there is no word. After the last one: `end`, which is
    /// right behind that, so that it is on a line that people wrote something on.
    std::optional<Token> next();

private:
    std::optional<Token> word();
    std::optional<Token> text_literal();
    std::optional<Token> number();
    std::optional<Token> symbol();
    std::nullopt_t unknown_character();

    Token take(Token::Kind kind, std::size_t size);
    std::nullopt_t fail(std::size_t offset, std::string message, std::string hint = {});

    std::string_view text_;
    std::size_t at_ = 0;
    ExpressionProblem& problem_;
};

}  // namespace autoexec::workflow
