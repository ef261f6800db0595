#include "git/git.hpp"
#include "git/tree_state.hpp"

#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <sys/stat.h>

#include <fstream>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// A worktree `a`, and a program in it that sets traps: whoever runs what they name leaves a mark
/// outside of the tree.
struct Trapped : WorktreeFixture {
    fs::path tree = add("a");
    fs::path mark = folder / "mark";
    fs::path trap = folder / "trap";

    Trapped()
    {
        write_file(trap,
                   fmt::format("#!/bin/sh\necho \"$0 $*\" >>'{}'\nexec cat\n", mark.string()));
        ::chmod(trap.c_str(), 0755);
        fs::create_directories(folder / "hooks");
        for (const auto* const hook :
             {"post-checkout", "post-index-change", "reference-transaction", "pre-commit",
              "post-merge", "fsmonitor-watchman", "pre-merge-commit", "commit-msg"})
            fs::copy_file(trap, folder / "hooks" / hook);
    }
    void put(const fs::path& path, std::string_view text) const { write_file(tree / path, text); }

    /// What a repository's own configuration can name.
    [[nodiscard]] std::string traps() const
    {
        const auto program = "'" + trap.string() + "'";
        return fmt::format(
            "[core]\n\tfsmonitor = \"{0}\"\n\thooksPath = \"{1}\"\n\tpager = \"{0}\"\n"
            "\teditor = \"{0}\"\n\tsshCommand = \"{0}\"\n\taskPass = \"{2}\"\n"
            "[filter \"evil\"]\n\tclean = \"{0}\"\n\tsmudge = \"{0}\"\n\trequired = true\n"
            "[filter \"served\"]\n\tprocess = \"{0}\"\n\trequired = true\n"
            "[diff]\n\texternal = \"{0}\"\n\tsubmodule = log\n\tignoreSubmodules = none\n"
            "[diff \"evil\"]\n\tcommand = \"{0}\"\n\ttextconv = \"{0}\"\n"
            "[merge \"evil\"]\n\tdriver = \"{0}\"\n"
            "[gpg]\n\tprogram = \"{2}\"\n[log]\n\tshowSignature = true\n"
            "[status]\n\tsubmoduleSummary = true\n[submodule]\n\trecurse = true\n",
            program, (folder / "hooks").string(), trap.string());
    }

    /// Makes a folder of the tree a repository with all traps set, and something to run them for.
    void make_repository(const fs::path& path) const
    {
        const auto repository = tree / path;
        fs::create_directories(repository);
        git_in(repository, {"init", "-q", "-b", "main", "."});
        write_file(repository / "inner", "one\n");
        git_in(repository, {"add", "."});
        git_in(repository, {"commit", "-q", "-m", "inner"});
        write_file(repository / ".gitattributes", "* filter=evil diff=evil merge=evil\n");
        append(repository / ".git/config", traps());
        // Of the same size, so that git must read it to know.
        write_file(repository / "inner", "two\n");
    }
    static void append(const fs::path& file, std::string_view text)
    {
        std::ofstream(file, std::ios::app) << text;
    }

    /// The same for the configuration that a linked worktree has alone.
    void set_own_configuration(const std::string& name) const
    {
        append(entry(name) / "config.worktree", traps());
    }

    void check_unmarked() const
    {
        CHECK_MESSAGE(!fs::exists(mark), read_file(mark));
        fs::remove(mark);
    }
    /// That the traps work at all.
    void check_armed(const fs::path& repository, const Words& words) const
    {
        (void)try_git(repository, words);
        CHECK(fs::exists(mark));
        fs::remove(mark);
    }
};

}  // namespace

TEST_SUITE_BEGIN("git_containment");

TEST_CASE_FIXTURE(Trapped, "git is never run in a repository that was made within a worktree")
{
    make_repository("inside");
    SUBCASE("untracked") {}
    SUBCASE("as a submodule")
    {
        git_in(tree, {"add", "inside"});
        put(".gitmodules",
            "[submodule \"inside\"]\n\tpath = inside\n\turl = ./x\n\tignore = none\n");
    }
    check_armed(tree / "inside", {"status"});
    write_file(tree / "inside/inner", "six\n");

    const auto committed = commit_work(tree);
    CHECK_MESSAGE(committed.problem.empty(), committed.problem);
    CHECK_FALSE(committed.warnings.empty());
    check_unmarked();
    put("file", "changed\n");
    const auto trees = run(git::list_trees(repository()));
    REQUIRE(trees.size() == 1);
    CHECK(trees[0].dirty);
    check_unmarked();
    CHECK_FALSE(run(git::state_of(repository(), tree)).empty());
    check_unmarked();
    CHECK_FALSE(run(git::removal_blocker(repository(), tree, SalvageOptions())).empty());
    check_unmarked();
    CHECK_FALSE(salvage(tree).commit.empty());
    check_unmarked();
    CHECK_FALSE(remove(tree).problem.empty());
    CHECK(read_file(tree / "inside/inner") == "six\n");
    (void)run(git::reset_tree(repository(), tree, branch_of(tree), "main", "for a test"));
    check_unmarked();
}

