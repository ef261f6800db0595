#include "git/worktrees.hpp"

#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// A project with files that git does not have.
struct Project : WorktreeFixture {
    Project()
    {
        write(".gitignore", ".env\nsecrets/\ncache/\n");
        write(".worktreeinclude", ".env\nsecrets/*\n!secrets/never\n");
        commit("ignore");
        write(".env", "TOKEN=1\n");
        write("secrets/a b/ü", "deep\n");
        write("secrets/never", "no\n");
        write("cache/x", "no\n");
    }

    NewTree make(const std::string& name = "a")
    {
        return run(git::add_tree(repository(), name, "HEAD"));
    }
};

}  // namespace

TEST_SUITE_BEGIN("worktree_include");

TEST_CASE_FIXTURE(Project, "a new worktree gets the files that .worktreeinclude names")
{
    fs::permissions(root() / ".env", fs::perms(0640));
    const auto made = make();
    CHECK(made.problem.empty());
    CHECK(made.warnings.empty());
    CHECK(read_file(made.path / ".env") == "TOKEN=1\n");
    CHECK(fs::status(made.path / ".env").permissions() == fs::perms(0640));
    CHECK(read_file(made.path / "secrets/a b/ü") == "deep\n");
    CHECK_FALSE(fs::exists(made.path / "secrets/never"));
    CHECK_FALSE(fs::exists(made.path / "cache"));
    CHECK(status(made.path).empty());
}

TEST_CASE_FIXTURE(Project, "without .worktreeinclude nothing is copied")
{
    fs::remove(root() / ".worktreeinclude");
    const auto made = make();
    CHECK_FALSE(fs::exists(made.path / ".env"));
}

TEST_CASE_FIXTURE(Project, "what is tracked comes from the base alone")
{
    write(".worktreeinclude", "*\n");
    write("file", "not committed\n");
    const auto made = make();
    CHECK(read_file(made.path / "file") == "one\n");
    CHECK(read_file(made.path / ".worktreeinclude").starts_with(".env"));
}

TEST_CASE_FIXTURE(Project, "what the base has already is not overwritten")
{
    git({"add", "-f", ".env"});
    const auto base = commit("with .env");
    git({"rm", "-q", "--cached", ".env"});
    commit("without");
    write(".env", "TOKEN=2\n");
    const auto tree = add("a", base);
    CHECK(read_file(tree / ".env") == "TOKEN=1\n");
    // So it is a file like any other there.
    write_file(tree / ".env", "changed\n");
    CHECK(content(commit_quietly(tree), ".env") == "changed\n");
}

TEST_CASE_FIXTURE(Project, "what was copied is never committed, ignored there or not")
{
    // The project's own .gitignore is newer than the base.
    git({"rm", "-q", "--cached", ".gitignore"});
    git({"commit", "-q", "-m", "no .gitignore"});
    const auto made = make();
    REQUIRE(made.warnings.size() == 1);
    CHECK(contains(made.warnings[0], "they are now listed in .git/info/exclude"));
    CHECK(status(made.path).empty());

    write_file(made.path / "new", "x");
    write_file(made.path / ".env", "TOKEN=2\n");
    SUBCASE("by us") {}
    SUBCASE("by us, where git does not ignore it")
    {
        fs::remove(root() / ".git/info/exclude");
    }
    SUBCASE("by us, staged by the agent")
    {
        git_in(made.path, {"add", "-f", ".env"});
    }
    SUBCASE("by the agent that adds all")
    {
        git_in(made.path, {"add", "-A"});
        git_in(made.path, {"commit", "-q", "-m", "all"});
    }
    const auto done = commit_work(made.path);
    CHECK(done.problem.empty());
    CHECK(files(done.commit) == ".worktreeinclude\nfile\nfolder/other\nnew");
    CHECK(read_file(made.path / ".env") == "TOKEN=2\n");
    CHECK(make("b").warnings.size() <= 1);
}

TEST_CASE_FIXTURE(Project, "a file that an agent commits against all that is at least named")
{
    const auto tree = add("a");
    git_in(tree, {"add", "-f", ".env"});
    git_in(tree, {"commit", "-q", "-m", "with .env"});
    const auto done = commit_work(tree);
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings[0], "'.env', copied by .worktreeinclude, is in a commit"));
}

TEST_CASE_FIXTURE(Project, "a file that a later commit has is a file like others")
{
    const auto tree = add("a");
    write(".env", "shared\n");
    git({"add", "-f", ".env"});
    commit("with .env");
    fs::remove(tree / ".env");
    git_in(tree, {"merge", "-q", "main"});
    write_file(tree / ".env", "changed\n");
    CHECK(content(commit_work(tree).commit, ".env") == "changed\n");
}

