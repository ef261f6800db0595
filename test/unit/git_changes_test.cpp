#include "git/changes.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec::git;

TEST_SUITE_BEGIN("git changes");

TEST_CASE("the changed files are read with their lines")
{
    using namespace std::string_literals;
    const auto files = parse_changes(
        ":100644 100644 1 2 M\0a b\0"
        ":000000 100644 0 3 A\0image\0"
        ":100644 100644 4 5 R090\0old\0new\0"
        "3\t1\ta b\0"
        "-\t-\timage\0"
        "2\t0\t\0old\0new\0"s);
    REQUIRE(files.size() == 3);
    FileChange changed;
    changed.path = "a b";
    changed.added = 3;
    changed.deleted = 1;
    CHECK(files[0] == changed);
    CHECK(files[1].kind == 'A');
    CHECK_FALSE(files[1].added);
    CHECK(files[2].old_path == "old");
    CHECK(files[2].path == "new");
    CHECK(files[2].added == 2);
    ChangeList list;
    list.files = files;
    CHECK(list.added() == 5);
    CHECK(list.deleted() == 1);
    for (const auto& text : {""s, ":"s, ":\0"s, "1\t"s, "x\ty\tz\0"s, "1\t2\t\0"s})
        CHECK(parse_changes(text).size() < 2);
}

TEST_CASE("commits are read with the executions that their messages name")
{
    using namespace std::string_literals;
    const std::string id(40, 'a');
    const std::string other(40, 'b');
    const auto commits = parse_commits(id + "\n1700\nsubject\n\nExecution: e-1\nAttempt: 1\n\0"s +
                                       other + "\nodd\nmine\n\0no id\n1\nExecution: e-2\n"s);
    REQUIRE(commits.size() == 2);
    CHECK(commits[0].id == id);
    CHECK(commits[0].seconds == 1700);
    CHECK(commits[0].execution_id == "e-1");
    CHECK(commits[1].id == other);
    CHECK(commits[1].execution_id.empty());
    CHECK(parse_commits("").empty());
}

TEST_CASE("the log of HEAD knows the commit from before a time")
{
    const std::string a(40, 'a');
    const std::string b(40, 'b');
    const std::string c(40, 'c');
    const auto line = [](const std::string& from, const std::string& to, const std::string& time) {
        return from + " " + to + " A Person <a@example.org> " + time + " +0100\tcommit: text > 1\n";
    };
    const auto log = line(a, b, "100") + "broken\n" + line(b, c, "200");
    const auto at = [&](std::time_t time) {
        return head_in_log(log, std::chrono::system_clock::from_time_t(time));
    };
    CHECK(at(50) == b);  // it begins there
    CHECK(at(100) == b);
    CHECK(at(150) == b);
    CHECK(at(200) == b);  // what was done in this second may be of the command
    CHECK(at(201) == c);
    CHECK(head_in_log("", {}).empty());
    CHECK(head_in_log("x y z\n> 1\n", {}).empty());
}

TEST_SUITE_END();