TEST_CASE_FIXTURE(Trapped, "the commit that is checked out in a submodule is read, and committed")
{
    make_repository("inside");
    git_in(tree, {"add", "inside"});
    const auto first = commit_work(tree);
    CHECK(contains(git({"ls-tree", first.commit}), id_in(tree / "inside", "HEAD")));
    git_in(tree / "inside", {"-c", "core.hooksPath=/dev/null", "commit", "-q", "--allow-empty",
                             "--no-verify", "-m", "more"});
    SUBCASE("on a branch") {}
    SUBCASE("by a packed ref")
    {
        git_in(tree / "inside", {"pack-refs", "--all"});
    }
    SUBCASE("detached")
    {
        git_in(tree / "inside", {"update-ref", "--no-deref", "HEAD", "HEAD"});
    }
    const auto head = id_in(tree / "inside", "HEAD");
    fs::remove(mark);
    const auto second = commit_work(tree);
    CHECK_MESSAGE(second.problem.empty(), second.problem);
    CHECK(contains(git({"ls-tree", second.commit}), head));
    CHECK(second.commit != first.commit);
    check_unmarked();
}

TEST_CASE_FIXTURE(Trapped, "programs that only a linked worktree's configuration names are not run")
{
    git({"config", "extensions.worktreeConfig", "true"});
    set_own_configuration("a");
    put(".gitattributes", "file filter=evil diff=evil merge=evil\nfolder/* filter=served\n");
    put("file", "two\n");
    check_armed(tree, {"status"});
    // Of the user's own configuration all runs as ever.
    configure("[filter \"loud\"]\n\tclean = tr a-z A-Z\n");
    put(".gitattributes", "file filter=evil diff=evil merge=evil\nnew filter=loud\n");
    put("new", "loud\n");

    const auto committed = commit_work(tree);
    CHECK_MESSAGE(committed.problem.empty(), committed.problem);
    CHECK(content(committed.commit, "file") == "two\n");
    CHECK(content(committed.commit, "new") == "LOUD\n");
    check_unmarked();
    put("file", "six\n");
    CHECK(run(git::list_trees(repository())).front().dirty);
    check_unmarked();
    CHECK_FALSE(run(git::state_of(repository(), tree)).empty());
    CHECK_FALSE(salvage(tree).commit.empty());
    check_unmarked();
    CHECK(run(git::reset_tree(repository(), tree, branch_of(tree), "main", "for a test"))
              .problem.empty());
    CHECK(read_file(tree / "file") == "one\n");
    check_unmarked();
    CHECK(remove(tree).problem.empty());
    check_unmarked();
}

TEST_CASE_FIXTURE(Trapped, "missing objects are not fetched from a remote that a program has set")
{
    git({"config", "extensions.worktreeConfig", "true"});
    append(entry("a") / "config.worktree",
           fmt::format("[remote \"evil\"]\n\tpromisor = true\n\turl = {}\n\tuploadpack = "
                       "\"touch '{}'; false\"\n",
                       root().string(), mark.string()));
    git_in(tree, {"update-index", "--add", "--cacheinfo",
                  "100644,1234567890123456789012345678901234567890,gone"});
    check_armed(tree, {"write-tree"});
    (void)commit_work(tree);
    (void)run(git::list_trees(repository()));
    (void)salvage(tree);
    check_unmarked();
}

TEST_CASE_FIXTURE(Trapped, "no hook, monitor, pager or editor of the repository is run")
{
    append(root() / ".git/config", traps());
    put("file", "two\n");
    check_armed(root(), {"status"});
    const auto other = run(git::add_tree(repository(), "b", "HEAD"));
    CHECK_MESSAGE(other.problem.empty(), other.problem);
    CHECK(commit_work(tree).problem.empty());
    write_file(other.path / "file", "three\n");
    CHECK(commit_work(other.path).problem.empty());
    const auto merged = run(git::merge(repository(), "workflow/a", "workflow/b", "merge"));
    CHECK_FALSE(merged.conflicts.empty());
    CHECK(run(git::open_conflict(repository(), "c", "workflow/a", "workflow/b", "m"))
              .problem.empty());
    CHECK(remove(tree).problem.empty());
    check_unmarked();
}

TEST_CASE_FIXTURE(Trapped, "a worktree is described with the git directory that it had")
{
    const auto context = git_context_of(tree);
    REQUIRE(context);
    std::string branch = "## workflow/a\n";
    std::string change = " M file\n";
    fs::create_directories(folder / "other");
    git_in(folder / "other", {"init", "-q", "-b", "evil", "."});
    append(folder / "other/.git/config", traps());
    put(".gitattributes", "* filter=evil\n");
    SUBCASE("another repository in its place")
    {
        fs::remove(tree / ".git");
        fs::rename(folder / "other/.git", tree / ".git");
    }
    SUBCASE("a pointer to another one")
    {
        put(".git", "gitdir: " + (folder / "other/.git").string() + "\n");
    }
    SUBCASE("another common directory")
    {
        write_file(entry("a") / "commondir", (folder / "other/.git").string() + "\n");
        branch = "## No commits yet on workflow/a\n";
        change = "AM file\n";
    }
    SUBCASE("a configuration of its own")
    {
        git({"config", "extensions.worktreeConfig", "true"});
        set_own_configuration("a");
    }
    SUBCASE("the repository's configuration")
    {
        append(root() / ".git/config", traps());
    }
    put("file", "two\n");
    check_armed(tree, {"status"});

    auto describing =
        tree_state(options.spawner, options.clock, std::make_shared<Interrupt>(), *context);
    const auto state = run(std::move(describing));
    CHECK_MESSAGE(state.starts_with(branch), state);
    CHECK_MESSAGE(contains(state, change), state);
    check_unmarked();
}

TEST_SUITE_END();
