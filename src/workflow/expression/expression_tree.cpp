#include "workflow/expression/expression_tree.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;
using Node = Expression::Node;

constexpr std::size_t max_quotation_length = 60;

std::string_view operator_of(Relation relation)
{
    switch (relation) {
        case Relation::equal:
            return "'=='";
        case Relation::unequal:
            return "'!='";
        case Relation::less:
            return "'<'";
        case Relation::at_most:
            return "'<='";
        case Relation::more:
            return "'>'";
        case Relation::at_least:
            break;
    }
    return "'>='";
}

bool continues_character(char c)
{
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::string shortened(std::string_view text)
{
    if (text.size() <= max_quotation_length) return text::printable(text);
    auto size = max_quotation_length;
    while (size > 0 && continues_character(text[size])) --size;
    return text::printable(text.substr(0, size)) + "\u2026";
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

std::string_view operator_of(const Node& node)
{
    switch (node.kind) {
        case Node::Kind::negation:
            return "'not'";
        case Node::Kind::conjunction:
            return "'and'";
        case Node::Kind::disjunction:
            return "'or'";
        case Node::Kind::comparison:
            return operator_of(node.relation);
        case Node::Kind::exists:
        case Node::Kind::literal:
        case Node::Kind::name:
            break;
    }
    return {};
}

std::string quoted(std::string_view piece)
{
    const bool has_quotes = piece.starts_with('\'') || piece.starts_with('"');
    return has_quotes && piece.size() > 1 ? shortened(piece)
                                          : fmt::format("'{}'", shortened(piece));
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
                       std::string_view wanted)
{
    return fmt::format("{} is {}; {} requires {}", operand, found, wanted_by, wanted);
}

}  // namespace autoexec::workflow
