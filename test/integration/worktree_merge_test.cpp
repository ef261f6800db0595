#include "git/repository.hpp"

#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// Two branches, `ours` and `theirs`, with a commit each after `main`.
struct Sides : WorktreeFixture {
    std::string base = head();

    /// A commit with these files, on a branch that begins at `base`. Empty text: no such file.
    std::string make(const std::string& branch, const std::map<std::string, std::string>& files)
    {
        const auto tree = folder / ("make " + branch);
        git({"worktree", "add", "-q", "-b", branch, tree.string(), base});
        for (const auto& [path, text] : files)
            text.empty() ? void(fs::remove_all(tree / path)) : write_file(tree / path, text);
        git_in(tree, {"add", "-A"});
        git_in(tree, {"commit", "-q", "--allow-empty", "-m", branch});
        git({"worktree", "remove", "--force", tree.string()});
        return id(branch);
    }
    Merged merge() { return run(git::merge(repository(), "ours", "theirs", "Merge theirs")); }
    void conflict()
    {
        make("ours", {{"file", "ours\n"}});
        make("theirs", {{"file", "theirs\n"}, {"more", "more\n"}});
    }
    NewTree open_conflict()
    {
        return run(git::open_conflict(repository(), "c", "ours", "theirs", "The merge"));
    }
    Commit resolved() { return run(git::resolved_conflict(repository(), "c", "ours", "theirs")); }
};

}  // namespace

TEST_SUITE_BEGIN("worktree_merge");

TEST_CASE_FIXTURE(Sides, "changes that do not meet are merged without a checkout")
{
    const auto ours = make("ours", {{"a", "a\n"}, {"file", ""}});
    const auto theirs = make("theirs", {{"b", "b\n"}});
    const auto merged = merge();
    CHECK(merged.problem.empty());
    CHECK(merged.conflicts.empty());
    CHECK(id(merged.commit + "^1") == ours);
    CHECK(id(merged.commit + "^2") == theirs);
    CHECK(files(merged.commit) == "a\nb\nfolder/other");
    CHECK(git({"show", "-s", "--format=%s", merged.commit}) == "Merge theirs");
    CHECK(status(root()).empty());
    CHECK(id("ours") == ours);
    CHECK(git({"worktree", "list"}).find('\n') == std::string::npos);
}

TEST_CASE_FIXTURE(Sides, "a side that holds the other is the result")
{
    const auto later = make("later", {{"a", "a\n"}});
    CHECK(run(git::merge(repository(), base, later, "m")).commit == later);
    CHECK(run(git::merge(repository(), later, base, "m")).commit == later);
    CHECK(run(git::merge(repository(), later, later, "m")).commit == later);
}

