#include "workflow/expression/expression.hpp"

#include <doctest/doctest.h>

#include <boost/json/serialize.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>

using namespace autoexec::workflow;
namespace json = boost::json;

namespace {

using Types = std::map<std::string, ValueType, std::less<>>;
using Values = std::map<std::string, json::value, std::less<>>;

const Types types{
    {"yes", ValueType::boolean},
    {"no", ValueType::boolean},
    {"params.mode", ValueType::text},
    {"params.max-rounds", ValueType::number},
    {"steps.check-prerequisites.outcome", ValueType::text},
    {"steps.check-prerequisites.exit_code", ValueType::number},
    {"steps.2-review.results.score", ValueType::any},
    {"and.or", ValueType::boolean},
    {"_", ValueType::any},
};

const Values values{
    {"yes", true},
    {"no", false},
    {"params.mode", "fast"},
    {"params.max-rounds", 3},
    {"steps.check-prerequisites.outcome", "completed"},
    {"steps.check-prerequisites.exit_code", 0},
    {"steps.2-review.results.score", 72.5},
    {"and.or", true},
    {"_", "x"},
};

NameScope scope_of(const Types& known)
{
    return [&known](const ExpressionName& name,
                    ExpressionProblem& problem) -> std::optional<NameType> {
        if (const auto found = known.find(name.text()); found != known.end())
            return NameType{found->second};
        problem.message = "Unknown name '" + name.text() + "'";
        problem.hint = "Look around.";
        return std::nullopt;
    };
}

NameScope scope_of_anything()
{
    return [](const ExpressionName&, ExpressionProblem&) { return NameType{}; };
}

/// Notes what it is asked for.
struct Answers {
    Values known;
    std::vector<std::string> asked;

    ExpressionValues sources()
    {
        ExpressionValues sources;
        sources.value_of = [this](const ExpressionName& name,
                                  std::string& problem) -> std::optional<json::value> {
            asked.push_back(name.text());
            if (const auto found = known.find(name.text()); found != known.end())
                return found->second;
            problem = "There is no '" + name.text() + "' yet";
            return std::nullopt;
        };
        sources.exists = [this](const std::string& path) {
            asked.push_back(path);
            return path == "docs/plan.md" || path == "a\\b'c";
        };
        return sources;
    }
};

Expression compile(std::string_view text, const NameScope& scope)
{
    ExpressionProblem problem;
    auto compiled = Expression::compile(text, scope, problem);
    REQUIRE_MESSAGE(compiled, text, ": ", problem.message, " at ", problem.offset);
    CHECK(problem.message.empty());
    return *std::move(compiled);
}

bool result(std::string_view text)
{
    Answers answers{values, {}};
    std::string problem;
    const auto is = compile(text, scope_of(types)).evaluate(answers.sources(), problem);
    REQUIRE_MESSAGE(is, text, ": ", problem);
    return *is;
}

ExpressionProblem refusal(std::string_view text)
{
    ExpressionProblem problem;
    CHECK_FALSE(Expression::compile(text, scope_of(types), problem));
    return problem;
}

/// The message where a condition cannot be decided before the run.
std::string doubt(std::string_view text, const Values& known)
{
    Answers answers{known, {}};
    std::string problem;
    CHECK_FALSE(compile(text, scope_of_anything()).evaluate(answers.sources(), problem));
    return problem;
}

std::string repeated(std::string_view piece, std::size_t times)
{
    std::string text;
    for (std::size_t i = 0; i < times; ++i) text += piece;
    return text;
}

}  // namespace

TEST_SUITE_BEGIN("expression");

