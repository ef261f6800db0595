#include "cli/command_line.hpp"
#include "cli/subcommand.hpp"
#include "support/text.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace autoexec;
using namespace autoexec::cli;
using test::lines_of;
using test::Words;

namespace {

// Up to a redirection, a pipe or a comment of the shell.
std::string command_of(std::string line)
{
    for (const auto* end : {" >", " |", "  #", "&&"})
        line.erase(std::min(line.size(), line.find(end)));
    return line;
}

std::vector<Words> examples_in(const std::string& footer)
{
    std::vector<Words> examples;
    for (const auto& line : lines_of(footer)) {
        if (!line.starts_with("  autoexec ") || line.find("$(") != line.npos) continue;
        std::string problem;
        const auto words = text::split_words(command_of(line), problem);
        REQUIRE_MESSAGE(words, problem);
        examples.emplace_back(std::next(words->begin()), words->end());
    }
    return examples;
}

// The words of the command that the program would run.
std::string parsed_command(const Words& words)
{
    std::vector<const char*> argv{"autoexec"};
    for (const auto& word : words) argv.push_back(word.c_str());
    auto line = split_command_line(static_cast<int>(argv.size()), argv.data());
    CLI::App app("", "autoexec");
    const auto commands = define_subcommands(app);
    app.require_subcommand(0, 1);
    (void)put_command_first(app, line.words);
    std::reverse(line.words.begin(), line.words.end());
    app.parse(std::move(line.words));
    const auto parsed = std::find_if(commands.begin(), commands.end(),
                                     [](const auto& one) { return one.app->parsed(); });
    return parsed == commands.end() ? "" : parsed->words;
}

}  // namespace

TEST_SUITE_BEGIN("help");

TEST_CASE("the help of each command has an example that its options accept, and names its page")
{
    std::ifstream page(AUTOEXEC_SOURCE_DIR "/doc/cli.md");
    std::stringstream headings;
    headings << page.rdbuf();
    CLI::App app("", "autoexec");
    for (const auto& command : define_subcommands(app)) {
        if (command.app->get_group().empty()) continue;
        const std::string words = command.words;
        CAPTURE(words);
        const auto footer = command.app->get_footer();
        const auto examples = examples_in(footer);
        bool has_own = false;
        for (const auto& example : examples) {
            CAPTURE(text::quote_words(example));
            const auto parsed = parsed_command(example);
            CHECK_FALSE(parsed.empty());
            has_own |= parsed == words;
        }
        CHECK(has_own);
        const auto heading = words.substr(0, words.find(' '));
        CHECK(footer.ends_with("Documentation: doc/cli.md#" + heading));
        CHECK(headings.str().find("\n## " + heading + "\n") != std::string::npos);
    }
}

TEST_CASE("options that precede the command are moved behind it")
{
    CLI::App app("", "autoexec");
    const auto commands = define_subcommands(app);
    const auto moved = [&app](Words words) {
        (void)put_command_first(app, words);
        return words;
    };
    CHECK(moved({"--json", "status"}) == Words{"status", "--json"});
    CHECK(moved({"--project", "status", "workflow", "--json", "list", "-n", "1"}) ==
          Words{"workflow", "list", "--project", "status", "--json", "-n", "1"});
    CHECK(moved({"run", "--agent", "status", "x"}) == Words{"run", "--agent", "status", "x"});
    CHECK(moved({"--help", "run"}) == Words{"--help", "run"});
    CHECK(moved({"--project"}) == Words{"--project"});
    CHECK(moved({}).empty());
    CHECK_THROWS_AS(moved({"--json", "stauts"}), Failure);
}

TEST_CASE("the words after two hyphens and --color are taken from the command line")
{
    const char* const argv[] = {"autoexec", "--color=never", "run", "--json", "--", "--color", "x"};
    const auto line = split_command_line(7, argv);
    CHECK(line.words == Words{"run", "--json"});
    CHECK(line.program == Words{"--color", "x"});
    CHECK(line.color == "never");
    CHECK(line.json);
    const char* const bytes[] = {"autoexec", "run", "\xff"};
    CHECK_THROWS_AS(split_command_line(3, bytes), Failure);
}

TEST_SUITE_END();
