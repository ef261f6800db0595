#include "git/known_commits.hpp"

#include <doctest/doctest.h>

#include <string>

using autoexec::git::KnownCommits;

TEST_SUITE_BEGIN("known_commits");

TEST_CASE("a commit descends from those that known parents lead to")
{
    KnownCommits known;
    known.add("b", "tree", {"a"});
    known.add("c", {}, {"a"});
    known.add("merge", {}, {"b", "c"});
    known.add("last", {}, {"merge"});
    CHECK(known.descends("last", "last"));
    CHECK(known.descends("last", "b"));
    CHECK(known.descends("last", "c"));
    CHECK(known.descends("last", "a"));
    CHECK_FALSE(known.descends("last", "older"));
    CHECK_FALSE(known.descends("b", "c"));
    CHECK_FALSE(known.descends("b", "last"));
    CHECK_FALSE(known.descends("unknown", "a"));
    CHECK(known.descends("unknown", "unknown"));
}

TEST_CASE("later facts about a commit are added to earlier ones")
{
    KnownCommits known;
    CHECK_FALSE(known.contains("b"));
    known.add("b");
    CHECK(known.contains("b"));
    CHECK(known.tree_of("b").empty());
    known.add("b", "tree", {"a"});
    known.add("b");
    CHECK(known.tree_of("b") == "tree");
    CHECK(known.descends("b", "a"));
    CHECK(known.tree_of("a").empty());
}

TEST_CASE("a commit may have attributes unless it is known to have none")
{
    KnownCommits known;
    known.set_plain("b");
    known.add("b");
    CHECK_FALSE(known.is_plain("b"));
    known.set_plain("b");
    CHECK(known.is_plain("b"));
    CHECK_FALSE(known.is_plain("a"));
}

TEST_CASE("the number of known commits is bounded")
{
    KnownCommits known;
    known.add("first", "tree");
    for (int i = 1; i < 10'000; ++i) known.add(std::to_string(i));
    CHECK(known.tree_of("first") == "tree");
    known.add("9999");
    CHECK(known.contains("first"));
    known.add("one more");
    CHECK_FALSE(known.contains("first"));
    CHECK(known.contains("one more"));
}

TEST_SUITE_END();