TEST_CASE("an expression has the value that its text describes")
{
    const std::vector<std::pair<std::string_view, bool>> table{
        {"true", true},
        {"False", false},
        {" \t\r\n True \n", true},
        {"yes", true},
        {"and.or", true},
        {"not yes", false},
        {"!no", true},
        {"!!yes", true},
        {"not not not yes", false},
        {"yes and no", false},
        {"yes && yes", true},
        {"no or yes", true},
        {"no || no", false},
        {"yes and yes and no", false},
        {"no or no or yes", true},
        {"(yes)", true},
        {"not(no)", true},
        {"((no)or(yes))", true},
        {"params.mode == 'fast'", true},
        {"params.mode==\"slow\"", false},
        {"params.mode != 'slow'", true},
        {"'fast' == params.mode", true},
        {"params.mode == params.mode", true},
        {"steps.check-prerequisites.outcome == 'completed'", true},
        {"steps.check-prerequisites.exit_code == 0", true},
        {"steps.check-prerequisites.exit_code == -0.0", true},
        {"steps.2-review.results.score >= 70", true},
        {"steps.2-review.results.score > 72.5", false},
        {"params.max-rounds<3", false},
        {"params.max-rounds<=+3", true},
        {"params.max-rounds>-3", true},
        {"params.max-rounds==30e-1", true},
        {"params.max-rounds != 3.0", false},
        {"params.max-rounds >= 3.0000001", false},
        {"_ == 'x'", true},
        {"yes == yes", true},
        {"yes != no", true},
        {"(yes and no) == no", true},
        {"yes == (!no)", true},
        {"'' == \"\"", true},
        {"'it\\'s' == \"it's\"", true},
        {"'\\\\' == \"\\\\\"", true},
        {"\"say \\\"a\\\"\" == 'say \"a\"'", true},
        {"'a' == 'A'", false},
        {"'\xC3\xA9' == \"\xC3\xA9\"", true},
        {"'and' == \"and\"", true},
        {"exists('docs/plan.md')", true},
        {"artifact(\"docs/plan.md\")", true},
        {"exists ( 'docs/none.md' )", false},
        {"not exists('docs/none.md')", true},
        {"exists('a\\\\b\\'c')", true},
        {"exists('docs/plan.md') == yes", true},
    };
    for (const auto& row : table) {
        CAPTURE(row.first);
        CHECK(result(row.first) == row.second);
    }
}