TEST_CASE_FIXTURE(Sides, "conflicts are reported with path and kind, in git's words")
{
    write("deleted", "1\n2\n3\n4\n5\n6\n7\n8\n");
    write("renamed", "a\nb\nc\nd\ne\nf\ng\nh\n");
    git({"branch", "-f", "start", commit("more")});
    base = head();
    make("ours", {{"file", "ours\n"},
                  {"deleted", ""},
                  {"folder/new ü", "ours\n"},
                  {"renamed", ""},
                  {"ours-name", "a\nb\nc\nd\ne\nf\ng\nh\n"}});
    make("theirs", {{"file", "theirs\n"},
                    {"deleted", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"},
                    {"folder/new ü", "theirs\n"},
                    {"renamed", ""},
                    {"theirs-name", "a\nb\nc\nd\ne\nf\ng\nh\n"},
                    {"clean", "x\n"}});
    const auto merged = merge();
    CHECK(merged.commit.empty());
    CHECK(merged.problem.empty());
    std::map<std::string, std::string> kinds;
    for (const auto& conflict : merged.conflicts) kinds[conflict.path] = conflict.kind;
    CHECK(kinds.size() == 6);
    CHECK(kinds["file"] == "content");
    CHECK(kinds["deleted"] == "modify/delete");
    CHECK(kinds["folder/new ü"] == "add/add");
    CHECK(kinds["renamed"] == "rename/rename");
    CHECK(kinds["ours-name"] == "rename/rename");
    CHECK(kinds["theirs-name"] == "rename/rename");
}

TEST_CASE_FIXTURE(Sides, "a file against a folder of its name is a conflict")
{
    make("ours", {{"new", "file\n"}});
    make("theirs", {{"new/inner", "x\n"}});
    const auto merged = merge();
    REQUIRE_FALSE(merged.conflicts.empty());
    CHECK(merged.conflicts[0].kind == "file/directory");
}

TEST_CASE_FIXTURE(Sides, "the same merge twice is the same commit")
{
    make("ours", {{"a", "a\n"}});
    make("theirs", {{"b", "b\n"}});
    const auto once = merge().commit;
    CHECK(merge().commit == once);
}

TEST_CASE_FIXTURE(Sides, "attributes of our side count, not those of the user's checkout")
{
    write("folder/.gitattributes", "other merge=union\n");
    write("data", "1\n2\n3\n");
    commit("attributes");
    base = head();
    write(".gitattributes", "data merge=union\nfile merge=union\n");
    write("folder/.gitattributes", "\n");
    make("ours", {{"folder/other", "ours\n"}});
    make("theirs", {{"folder/other", "theirs\n"}});
    const auto merged = merge();
    REQUIRE_MESSAGE(merged.conflicts.empty(), merged.conflicts[0].path);
    CHECK(content(merged.commit, "folder/other") == "ours\ntheirs\n");
    CHECK(run(git::merge(repository(), make("x", {{"file", "x\n"}}), make("y", {{"file", "y\n"}}),
                         "m"))
              .conflicts.size() == 1);
}

TEST_CASE_FIXTURE(Sides, "histories with nothing in common are not merged")
{
    git({"checkout", "-q", "--orphan", "fresh"});
    commit("fresh");
    const auto merged = run(git::merge(repository(), "main", "fresh", "m"));
    CHECK(merged.commit.empty());
    CHECK(contains(merged.problem, "no common commit"));
    CHECK(
        contains(run(git::merge(repository(), "main", "nothing", "m")).problem, "is not a commit"));
}

TEST_CASE_FIXTURE(Sides, "a merge that is cancelled leaves no tree that a person has to look at")
{
    conflict();
    interrupt_at("--no-ff");
    const auto made = open_conflict();
    CHECK_MESSAGE(contains(made.problem, "the operation was cancelled"), made.problem);
    CHECK_FALSE(fs::exists(trees() / "c"));
    forget_interrupt();
    CHECK(open_conflict().problem.empty());
}

TEST_CASE_FIXTURE(Sides, "a conflict is kept in a worktree of its own until it is resolved")
{
    conflict();
    const auto made = open_conflict();
    REQUIRE_MESSAGE(made.problem.empty(), made.problem);
    CHECK(made.branch == "workflow/c");
    CHECK(contains(read_file(made.path / "file"), "<<<<<<< "));
    CHECK(contains(read_file(made.path / "file"), "ours\n"));
    CHECK(contains(read_file(made.path / "file"), "theirs\n"));
    CHECK(read_file(made.path / "more") == "more\n");
    CHECK(contains(resolved().problem, "has conflicts:"));
    CHECK(contains(resolved().problem, ": file. Resolve them"));

    write_file(made.path / "file", "both\n");
    git_in(made.path, {"add", "file"});
    CHECK(contains(resolved().problem, "is not committed: git commit"));
    git_in(made.path, {"commit", "-q", "--no-edit"});
    const auto commit = resolved();
    CHECK(commit.problem.empty());
    CHECK(commit.id == id("workflow/c"));
    CHECK(git({"show", "-s", "--format=%s", commit.id}) == "The merge");

    write_file(made.path / "later", "x");
    CHECK(contains(resolved().problem, "uncommitted changes"));
    CHECK(contains(resolved().problem, ": later."));
    CHECK(status(root()).empty());
}

TEST_CASE_FIXTURE(Sides, "an open conflict is not changed")
{
    conflict();
    const auto made = open_conflict();
    write_file(made.path / "file", "half resolved\n");
    SUBCASE("half resolved") {}
    SUBCASE("resolved, not committed")
    {
        git_in(made.path, {"add", "file"});
    }
    SUBCASE("committed")
    {
        git_in(made.path, {"commit", "-q", "-a", "--no-edit"});
    }
    const auto again = open_conflict();
    CHECK_MESSAGE(again.problem.empty(), again.problem);
    CHECK(again.path == made.path);
    CHECK(read_file(made.path / "file") == "half resolved\n");
}

TEST_CASE_FIXTURE(Sides, "a worktree with other work does not count as a conflict")
{
    conflict();
    const auto tree = add("c", "ours");
    write_file(tree / "work", "x");
    CHECK(contains(open_conflict().problem, "contains work other than this merge"));
    CHECK(read_file(tree / "work") == "x");
}

TEST_CASE_FIXTURE(Sides, "a merge that was taken back, or another one, does not count as resolved")
{
    conflict();
    CHECK(contains(resolved().problem, "is missing"));
    const auto made = open_conflict();
    git_in(made.path, {"merge", "--abort"});
    CHECK(contains(resolved().problem, "does not contain both sides"));
}

TEST_CASE_FIXTURE(Sides, "a commit is merged into a branch that is not checked out")
{
    const auto ours = make("ours", {{"a", "a\n"}});
    const auto theirs = make("theirs", {{"b", "b\n"}});
    const auto merged = run(git::merge_into(repository(), "ours", "theirs", "Into ours"));
    CHECK(merged.problem.empty());
    CHECK(id("ours") == merged.commit);
    CHECK(id("ours^1") == ours);
    CHECK(run(git::merge_into(repository(), "ours", "theirs", "m")).commit == merged.commit);
    CHECK(contains(run(git::merge_into(repository(), "nothing", "theirs", "m")).problem,
                   "The branch 'nothing' does not exist"));
}

TEST_CASE_FIXTURE(Sides,
                  "a checkout of that branch follows, with the changes that are not in the way")
{
    const auto theirs = make("theirs", {{"file", "theirs\n"}});
    write("folder/other", "my own change\n");
    write("untracked", "mine\n");
    SUBCASE("where it can be moved forward")
    {
        CHECK(run(git::merge_into(repository(), "main", "theirs", "m")).commit == theirs);
        CHECK(head() == theirs);
    }
    SUBCASE("where it must be merged")
    {
        git({"commit", "-q", "--allow-empty", "-m", "more"});
        const auto merged = run(git::merge_into(repository(), "main", "theirs", "m"));
        CHECK_MESSAGE(merged.problem.empty(), merged.problem);
        CHECK(head() == merged.commit);
    }
    CHECK(read_file(root() / "file") == "theirs\n");
    CHECK(status(root()) == " M folder/other\n?? untracked");
}

TEST_CASE_FIXTURE(Sides, "changes in the way stop it, are named, and nothing moves")
{
    make("theirs", {{"file", "theirs\n"}, {"new", "theirs\n"}});
    std::string name = "file";
    SUBCASE("a changed file") {}
    SUBCASE("an untracked one")
    {
        name = "new";
    }
    SUBCASE("in spite of a configured stash")
    {
        configure("[merge]\nautoStash = true");
    }
    write(name, "mine\n");
    const auto before = status(root());
    const auto merged = run(git::merge_into(repository(), "main", "theirs", "m"));
    CHECK(merged.commit.empty());
    CHECK(contains(merged.problem, "'main' is checked out in"));
    CHECK(contains(merged.problem, name));
    CHECK(head() == base);
    CHECK(read_file(root() / name) == "mine\n");
    CHECK(status(root()) == before);
}

TEST_CASE_FIXTURE(Sides, "a branch that is being rebased stays")
{
    conflict();
    git({"checkout", "-q", "ours"});
    CHECK(try_git(root(), {"rebase", "theirs"}).code != 0);
    const auto before = id("ours");
    const auto other = make("other", {{"x", "x\n"}});
    const auto merged = run(git::merge_into(repository(), "ours", "other", "m"));
    CHECK(contains(merged.problem, "is being rebased"));
    CHECK(id("ours") == before);
}

TEST_CASE_FIXTURE(Sides, "conflicts with the branch are reported, and nothing is changed")
{
    conflict();
    const auto before = id("ours");
    const auto merged = run(git::merge_into(repository(), "ours", "theirs", "m"));
    CHECK(merged.commit.empty());
    CHECK(merged.conflicts == std::vector<Conflict>{{"file", "content"}});
    CHECK(id("ours") == before);
}

TEST_SUITE_END();
