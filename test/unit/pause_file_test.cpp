#include "protocol/pause_file.hpp"

#include "protocol/layout.hpp"
#include "records/pauses.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using protocol::Pause;
using protocol::StartPauses;

namespace {

const auto noon = std::chrono::sys_days{std::chrono::year{2026} / 1 / 20} + 12h;

void pause(const TemporaryFolder& project, const std::string& agent)
{
    CHECK_FALSE(records::change_pauses(project.path(), [&agent](StartPauses& pauses) {
        pauses.agents[agent] = {noon, "me@here"};
    }));
}

}  // namespace

TEST_SUITE_BEGIN("pause file");

TEST_CASE("pauses survive being written and read")
{
    StartPauses pauses;
    pauses.all = Pause{noon, "me@here"};
    pauses.agents["a \x01"] = {noon, "you@there"};
    pauses.workflows["w"] = {std::nullopt, ""};
    CHECK(protocol::parse_pauses(protocol::format_pauses(pauses)) == pauses);
    CHECK(protocol::parse_pauses(protocol::format_pauses({})) == StartPauses{});
}

TEST_CASE("what is no such file counts as none, and unknown keys are ignored")
{
    for (const auto* const text :
         {"", "{", "[]", "null", "{}", R"({"version": "2.0", "all": {}})", R"({"all": {}})"})
        CHECK_MESSAGE(!protocol::parse_pauses(text), text);
    const auto read = protocol::parse_pauses(
        R"({"version": "1.9", "new": 1, "all": 7, "agents": {"a": {"since": 5, "by": []},
            "b": 3, "": {}}, "workflows": []})");
    REQUIRE(read);
    StartPauses expected;
    expected.agents["a"] = {};
    CHECK(*read == expected);
}

TEST_CASE("names beyond the limits are skipped")
{
    std::string text = R"({"version": "1.0", "agents": {")" + std::string(257, 'x') + R"(": {})";
    for (int i = 0; i < 150; ++i) text += ", \"a" + std::to_string(i) + "\": {}";
    const auto read = protocol::parse_pauses(text + "}}");
    REQUIRE(read);
    CHECK(read->agents.size() == protocol::max_paused_names);
    CHECK(protocol::format_pauses(*read).size() < protocol::pause_file_limit);
}

TEST_CASE("the words of a pause name who, when and what, without control characters")
{
    CHECK(protocol::words_of_pause({noon + 1ms, "me@here"}) ==
          "starts are paused since " +
              text::shown_time(std::chrono::system_clock::time_point(noon)) + " by me@here");
    CHECK(protocol::words_of_pause({std::nullopt, ""}, "agent", "a\n") ==
          "starts of agent a\\n are paused");
}

TEST_CASE("a pause is for all, for an agent, for a workflow or for one of its runs")
{
    TemporaryFolder project;
    records::FollowedPauses followed(project.path());
    CHECK_FALSE(followed.refresh());
    const std::string run = "w-20260120-100000-000001";
    CHECK(followed.reason_for("a", run).empty());

    pause(project, "a");
    CHECK(followed.refresh());
    CHECK_FALSE(followed.refresh());
    CHECK(followed.reason_for("a", std::nullopt).starts_with("starts of agent a are paused"));
    CHECK(followed.reason_for("b", run).empty());
    CHECK(followed.reason_for("", std::nullopt).empty());

    std::string name = "w";
    SUBCASE("a workflow") {}
    SUBCASE("a run")
    {
        name = run;
    }
    CHECK_FALSE(records::change_pauses(project.path(),
                                       [&name](StartPauses& pauses) { pauses.workflows[name]; }));
    CHECK(followed.refresh());
    CHECK(followed.reason_for("b", run) == "starts of workflow " + name + " are paused");
    CHECK(followed.reason_for("b", "w").empty() == (name == run));
    CHECK(followed.reason_for("b", "v-20260120-100000-000001").empty());

    CHECK_FALSE(
        records::change_pauses(project.path(), [](StartPauses& pauses) { pauses.all.emplace(); }));
    CHECK(followed.refresh());
    CHECK(followed.reason_for("b", std::nullopt) == "starts are paused");
    CHECK_FALSE(records::change_pauses(project.path(), [](StartPauses& pauses) { pauses = {}; }));
    CHECK_FALSE(fs::exists(project.path() / layout::paused));
    CHECK(followed.refresh());
    CHECK(followed.reason_for("a", run).empty());
}

TEST_CASE("a file that does not count pauses nothing, and is replaced")
{
    TemporaryFolder project;
    const auto file = project.path() / layout::paused;
    fs::create_directories(file.parent_path());
    SUBCASE("text")
    {
        write_file(file, "paused");
    }
    SUBCASE("a link")
    {
        write_file(project.path() / "elsewhere", protocol::format_pauses({Pause{}, {}, {}}));
        fs::create_symlink(project.path() / "elsewhere", file);
    }
    SUBCASE("too large")
    {
        write_file(file, std::string(protocol::pause_file_limit + 1, ' '));
    }
    const auto reading = records::read_pauses(project.path());
    CHECK(reading.pauses.empty());
    CHECK(contains(reading.problem, "cannot be read from " + file.string()));
    pause(project, "a");
    CHECK(records::read_pauses(project.path()).problem.empty());
    CHECK(records::read_pauses(project.path()).pauses.agents.contains("a"));
}

TEST_SUITE_END();