TEST_CASE("problems of an expression are reported with their place")
{
    struct Case {
        std::string_view text;
        std::size_t offset;
        std::string_view message;
        std::string_view hint;
    };
    const std::string_view after_dot = "After '.', a name continues with a letter, a digit or '_'";
    const std::string_view chained = "Join two of them with 'and', as in a < b and b < c.";
    const std::string_view numbers = "Numbers are written as in JSON; put text in quotes.";
    const std::vector<Case> table{
        {"", 0, "There is no expression", ""},
        {" \n\t ", 0, "There is no expression", ""},
        {"()", 1, "Something is missing before ')'", ""},
        {"yes and", 7, "Something is missing after 'and'", ""},
        {"yes ||  \n", 6, "Something is missing after '||'", ""},
        {"(", 1, "Something is missing after '('", ""},
        {"and yes", 0, "Something is missing before 'and'", ""},
        {"yes or and no", 7, "Something is missing before 'and'", ""},
        {"not", 3, "Something is missing after 'not'", ""},
        {"params.mode ==", 14, "Something is missing after '=='", ""},
        {"params.mode == == 'a'", 15, "Something is missing before '=='", ""},
        {"yes==!no", 5, "'not' cannot be an operand of a comparison",
         "Put parentheses around 'not' and its operand."},
        {"yes == not no", 7, "'not' cannot be an operand of a comparison",
         "Put parentheses around 'not' and its operand."},
        {"(yes or no", 0, "'(' is not closed", ""},
        {"yes and (no or (yes)", 8, "'(' is not closed", ""},
        {"yes)", 3, "')' closes nothing", ""},
        {"(yes))", 5, "')' closes nothing", ""},
        {"yes, no", 3, "',' has no meaning here", ""},
        {"yes no", 4, "An operator is missing before 'no'", ""},
        {"(yes no)", 5, "An operator is missing before 'no'", ""},
        {"yes not no", 4, "An operator is missing before 'not'", ""},
        {"yes (no)", 0, "Unknown function 'yes'", "There is exists(\"PATH\")."},
        {"true (no)", 5, "An operator is missing before '('", ""},
        {"params.mode 'fast'", 12, "An operator is missing before 'fast'", ""},
        {"params.max-rounds -1 > 2", 18, "An operator is missing before '-1'",
         "There is no arithmetic."},
        {"params.max-rounds + 1 > 2", 18, "'+' has no meaning here", "There is no arithmetic."},
        {"2 * 2 == 4", 2, "'*' has no meaning here", "There is no arithmetic."},
        {"1 - 1 == 0", 2, "'-' has no meaning here", "There is no arithmetic."},
        {"yes AND no", 4, "'AND' must be in lower case", "Write 'and'."},
        {"yes Or no", 4, "'Or' must be in lower case", "Write 'or'."},
        {"NOT yes", 0, "'NOT' must be in lower case", "Write 'not'."},
        {"yes == TRUE", 7, "'TRUE' must be in lower case", "Write 'true'."},
        {"params.mode = 'fast'", 12, "'=' is not an operator", "Write '=='."},
        {"params.mode === 'fast'", 12, "'===' is not an operator", "Write '=='."},
        {"params.mode !== 'fast'", 12, "'!==' is not an operator", "Write '!='."},
        {"params.mode <> 'fast'", 12, "'<>' is not an operator", "Write '!='."},
        {"1 =< 2", 2, "'=<' is not an operator", "Write '<='."},
        {"1 => 2", 2, "'=>' is not an operator", "Write '>='."},
        {"yes & no", 4, "'&' is not an operator", "Write '&&'."},
        {"yes | no", 4, "'|' is not an operator", "Write '||'."},
        {"1 < 2 < 3", 6, "Comparisons cannot be chained", chained},
        {"yes == yes == yes", 11, "Comparisons cannot be chained", chained},
        {"not 1 < 2 != no", 10, "Comparisons cannot be chained", chained},
        {"params.mode == 'fast", 15, "A quote is not closed", ""},
        {"params.mode == 'fast\\'", 15, "A quote is not closed", ""},
        {"params.mode == 'fast\\", 15, "A quote is not closed", ""},
        {"params.mode == \"", 15, "A quote is not closed", ""},
        {"params.mode == 'a\\n'", 17,
         "A backslash is allowed only before the quote or another backslash",
         "Write two backslashes for one."},
        {"params.mode == 'a\\\"'", 17,
         "A backslash is allowed only before the quote or another backslash",
         "Write two backslashes for one."},
        {"1 < 007", 4, "'007' is not a number", numbers},
        {"1 < 1.", 4, "'1.' is not a number", numbers},
        {"1 < -.5", 4, "'-.5' is not a number", numbers},
        {"1 < 1e", 4, "'1e' is not a number", numbers},
        {"1 < 1.2.3", 4, "'1.2.3' is not a number", numbers},
        {"1 < 0x10", 4, "'0x10' is not a number", numbers},
        {"1 < 5s", 4, "'5s' is not a number", numbers},
        {"1 < 1e999", 4, "'1e999' is too large", ""},
        {"steps. == 'a'", 5, after_dot, ""},
        {"steps..a == 'a'", 5, after_dot, ""},
        {"steps.-a == 'a'", 5, after_dot, ""},
        {"yes and steps.", 13, after_dot, ""},
        {"steps .a == 'a'", 6, "'.' has no meaning here", ""},
        {"${params.mode} == 'a'", 0, "'$' has no meaning here",
         "Write names without '$' and braces."},
        {"{params.mode} == 'a'", 0, "'{' has no meaning here",
         "Write names without '$' and braces."},
        {"yes; no", 3, "';' has no meaning here", ""},
        {"yes and gr\xC3\xB6\xC3\x9F"
         "er",
         10, "'\xC3\xB6' has no meaning here", ""},
        {"yes \xFF", 4, "'\xEF\xBF\xBD' has no meaning here", ""},
        {"exist('a')", 0, "Unknown function 'exist'", "Did you mean 'exists'?"},
        {"yes or Artifact('a')", 7, "Unknown function 'Artifact'", "Did you mean 'artifact'?"},
        {"len(params.mode) > 1", 0, "Unknown function 'len'", "There is exists(\"PATH\")."},
        {"exists(", 6, "'(' is not closed", ""},
        {"exists('a'", 6, "'(' is not closed", ""},
        {"exists()", 7, "'exists' requires a path in quotes", "As in exists(\"docs/plan.md\")."},
        {"artifact(docs)", 9, "'artifact' requires a path in quotes",
         "As in artifact(\"docs/plan.md\")."},
        {"exists(1)", 7, "'exists' requires a path in quotes", "As in exists(\"docs/plan.md\")."},
        {"exists('a', 'b')", 10, "'exists' takes one path",
         "Use one for each path, and join them with 'and' or 'or'."},
        {"exists('a' and yes)", 11, "'exists' takes one path",
         "Use one for each path, and join them with 'and' or 'or'."},
    };
    for (const auto& c : table) {
        CAPTURE(c.text);
        const auto problem = refusal(c.text);
        CHECK(problem.offset == c.offset);
        CHECK(problem.message == c.message);
        CHECK(problem.hint == c.hint);
    }
}