TEST_CASE_FIXTURE(Project, "a reset tree has them again")
{
    const auto tree = add("a");
    fs::remove(tree / ".env");
    CHECK(run(git::reset_tree(repository(), tree, "workflow/a", "HEAD", "")).problem.empty());
    CHECK(read_file(tree / ".env") == "TOKEN=1\n");
}

TEST_CASE_FIXTURE(Project, "links are copied only if they stay within the tree")
{
    write(".worktreeinclude", "secrets/\n.env\n");
    fs::create_symlink("../.env", root() / "secrets/inside");
    fs::create_symlink("../../outside", root() / "secrets/outside");
    fs::create_symlink("/etc/passwd", root() / "secrets/absolute");
    fs::create_symlink("missing", root() / "secrets/dangling");
    const auto made = make();
    CHECK(fs::read_symlink(made.path / "secrets/inside") == "../.env");
    CHECK(fs::is_symlink(made.path / "secrets/dangling"));
    CHECK_FALSE(fs::is_symlink(made.path / "secrets/outside"));
    CHECK_FALSE(fs::is_symlink(made.path / "secrets/absolute"));
    REQUIRE(made.warnings.size() == 2);
    CHECK(contains(made.warnings[0], "leads out of the tree"));
}

TEST_CASE_FIXTURE(Project, "nothing is written through a link that the base has in its place")
{
    fs::remove_all(root() / "secrets");
    fs::create_directories(folder / "outside");
    fs::create_symlink(folder / "outside", root() / "secrets");
    git({"add", "-f", "secrets"});
    const auto base = commit("link");
    git({"rm", "-q", "secrets"});
    commit("no link");
    write("secrets/a", "x");
    const auto made = run(git::add_tree(repository(), "a", base));
    CHECK(made.problem.empty());
    CHECK(made.warnings.size() == 1);
    CHECK(fs::is_empty(folder / "outside"));
}

TEST_CASE_FIXTURE(Project,
                  "other worktrees, control files, records and repositories are never copied")
{
    write(".worktreeinclude", "*\n");
    add("first");
    write_file(trees() / "loose/file", "x");
    write(".cursor-skill-command.txt", "x");
    write("folder/.cursor-skill-command.txt", "x");
    write(".tapps-agents/running/x", "x");
    git({"init", "-q", "inner"});
    write("inner/file", "x");
    const auto made = make();
    CHECK(made.problem.empty());
    CHECK(fs::exists(made.path / ".env"));
    CHECK_FALSE(fs::exists(made.path / ".tapps-agents"));
    CHECK_FALSE(fs::exists(made.path / ".cursor-skill-command.txt"));
    CHECK_FALSE(fs::exists(made.path / "folder/.cursor-skill-command.txt"));
    CHECK_FALSE(fs::exists(made.path / "inner"));
    bool said = false;
    for (const auto& warning : made.warnings)
        said |= contains(warning, "'inner/' of .worktreeinclude is not copied");
    CHECK(said);
}

TEST_CASE_FIXTURE(Project, "what is no file is named and not copied")
{
    REQUIRE(::mkfifo((root() / "secrets/fifo").c_str(), 0600) == 0);
    const auto made = make();
    CHECK_FALSE(fs::exists(made.path / "secrets/fifo"));
    for (const auto& warning : made.warnings)
        CHECK(contains(warning, "'secrets/fifo' of .worktreeinclude"));
}

TEST_CASE_FIXTURE(Project,
                  "beyond a number of files or bytes the rest is not copied, with a warning")
{
    const auto to = folder / "to";
    fs::create_directories(to);
    IncludeLimits limits;
    SUBCASE("files")
    {
        limits.files = 2;
    }
    SUBCASE("bytes")
    {
        limits.bytes = 10;
    }
    const Words paths{"cache/x", "secrets/never", "secrets/a b/ü", ".env"};
    const auto included = run(copy_included(root(), to, paths, limits));
    CHECK(included.paths == Words{"cache/x", "secrets/never"});
    REQUIRE(included.warnings.size() == 1);
    CHECK(contains(included.warnings[0], "'secrets/a b/ü' and all after it are not copied"));
}

TEST_CASE_FIXTURE(Project, "a large file is copied whole")
{
    std::string text(5 * 1024 * 1024 + 17, 'x');
    text[3'000'000] = 'y';
    write("secrets/large", text);
    const auto tree = add("a");
    CHECK(read_file(tree / "secrets/large") == text);
}

TEST_SUITE_END();
