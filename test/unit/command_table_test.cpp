#include "autoexec/workflow_executor.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

using namespace autoexec;

namespace {

namespace json = boost::json;
using Words = std::vector<std::string>;

Words split(const std::string& line)
{
    std::string problem;
    auto words = text::split_words(line, problem);
    REQUIRE_MESSAGE(words, problem);
    return *words;
}

/// What a shell makes of the line.
Words shell_words(const std::string& line)
{
    std::FILE* const out = ::popen(("printf '%s\\0' " + line).c_str(), "r");
    REQUIRE(out != nullptr);
    std::string text;
    std::array<char, 4096> buffer;
    while (const auto n = std::fread(buffer.data(), 1, buffer.size(), out))
        text.append(buffer.data(), n);
    CHECK(::pclose(out) == 0);
    Words words;
    for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1)
        words.emplace_back(text.c_str() + at);
    return words;
}

Words build_words(const json::object& params)
{
    return split(CommandTable().build("a", "b", params));
}

}  // namespace

TEST_SUITE_BEGIN("command table");

TEST_CASE("the commands of the well-known agents are those of the original")
{
    const CommandTable table;
    const struct {
        const char* agent;
        const char* action;
        const char* line;
        const char* prompt_flag;
    } pairs[] = {
        {"analyst", "gather-requirements",
         "@analyst gather-requirements --output-file requirements.md", "description"},
        {"planner", "plan", "@planner plan", "description"},
        {"planner", "create-stories", "@planner plan", "description"},
        {"architect", "design-system", "@architect design-system --output-file architecture.md",
         "description"},
        {"designer", "design-api", "@designer design-api", ""},
        {"designer", "api-design", "@designer design-api", ""},
        {"implementer", "implement", "@implementer implement", "specification"},
        {"implementer", "write-code", "@implementer implement", "specification"},
        {"implementer", "refactor", "@implementer refactor", ""},
        {"reviewer", "review", "@reviewer review", ""},
        {"reviewer", "review-code", "@reviewer review", ""},
        {"tester", "test", "@tester test", ""},
        {"tester", "write-tests", "@tester test", ""},
        {"debugger", "analyze-error", "@debugger analyze-error", "error-message"},
        {"documenter", "document", "@documenter document --output-dir docs", ""},
        {"documenter", "generate-docs", "@documenter document --output-dir docs", ""},
        {"documenter", "update-docstrings", "@documenter update-docstrings --write-file", ""},
        {"ops", "security-scan", "@ops security-scan --type code", ""},
        {"improver", "improve", "@improver improve", ""},
        {"improver", "refactor", "@improver refactor", "instruction"},
        {"enhancer", "enhance", "@enhancer enhance --format markdown", "prompt"},
        {"enhancer", "enhance-prompt", "@enhancer enhance --format markdown", "prompt"},
        {"quality", "analyze", "@quality quality-analyze", ""},
        {"quality", "quality-check", "@quality quality-analyze", ""},
        {"testing", "run-tests", "@testing testing-run --coverage", ""},
        {"testing", "test", "@testing testing-run --coverage", ""},
    };
    for (const auto& pair : pairs) {
        CAPTURE(pair.line);
        CHECK(table.build(pair.agent, pair.action, {}) == pair.line);
        REQUIRE(table.find(pair.agent, pair.action) != nullptr);
        CHECK(table.find(pair.agent, pair.action)->prompt_flag == pair.prompt_flag);
    }
}

TEST_CASE("letter case and underscores make no other agent or action")
{
    const CommandTable table;
    CHECK(table.find("Reviewer", "Review_Code") == table.find("reviewer", "review-code"));
    CHECK(table.build("REVIEWER", "review_CODE", {}) == "@reviewer review");
    CHECK(table.find("reviewer", "no-such-action") == nullptr);
    CHECK(table.find("review", "er-review") == nullptr);
}

TEST_CASE("an action that is not known is its own command")
{
    const CommandTable table;
    CHECK(table.build("My_Agent", "Do_It", {{"a", 1}}) == "@my_agent do-it --a 1");
    CHECK(table.find("My_Agent", "Do_It") == nullptr);
    CHECK(CommandTable::default_prompt_flag == "prompt");
}