TEST_CASE("operands that do not fit are found before anything runs")
{
    struct Case {
        std::string_view text;
        std::size_t offset;
        std::string_view message;
        std::string_view hint;
    };
    const std::string_view compare = "Compare it with something, as in params.mode == 'done'.";
    const std::vector<Case> table{
        {"yes and params.mode", 8, "'params.mode' is text; 'and' requires true or false", compare},
        {"params.mode or yes", 0, "'params.mode' is text; 'or' requires true or false", compare},
        {"yes or yes || params.mode", 14, "'params.mode' is text; 'or' requires true or false",
         compare},
        {"not params.mode", 4, "'params.mode' is text; 'not' requires true or false", compare},
        {"params.mode", 0, "'params.mode' is text; a condition requires true or false", compare},
        {"params.max-rounds", 0,
         "'params.max-rounds' is a number; a condition requires true or false",
         "Compare it with something, as in params.max-rounds == 0."},
        {"(5)", 0, "'(5)' is a number; a condition requires true or false", ""},
        {"'true'", 0, "'true' is text; a condition requires true or false",
         "Write true without quotes."},
        {"'yes'", 0, "'yes' is text; a condition requires true or false", ""},
        {"yes < 1", 0, "'yes' is true or false; '<' requires a number", ""},
        {"1 <= (yes and no)", 5, "'(yes and no)' is true or false; '<=' requires a number", ""},
        {"1 > params.mode", 4, "'params.mode' is text; '>' requires a number", ""},
        {"1 >= \"2\"", 5, "\"2\" is text; '>=' requires a number", "Write 2 without quotes."},
        {"'a' < 'b'", 0, "'a' is text; '<' requires a number", ""},
        {"params.max-rounds == '3'", 21, "'3' is text; '==' requires a number",
         "Write 3 without quotes."},
        {"params.max-rounds == params.mode", 21, "'params.mode' is text; '==' requires a number",
         ""},
        {"params.mode != 3", 15, "'3' is a number; '!=' requires text", "Put text in quotes: '3'."},
        {"params.mode == true", 15, "'true' is true or false; '==' requires text",
         "Put text in quotes: 'true'."},
        {"yes == 'true'", 7, "'true' is text; '==' requires true or false",
         "Write true without quotes."},
        {"exists('a') == 1", 15, "'1' is a number; '==' requires true or false", ""},
        {"(yes and 1) or 2", 9, "'1' is a number; 'and' requires true or false", ""},
        {"_ == 1 and (yes or 'a')", 19, "'a' is text; 'or' requires true or false", ""},
    };
    for (const auto& c : table) {
        CAPTURE(c.text);
        const auto problem = refusal(c.text);
        CHECK(problem.offset == c.offset);
        CHECK(problem.message == c.message);
        CHECK(problem.hint == c.hint);
    }
}

TEST_CASE("unknown names and paths that lead out are refused where they stand")
{
    const auto name = refusal("yes and no-such.thing");
    CHECK(name.offset == 8);
    CHECK(name.message == "Unknown name 'no-such.thing'");
    CHECK(name.hint == "Look around.");

    const auto path = refusal("no or exists('/etc')");
    CHECK(path.offset == 13);
    CHECK(path.message == "'/etc' is not a path within the worktree");
    CHECK(refusal("exists('a/../b')").offset == 7);
}

TEST_CASE("a lone word that is compared with text probably lacks its quotes")
{
    const auto problem = refusal("params.mode == fast");
    CHECK(problem.offset == 15);
    CHECK(problem.message == "Unknown name 'fast'");
    CHECK(problem.hint == "Put text in quotes: 'fast'.");
    CHECK(refusal("params.mode == fast.lane").hint == "Look around.");
    CHECK(refusal("params.max-rounds == few").hint == "Look around.");
}

