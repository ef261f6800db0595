#include "support/guide.hpp"
#include "support/project.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string_view>

/// What `doc/walk-away.md` shows can be used as it is.

using namespace autoexec::test;

namespace {

/// The code blocks of a language.
std::vector<std::string> blocks_of(std::string_view language)
{
    std::vector<std::string> blocks;
    bool is_inside = false;
    for (const auto& line : lines_of(read_file(documents / "walk-away.md"))) {
        if (is_inside && line != "```")
            blocks.back() += line + "\n";
        else if (!is_inside && line == "```" + std::string(language))
            blocks.emplace_back();
        else if (!is_inside)
            continue;
        is_inside = line != "```";
    }
    return blocks;
}

/// The commands of the program in indented blocks of a page, without comments.
std::vector<Words> commands(const std::string& page)
{
    std::vector<Words> all;
    for (const auto& line : lines_of(read_file(documents / page))) {
        if (!line.starts_with("    autoexec ")) continue;
        std::string problem;
        const auto text = line.substr(4, line.find(" #") - 4);
        auto words = autoexec::text::split_words(text, problem);
        REQUIRE_MESSAGE(words, line, ": ", problem);
        words->erase(words->begin());
        all.push_back(*std::move(words));
    }
    return all;
}

}  // namespace

TEST_CASE("the configuration in the guide is valid as that of a user")
{
    const auto blocks = blocks_of("yaml");
    REQUIRE(!blocks.empty());
    for (const auto& block : blocks) {
        Project project;
        const auto home = project.root().parent_path() / "home";
        project.set("XDG_CONFIG_HOME", home.string());
        write_file(home / "autoexec/config.yaml", block);
        const auto checked = project.run({"config", "validate", "--strict"});
        CHECK_MESSAGE(checked.code == 0, checked.out, checked.err);
    }
}

TEST_CASE("the programs in the guide pass a notification on")
{
    const auto blocks = blocks_of("sh");
    REQUIRE(blocks.size() >= 2);
    for (const auto& block : blocks) {
        CAPTURE(block);
        CHECK(std::ranges::count(block, '\n') == 2);
        Project project;
        const auto stage = project.root().parent_path() / "stage";
        const auto add = [&](const char* name, const std::string& script) {
            write_file(stage / name, script);
            fs::permissions(stage / name, fs::perms::owner_all);
        };
        add("hook", block);
        add("jq", "#!/bin/sh\nsed 's/.*\"text\":\"\\([^\"]*\\)\".*/\\1/'\n");
        add("curl", "#!/bin/sh\ncat >'" + (stage / "sent").string() + "'\n");
        project.set("PATH", stage.string() + ":" + std::getenv("PATH"));
        project.set("AUTOEXEC_NOTIFY_COMPLETED", "true");
        project.set("AUTOEXEC_NOTIFY_PROGRAM", "hook");
        const auto ended = project.run({"run", "--", "true"});
        CHECK(ended.code == 0);
        CHECK_FALSE(contains(ended.err, "notify.program"));
        CHECK(contains(read_file(stage / "sent"), "completed in project: true"));
    }
}

TEST_CASE("the program has each command and option of the guides")
{
    Project project;
    const std::set<std::string> groups{"workflow", "queue"};
    auto all = commands("walk-away.md");
    std::ranges::move(commands("getting-started.md"), std::back_inserter(all));
    CHECK(all.size() > 15);
    for (auto& words : all) {
        words.erase(std::ranges::find(words, "--"), words.end());
        Words help(words.begin(), words.begin() + (groups.contains(words.front()) ? 2 : 1));
        help.emplace_back("--help");
        const auto shown = project.run(help);
        CHECK(shown.code == 0);
        for (const auto& word : words)
            if (word.starts_with('-'))
                CHECK_MESSAGE(contains(shown.out, word), words.front(), " ", word);
    }
}
