#include "git/merges.hpp"
#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using namespace autoexec::test;
using git::Words;

namespace {

std::string subcommand_in(const Words& argv)
{
    std::size_t at = 1;
    while (at + 2 < argv.size() && argv[at] == "-c") at += 2;
    return argv.at(at);
}

/// Records the subcommands of git that autoexec runs.
struct CountedGit : WorktreeFixture {
    CountedGit()
    {
        replace_spawner([this](ProcessSpec& spec) { calls.push_back(subcommand_in(spec.argv)); });
    }
    /// Those since the last call.
    Words new_calls() { return std::exchange(calls, {}); }

    /// A worktree with a commit of this file.
    std::string work(const std::string& name, const std::string& path, const std::string& text)
    {
        const auto tree = add(name);
        write_file(tree / path, text);
        return commit_quietly(tree);
    }
    git::Merged merge(const std::string& ours, const std::string& theirs)
    {
        auto merged = run(git::merge(repository(), ours, theirs, "m"));
        REQUIRE_MESSAGE(merged.problem.empty(), merged.problem);
        return merged;
    }

    Words calls;
};

}  // namespace

TEST_SUITE_BEGIN("git_calls");

// Each call is a process. This test fails if a change adds one.
TEST_CASE_FIXTURE(CountedGit, "a step asks git for no more than it needs")
{
    const auto opened = open();
    REQUIRE(opened.repository);
    CHECK(opened.head == head());
    CHECK(new_calls() == Words{"version", "rev-parse"});
    const auto base = head();
    (void)repository();
    (void)new_calls();

    const auto tree = add("a", base);
    CHECK(new_calls() == Words{"update-ref", "worktree", "reset"});
    write_file(tree / "file", "a\n");
    const auto a = commit_quietly(tree);
    CHECK(new_calls() == Words{"ls-files", "add", "write-tree", "commit-tree", "update-ref"});
    CHECK(merge(base, a).commit == a);
    CHECK(merge(a, base).commit == a);
    CHECK(new_calls() == Words{});

    const auto b = work("b", "folder/other", "b\n");
    const auto c = work("c", "new", "c\n");
    (void)new_calls();
    const auto both = merge(a, b).commit;
    CHECK(new_calls() == Words{"rev-list", "merge-tree", "commit-tree"});
    const auto all = merge(both, c).commit;
    CHECK(new_calls() == Words{"rev-list", "merge-tree", "commit-tree"});
    CHECK(merge(base, all).commit == all);
    CHECK(new_calls() == Words{});
    CHECK(content(all, "file") + content(all, "folder/other") + content(all, "new") == "a\nb\nc\n");
}

TEST_CASE_FIXTURE(CountedGit, "a commit of an earlier process is looked up")
{
    const auto a = work("a", "file", "a\n");
    const auto b = work("b", "folder/other", "b\n");
    forget_repository();
    (void)repository();
    (void)new_calls();
    CHECK(merge(head(), a).commit == a);
    CHECK(new_calls() == Words{"rev-parse", "rev-list"});
    const auto both = merge(a, b).commit;
    CHECK(new_calls() == Words{"rev-parse", "rev-list", "ls-tree", "merge-tree", "commit-tree"});
    CHECK(content(both, "file") + content(both, "folder/other") == "a\nb\n");
}

TEST_CASE_FIXTURE(CountedGit, "attributes that a step adds count in later merges")
{
    std::string path;
    SUBCASE("at the top")
    {
        path = ".gitattributes";
    }
    SUBCASE("in a folder")
    {
        path = "folder/.gitattributes";
    }
    const auto rules = work("rules", path, "other merge=union\n");
    const auto plain = work("plain", "new", "new\n");
    const auto a = work("a", "folder/other", "a\n");
    const auto b = work("b", "folder/other", "b\n");
    // The first side has them from the second one of an earlier merge.
    const auto ours = merge(merge(plain, rules).commit, a).commit;
    const auto merged = merge(ours, b);
    REQUIRE(merged.conflicts.empty());
    CHECK(content(merged.commit, "folder/other") == "a\nb\n");
    CHECK(merge(a, b).conflicts.size() == 1);
}

TEST_SUITE_END();