TEST_CASE("a syntax error is reported before a type error")
{
    CHECK(refusal("no-such and params.mode and )").message == "Something is missing before ')'");
}

TEST_CASE("what is quoted of a long text is cut at a character")
{
    const auto message = refusal("'xy" + repeated("\xC3\xA9", 100) + "' < 1").message;
    CHECK(message ==
          "'xy" + repeated("\xC3\xA9", 28) + "\xE2\x80\xA6 is text; '<' requires a number");
}

TEST_CASE("a name that a scope refuses without a reason is unknown")
{
    const NameScope empty = [](const ExpressionName&, ExpressionProblem& problem) {
        problem.hint = "Look around.";
        return std::nullopt;
    };
    ExpressionProblem problem;
    CHECK_FALSE(Expression::compile("true or x.y", empty, problem));
    CHECK(problem.offset == 8);
    CHECK(problem.message == "Unknown name 'x.y'");
    CHECK(problem.hint == "Look around.");
}

TEST_CASE("a value that is missing without a reason makes no condition true")
{
    ExpressionValues values;
    values.value_of = [](const ExpressionName&, std::string&) { return std::nullopt; };
    std::string problem;
    CHECK_FALSE(compile("x.y", scope_of_anything()).evaluate(values, problem));
    CHECK(problem == "'x.y' has no value");
    CHECK(compile("not false", scope_of_anything()).evaluate(values, problem) == true);
    CHECK(problem.empty());
}

TEST_CASE("a comparison with a word that a name never has is refused")
{
    static constexpr std::string_view words[]{"completed", "failed"};
    const NameScope scope = [](const ExpressionName&, ExpressionProblem&) {
        return NameType{ValueType::text, words};
    };
    ExpressionProblem problem;
    CHECK_FALSE(Expression::compile("a == 'complete'", scope, problem));
    CHECK(problem.offset == 5);
    CHECK(problem.message == "'a' is never 'complete'");
    CHECK(problem.hint == "Did you mean 'completed'?");
    CHECK_FALSE(Expression::compile("'x' != a", scope, problem));
    CHECK(problem.offset == 0);
    CHECK(problem.hint == "It is one of completed, failed.");
    CHECK(Expression::compile("a == 'failed'", scope, problem));
}

TEST_CASE("an expression that was never compiled is true, and names nothing")
{
    const Expression none;
    std::string problem = "old";
    CHECK(none.empty());
    CHECK(none.evaluate({}, problem) == true);
    CHECK(problem.empty());
    CHECK(none.names().empty());
}

TEST_CASE("names come in order, with their places, as often as they are there")
{
    const auto names =
        compile("a.b-c == 'a' and (not x_1 or !a.b-c == 1)", scope_of_anything()).names();
    REQUIRE(names.size() == 3);
    CHECK(names[0].parts == std::vector<std::string>{"a", "b-c"});
    CHECK(names[0].offset == 0);
    CHECK(names[1].text() == "x_1");
    CHECK(names[1].offset == 22);
    CHECK(names[2].text() == "a.b-c");
    CHECK(names[2].offset == 30);
}

TEST_CASE("operands that cannot change the answer are not evaluated")
{
    const auto asked = [](std::string_view text, std::optional<bool> expected) {
        CAPTURE(text);
        Answers answers{{{"t", true}, {"f", false}, {"n", 1}}, {}};
        std::string problem;
        CHECK(compile(text, scope_of_anything()).evaluate(answers.sources(), problem) == expected);
        CHECK(problem.empty() == expected.has_value());
        return answers.asked;
    };
    using Asked = std::vector<std::string>;
    CHECK(asked("f and missing", false) == Asked{"f"});
    CHECK(asked("t or missing", true) == Asked{"t"});
    CHECK(asked("t and f and missing", false) == Asked{"t", "f"});
    CHECK(asked("f or t or exists('a')", true) == Asked{"f", "t"});
    CHECK(asked("f and missing or t", true) == Asked{"f", "t"});
    CHECK(asked("(t or missing) and f", false) == Asked{"t", "f"});
    CHECK(asked("exists('a') and t", false) == Asked{"a"});
    CHECK(asked("t and missing and f", std::nullopt) == Asked{"t", "missing"});
    CHECK(asked("missing or t", std::nullopt) == Asked{"missing"});
    CHECK(asked("missing == n or t", std::nullopt) == Asked{"missing"});
    CHECK(asked("f and n", false) == Asked{"f"});
}

