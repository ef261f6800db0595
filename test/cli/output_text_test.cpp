#include "cli/session/markdown.hpp"
#include "cli/session/patch_output.hpp"
#include "cli/workflow/schedule_units.hpp"
#include "cli/workflow/unseen_changes.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec::cli;
using namespace std::chrono_literals;

TEST_CASE("text from outside is one code span, whatever it is")
{
    CHECK(code_span("plain") == "`plain`");
    CHECK(code_span("").empty());
    CHECK(code_span(" \n").size() > 0);
    CHECK(code_span("  ").empty());
    CHECK(code_span("a `b` ``c``") == "``` a `b` ``c`` ```");
    CHECK(code_span("`") == "`` ` ``");
    CHECK(code_span(" a ") == "`  a  `");
    CHECK(code_span("@name #1 <b> [x](y)") == "`@name #1 <b> [x](y)`");
    const auto lines = code_span("a\n# b\r\n\x1b[31mc\x07");
    CHECK(lines.find('\n') == lines.npos);
    CHECK(lines.find('\x1b') == lines.npos);
    CHECK(lines.find('\x07') == lines.npos);
    CHECK(code_span("a\xE2\x80\xAEz").find("\xE2\x80\xAE") == std::string::npos);
    CHECK(code_span(std::string(1000, 'a'), 10) == "`aaaaaaaaaa…`");
    CHECK(table_code_span("a|b\\|c") == "`a¦b\\¦c`");
}

TEST_CASE("a patch on a terminal has colours of its own and nothing from the files")
{
    const std::string patch =
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@ f()\n--- old\n+\x1b[2Jnew\n same\n"
        "diff --git a/y b/y\n";
    CHECK(
        patch_for_terminal(patch, true) ==
        "\x1b[1mdiff --git a/x b/x\x1b[m\n\x1b[1m--- a/x\x1b[m\n\x1b[1m+++ b/x\x1b[m\n"
        "\x1b[36m@@ -1 +1 @@ f()\x1b[m\n\x1b[31m--- old\x1b[m\n\x1b[32m+\\x1b[2Jnew\x1b[m\n same\n"
        "\x1b[1mdiff --git a/y b/y\x1b[m\n");
    CHECK(patch_for_terminal("+\x1b[2J\xC2\x9B\n", false) == "+\\x1b[2J\\x9b\n");
    CHECK(patch_for_terminal("no newline", true) == "\x1b[1mno newline\x1b[m");
    CHECK(patch_for_terminal("", true).empty());
}

TEST_CASE("intervals and times of day are expressions of systemd")
{
    CHECK(calendar_of_interval(1min) == "*-*-* *:0/1:00");
    CHECK(calendar_of_interval(15min) == "*-*-* *:0/15:00");
    CHECK(calendar_of_interval(60min) == "*-*-* *:00:00");
    CHECK(calendar_of_interval(8h) == "*-*-* 0/8:00:00");
    CHECK(calendar_of_interval(24h) == "*-*-* 00:00:00");
    CHECK(calendar_of_interval(24h * 7) == "Mon *-*-* 00:00:00");
    for (const auto interval : {30000ms, 90000ms, 420000ms, 18000000ms, 172800000ms, 0ms, -60000ms})
        CHECK_FALSE(calendar_of_interval(interval));

    CHECK(calendar_of_time("03:00") == "*-*-* 03:00:00");
    CHECK(calendar_of_time("23:59:30") == "*-*-* 23:59:30");
    CHECK(calendar_of_time("Mon,Thu 03:00") == "Mon,Thu *-*-* 03:00:00");
    CHECK(calendar_of_time("*-*-01 03:00") == "*-*-01 03:00");
    for (const auto* const text : {"weekly", "03:00 America/New_York", "03:00 Etc/GMT+1"})
        CHECK(calendar_of_time(text) == text);
    for (const auto* const text :
         {"", "3", "24:00", "03:60", " 03:00", "03:00\n", "a;b", "%h", "x\"y", "--help"})
        CHECK_FALSE(calendar_of_time(text));
}

TEST_CASE("paths and words keep their meaning in units")
{
    CHECK(unit_word("a b") == "\"a b\"");
    CHECK(unit_word("50% \"q\" \\ $HOME") == "\"50%% \\\"q\\\" \\\\ $HOME\"");
    CHECK(unit_word("a\nb\tc") == "\"a\\nb\\x09c\"");
    CHECK(unit_word("") == "\"\"");

    WorkflowSchedule schedule;
    schedule.project = "/home/me/my 100% project";
    schedule.file = "/home/me/my 100% project/flow.yaml";
    schedule.program = "/usr/bin/autoexec";
    schedule.calendar = {"*-*-* 03:00:00", "weekly"};
    schedule.words = {"--param", "x=\n[Unit]"};
    CHECK(unit_problem(schedule).empty());
    CHECK(unit_name(schedule).starts_with("autoexec-schedule-my-100-project-flow-"));
    const auto service = service_unit(schedule);
    CHECK(service.find("\nWorkingDirectory=/home/me/my 100%% project\n") != service.npos);
    CHECK(service.find("\n[Unit]\n") == service.find("[Unit]") - 1);  // the first one is its own
    CHECK(service.find("[Unit]\n") == service.rfind("[Unit]\n"));

    const auto read = read_timer(timer_unit(schedule));
    REQUIRE(read);
    CHECK(read->project == schedule.project);
    CHECK(read->file == schedule.file);
    CHECK(read->calendar == schedule.calendar);
    CHECK(read->words == schedule.words);
    CHECK(unit_name(*read) == unit_name(schedule));
    CHECK_FALSE(read_timer("[Timer]\nOnCalendar=daily\n"));
    CHECK_FALSE(read_timer("\n[X-Autoexec]\nSchedule={\"project\": \"relative\"}\n"));

    auto other = schedule;
    other.file = "/home/me/other/flow.yaml";
    CHECK(unit_name(other) != unit_name(schedule));
    for (const auto* const path : {"/a\nb", "/a\\", "/a ", "", "/a\xff"}) {
        other.file = path;
        CHECK_FALSE(unit_problem(other).empty());
    }
    other = schedule;
    other.program = "/opt/it's/autoexec";  // however it is quoted
    CHECK_FALSE(unit_problem(other).empty());
    for (const auto& word : {std::string("\xff"), std::string(max_unit_bytes, 'x')}) {
        other = schedule;
        other.words = {word};
        CHECK_FALSE(unit_problem(other).empty());
    }
}

TEST_CASE("the sentence about changes that were not seen names files")
{
    CHECK(unseen_sentence({}).empty());
    CHECK(unseen_sentence({"a"}) ==
          "1 file with uncommitted changes was not seen by the steps: a. Commit them before a run, "
          "or use --with-changes\n");
    CHECK(unseen_sentence({"a", "b", "c", "d", "e", "f", "g"}).find("e and 2 more.") !=
          std::string::npos);
}