TEST_CASE("an application's commands win, and may be of several words")
{
    CommandTable table;
    AgentCommand command;
    command.command = "db migrate";
    command.params = {{"dry_run", true}};
    command.prompt_flag = "what";
    table.set("Ops", "run_migration", command);
    table.set("reviewer", "review", command);
    CHECK(table.build("ops", "run-migration", {}) == "@ops db migrate --dry-run");
    CHECK(table.build("reviewer", "review", {}) == "@reviewer db migrate --dry-run");
    CHECK(table.find("reviewer", "review")->prompt_flag == "what");
}

TEST_CASE("values become words by their kind")
{
    const json::object params{{"text", "plain"},
                              {"whole", 3},
                              {"negative", -3},
                              {"real", 0.5},
                              {"on", true},
                              {"off", false},
                              {"nothing", nullptr},
                              {"empty", ""},
                              {"list", json::array{"a b", 1}},
                              {"object", json::object{{"k", "it's"}}},
                              {"none", json::array{}},
                              {"with_underscore", "a_b"},
                              {"", "nameless"}};
    CHECK(CommandTable().build("a", "b", params) ==
          R"(@a b --text plain --whole 3 --negative=-3 --real 0.5 --on --empty '' )"
          R"(--list '["a b", 1]' --object '{"k": "it'\''s"}' --none '[]' --with-underscore a_b)");
}

TEST_CASE("flags come in the order: fixed, the step's, more")
{
    CommandTable table;
    AgentCommand command;
    command.command = "go";
    command.params = {{"first", 1}, {"second_one", 2}};
    table.set("a", "b", command);
    CHECK(table.build("a", "b", {{"z", 1}, {"second-one", "mine"}, {"y", 2}},
                      {{"x", 3}, {"y", "theirs"}, {"first", "theirs"}}) ==
          "@a go --first 1 --second-one mine --z 1 --y 2 --x 3");
}

TEST_CASE("a step can switch off a flag, and then nothing brings it back")
{
    const CommandTable table;
    CHECK(table.build("ops", "security-scan", {{"type", nullptr}}, {{"type", "all"}}) ==
          "@ops security-scan");
    CHECK(table.build("testing", "test", {{"coverage", false}}) == "@testing testing-run");
}

TEST_CASE("a flag is given once, however it is spelled")
{
    CHECK(CommandTable().build("a", "b", {{"f_g", 1}, {"h", 2}, {"f-g", 3}}) ==
          "@a b --f-g 3 --h 2");
}

TEST_CASE("whatever a value is, it stays one word to a shell, and nothing is run")
{
    const Words values = {"two words",   "line\nbreak", "tab\t",         "it's",     "\"quoted\"",
                          "back\\slash", "trailing\\",  "$(touch /x)",   "`id`",     "$HOME ${x}",
                          "a;b|c&d>e",   "* ? [a]",     "~root",         "#comment", "{a,b}",
                          "!!",          "über 日本",   "\xff\xfe",      "\r\n",     "a=b",
                          "\\\n",        "''",          "x' --other 'y", "%s\\n"};
    for (const auto& value : values) {
        CAPTURE(value);
        const auto line = CommandTable().build("a", "b", {{"flag", value}, {"after", true}});
        const Words expected = {"@a", "b", "--flag", value, "--after"};
        CHECK(split(line) == expected);
        CHECK(shell_words(line) == expected);
    }
}

TEST_CASE("a value that begins with a dash cannot become a flag")
{
    for (const std::string value : {"-", "--", "-x", "--force", "- a list", "--a='b c'\n"}) {
        CAPTURE(value);
        const auto line = CommandTable().build("a", "b", {{"flag", value}});
        const Words expected = {"@a", "b", "--flag=" + value};
        CHECK(split(line) == expected);
        CHECK(shell_words(line) == expected);
    }
}

TEST_CASE("agents, actions and flags that are no plain words are quoted")
{
    const auto line = CommandTable().build("My $(Agent)", "do 'it'", {{"a b;", "c"}});
    const Words expected = {"@my $(agent)", "do 'it'", "--a b;", "c"};
    CHECK(split(line) == expected);
    CHECK(shell_words(line) == expected);
}

TEST_CASE("a list in a word is read back as it was")
{
    const json::object params{{"list", json::array{"a'b\n", json::object{{"ü", nullptr}}, -1.5}}};
    const auto words = build_words(params);
    REQUIRE(words.size() == 4);
    CHECK(words[3] == text::dump_line(params.at("list")));
}

TEST_SUITE_END();