TEST_CASE("a missing value is never taken for true or false")
{
    for (const std::string_view text :
         {"x", "not x", "x == 1", "x != 1", "1 != x", "x < 1", "1 >= x", "x == x", "x != x",
          "(x or true) == true", "not (x and false)"}) {
        CAPTURE(text);
        CHECK(doubt(text, {}) == "There is no 'x' yet");
    }
}

TEST_CASE("a value of the wrong type is an error")
{
    const Values known{{"t", true},
                       {"n", 1},
                       {"s", "text"},
                       {"nil", nullptr},
                       {"list", json::array{1}},
                       {"map", json::object{}},
                       {"nan", std::numeric_limits<double>::quiet_NaN()}};
    const std::vector<std::pair<std::string_view, std::string_view>> table{
        {"n", "'n' is a number; a condition requires true or false"},
        {"(s)", "'s' is text; a condition requires true or false"},
        {"t and n", "'n' is a number; 'and' requires true or false"},
        {"s or t", "'s' is text; 'or' requires true or false"},
        {"not nil", "'nil' is null; 'not' requires true or false"},
        {"t < 1", "'t' is true or false; '<' requires a number"},
        {"1 <= s", "'s' is text; '<=' requires a number"},
        {"list > 1", "'list' is a list; '>' requires a number"},
        {"1 >= map", "'map' is an object; '>=' requires a number"},
        {"nan < 1", "'nan' is not a number; '<' requires a number"},
        {"s == 1", "'s' is text; '==' requires a number"},
        {"1 == s", "'s' is text; '==' requires a number"},
        {"t != 'true'", "'t' is true or false; '!=' requires text"},
        {"n == s", "'s' is text; '==' requires a number"},
        {"n != (t and t)", "'n' is a number; '!=' requires true or false"},
        {"(t and t) == n", "'n' is a number; '==' requires true or false"},
        {"nil == nil", "'nil' is null; '==' requires true or false, a number, or text"},
        {"list != map", "'list' is a list; '!=' requires true or false, a number, or text"},
        {"nan != nan", "'nan' is not a number; '!=' requires true or false, a number, or text"},
        {"s == map", "'map' is an object; '==' requires text"},
    };
    for (const auto& row : table) {
        CAPTURE(row.first);
        CHECK(doubt(row.first, known) == row.second);
    }
}

TEST_CASE("a value that is not what its scope promised is no answer")
{
    Answers answers{{{"yes", "true"}, {"params.max-rounds", "3"}, {"params.mode", 3}}, {}};
    std::string problem;
    const auto evaluate = [&](std::string_view text) {
        return compile(text, scope_of(types)).evaluate(answers.sources(), problem);
    };
    CHECK_FALSE(evaluate("yes"));
    CHECK(problem == "'yes' is text; a condition requires true or false");
    CHECK_FALSE(evaluate("params.max-rounds < 9"));
    CHECK(problem == "'params.max-rounds' is text; '<' requires a number");
    CHECK_FALSE(evaluate("params.mode == '3'"));
    CHECK(problem == "'params.mode' is a number; '==' requires text");
}

