// Any bytes: an expression is refused with a reason and a place in the text, or can be evaluated
// whatever its names stand for.

#include "workflow/expression/expression.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

using namespace autoexec::workflow;
namespace json = boost::json;

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

std::optional<Expression> compile(std::string_view text, const NameScope& scope)
{
    ExpressionProblem problem;
    auto compiled = Expression::compile(text, scope, problem);
    must(compiled.has_value() == problem.message.empty());
    must(problem.offset <= text.size());
    return compiled;
}

void check_names(std::string_view text, const Expression& expression)
{
    for (const auto& name : expression.names()) {
        must(!name.parts.empty() && name.offset < text.size());
        must(text.substr(name.offset).starts_with(name.text()));
    }
}

// A value of each kind, or none, by the length of the name.
std::optional<json::value> value_of(const ExpressionName& name, std::size_t turn)
{
    static const std::array<json::value, 10> values{
        true,
        false,
        1,
        std::numeric_limits<std::uint64_t>::max(),
        0.5,
        std::numeric_limits<double>::quiet_NaN(),
        "text",
        nullptr,
        json::array{1},
        json::object{},
    };
    const auto choice = (name.text().size() + turn) % (values.size() + 1);
    return choice < values.size() ? std::optional(values[choice]) : std::nullopt;
}

void check_evaluation(const Expression& expression)
{
    for (std::size_t turn = 0; turn < 4; ++turn) {
        ExpressionValues values;
        values.value_of = [&](const ExpressionName& name, std::string&) {
            return value_of(name, turn);
        };
        values.exists = [](const std::string& path) { return path.size() % 2 == 0; };
        std::string problem;
        must(expression.evaluate(values, problem).has_value() == problem.empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const NameScope nothing = [](const ExpressionName&, ExpressionProblem&) {
        return std::nullopt;
    };
    const NameScope anything = [](const ExpressionName&, ExpressionProblem&) { return NameType{}; };
    // By its length: names of all types in one text.
    const NameScope typed = [](const ExpressionName& name, ExpressionProblem&) {
        return NameType{static_cast<ValueType>(name.text().size() % 4)};
    };
    for (const auto& scope : {nothing, anything, typed}) {
        const auto compiled = compile(text, scope);
        if (!compiled) continue;
        check_names(text, *compiled);
        check_evaluation(*compiled);
    }
    return 0;
}