TEST_CASE("numbers are compared as they are, also where a double would round them")
{
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    // Ascending; those on one line are equal.
    const std::vector<std::vector<json::value>> ascending{
        {-infinity},
        {-1e300},
        {std::int64_t{least}, -0x1p63},
        {std::int64_t{least + 1}},
        {-1, -1.0},
        {-5e-324},
        {0, std::uint64_t{0}, -0.0},
        {0.1},
        {1, std::uint64_t{1}, 1.0},
        {1.5},
        {std::int64_t{9007199254740992}, 9007199254740992.0},
        {std::int64_t{9007199254740993}, std::uint64_t{9007199254740993}},
        {std::int64_t{9007199254740994}, 9007199254740994.0},
        {std::numeric_limits<std::int64_t>::max()},
        {std::uint64_t{1} << 63, 0x1p63},
        {most - 1},
        {most},
        {0x1p64},
        {infinity},
    };
    const auto less = compile("a < b", scope_of_anything());
    const auto at_most = compile("a <= b", scope_of_anything());
    const auto more = compile("a > b", scope_of_anything());
    const auto at_least = compile("a >= b", scope_of_anything());
    const auto equal = compile("a == b", scope_of_anything());
    const auto unequal = compile("a != b", scope_of_anything());
    std::string problem;
    for (std::size_t i = 0; i < ascending.size(); ++i) {
        for (std::size_t j = 0; j < ascending.size(); ++j) {
            for (const auto& a : ascending[i]) {
                for (const auto& b : ascending[j]) {
                    CAPTURE(json::serialize(a));
                    CAPTURE(json::serialize(b));
                    Answers answers{{{"a", a}, {"b", b}}, {}};
                    const auto sources = answers.sources();
                    CHECK(less.evaluate(sources, problem) == (i < j));
                    CHECK(at_most.evaluate(sources, problem) == (i <= j));
                    CHECK(more.evaluate(sources, problem) == (i > j));
                    CHECK(at_least.evaluate(sources, problem) == (i >= j));
                    CHECK(equal.evaluate(sources, problem) == (i == j));
                    CHECK(unequal.evaluate(sources, problem) == (i != j));
                }
            }
        }
    }
}

TEST_CASE("a large number in the text keeps all its digits")
{
    CHECK(result("9007199254740993 != 9007199254740992"));
    CHECK(result("9007199254740993 > 9007199254740992.0"));
    CHECK(result("18446744073709551615 > 18446744073709551614"));
    CHECK(result("-9223372036854775808 < -9223372036854775807"));
    CHECK(result("1e-999 == 0"));
}

TEST_CASE("a text of 4096 bytes is read, and a longer one refused")
{
    const auto padded = "yes" + std::string(4090, ' ') + "   ";
    CHECK(result(padded));
    const auto problem = refusal(padded + " ");
    CHECK(problem.offset == 4096);
    CHECK(problem.message == "An expression has at most 4096 bytes");
    CHECK(result("yes" + repeated(" and yes", 500)));
    CHECK_FALSE(result("no" + repeated("||no", 1000)));
}

TEST_CASE("64 levels are read, and the one below them refused")
{
    CHECK(result(repeated("(", 64) + "yes" + repeated(")", 64)));
    CHECK(result(repeated("!", 64) + "yes"));
    CHECK(result(repeated("not (", 32) + "yes" + repeated(")", 32)));
    CHECK(result("(yes)" + repeated("and(yes)", 200)));
    CHECK(result("!no" + repeated("&&!no", 200)));
    for (const std::string& text :
         {repeated("(", 65) + "yes" + repeated(")", 65), repeated("!", 65) + "yes",
          repeated("(", 4096), repeated("!", 4096), repeated("(!", 2048)}) {
        const auto problem = refusal(text);
        CHECK(problem.offset == 64);
        CHECK(problem.message == "It is nested deeper than 64 levels");
    }
}

TEST_CASE("an exception of a source reaches the caller")
{
    ExpressionValues sources;
    sources.exists = [](const std::string&) -> bool { throw std::runtime_error("disk"); };
    std::string problem;
    const auto expression = compile("exists('a')", scope_of_anything());
    CHECK_THROWS_AS((void)expression.evaluate(sources, problem), std::runtime_error);
}

namespace {

/// An expression that knows its own meaning: built as a tree, never read.
struct Tree {
    enum class Op { leaf, comparison, negation, conjunction, disjunction };
    Op op = Op::leaf;
    std::string text;  // of a leaf: a name; of a comparison: its operator
    std::unique_ptr<Tree> left;
    std::unique_ptr<Tree> right;
};

using Truth = std::optional<bool>;
using Assignment = std::map<std::string, Truth, std::less<>>;

const std::array<std::string, 4> leaves{"a", "b-1.c", "not.and", "d"};

class Forest {
public:
    explicit Forest(unsigned seed) : engine_(seed) {}

    std::unique_ptr<Tree> grow(int height)
    {
        auto tree = std::make_unique<Tree>();
        tree->op = height == 0 ? Tree::Op::leaf : static_cast<Tree::Op>(below(5));
        if (tree->op == Tree::Op::leaf) tree->text = leaves[below(leaves.size())];
        if (tree->op == Tree::Op::comparison) tree->text = below(2) == 0 ? "==" : "!=";
        if (tree->op != Tree::Op::leaf) tree->left = grow(height - 1);
        if (tree->op != Tree::Op::leaf && tree->op != Tree::Op::negation)
            tree->right = grow(height - 1);
        return tree;
    }

    /// With as few parentheses as there can be, or with all of them.
    std::string print(const Tree& tree, bool all_parentheses)
    {
        const auto inner = [&](const Tree& part, Tree::Op loosest) {
            const auto text = print(part, all_parentheses);
            const bool needed = binding(part.op) < binding(loosest);
            return needed || all_parentheses ? "(" + text + ")" : text;
        };
        switch (tree.op) {
            case Tree::Op::leaf:
                return tree.text;
            case Tree::Op::comparison:
                return inner(*tree.left, Tree::Op::leaf) + tree.text +
                       inner(*tree.right, Tree::Op::leaf);
            case Tree::Op::negation:
                return (below(2) == 0 ? "not " : "!") + inner(*tree.left, Tree::Op::negation);
            case Tree::Op::conjunction:
                return inner(*tree.left, tree.op) + (below(2) == 0 ? " and " : "&&") +
                       inner(*tree.right, tree.op);
            case Tree::Op::disjunction:
                break;
        }
        return inner(*tree.left, tree.op) + (below(2) == 0 ? "\nor " : "||") +
               inner(*tree.right, tree.op);
    }

private:
    static int binding(Tree::Op op)
    {
        switch (op) {
            case Tree::Op::disjunction:
                return 0;
            case Tree::Op::conjunction:
                return 1;
            case Tree::Op::negation:
                return 2;
            case Tree::Op::comparison:
                return 3;
            case Tree::Op::leaf:
                break;
        }
        return 4;
    }

    std::size_t below(std::size_t n)
    {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
    }

    std::mt19937 engine_;
};

Truth meaning(const Tree& tree, const Assignment& assignment)
{
    if (tree.op == Tree::Op::leaf) return assignment.find(tree.text)->second;
    const auto left = meaning(*tree.left, assignment);
    if (!left) return left;
    if (tree.op == Tree::Op::negation) return !*left;
    if (tree.op == Tree::Op::conjunction && !*left) return false;
    if (tree.op == Tree::Op::disjunction && *left) return true;
    const auto right = meaning(*tree.right, assignment);
    if (!right || tree.op != Tree::Op::comparison) return right;
    return (*left == *right) == (tree.text == "==");
}

// True, false or missing for each leaf, in all ways.
std::vector<Assignment> all_assignments()
{
    std::vector<Assignment> all{{}};
    for (const auto& leaf : leaves) {
        std::vector<Assignment> more;
        for (const auto& assignment : all) {
            for (const Truth truth : {Truth(true), Truth(false), Truth()}) {
                more.push_back(assignment);
                more.back().emplace(leaf, truth);
            }
        }
        all = std::move(more);
    }
    return all;
}

}  // namespace

TEST_CASE("however an expression is written, it has the meaning of the tree it was written from")
{
    const auto assignments = all_assignments();
    REQUIRE(assignments.size() == 81);
    Types booleans;
    for (const auto& leaf : leaves) booleans.emplace(leaf, ValueType::boolean);
    Forest forest(20260120);
    for (int i = 0; i < 300; ++i) {
        const auto tree = forest.grow(1 + i % 5);
        for (const bool all_parentheses : {false, true}) {
            const auto text = forest.print(*tree, all_parentheses);
            CAPTURE(text);
            const auto typed = compile(text, scope_of(booleans));
            const auto untyped = compile(text, scope_of_anything());
            for (const auto& assignment : assignments) {
                Answers answers;
                for (const auto& [leaf, truth] : assignment)
                    if (truth) answers.known.emplace(leaf, *truth);
                const auto sources = answers.sources();
                const auto expected = meaning(*tree, assignment);
                std::string problem;
                REQUIRE(typed.evaluate(sources, problem) == expected);
                REQUIRE(problem.empty() == expected.has_value());
                REQUIRE(untyped.evaluate(sources, problem) == expected);
            }
        }
    }
}

TEST_SUITE_END();
