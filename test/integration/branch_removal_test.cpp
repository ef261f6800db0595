#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// A branch `workflow/a` with a commit that `main` has not, and no worktree.
struct Left : WorktreeFixture {
    Left()
    {
        const auto tree = add("a");
        write_file(tree / "file", "of a\n");
        tip = commit_quietly(tree);
        REQUIRE(remove(tree).problem.empty());
    }
    RemovedBranch take(const std::string& branch = "workflow/a", BranchRemovalOptions how = {})
    {
        return run(git::remove_branch(repository(), branch, std::move(how)));
    }
    [[nodiscard]] bool is_there(const std::string& branch = "workflow/a") const
    {
        return try_git(root(), {"show-ref", "--verify", "-q", "refs/heads/" + branch}).code == 0;
    }
    /// It must stay, and say so.
    void stays(const std::string& why, BranchRemovalOptions how = {})
    {
        const auto before = git({"for-each-ref"});
        const auto removed = take("workflow/a", std::move(how));
        CHECK_MESSAGE(contains(removed.problem, why), removed.problem);
        CHECK(removed.commit == tip);
        CHECK(removed.held_by.empty());
        CHECK(git({"for-each-ref"}) == before);
    }

    std::string tip;
};

}  // namespace

TEST_SUITE_BEGIN("branch_removal");

TEST_CASE_FIXTURE(Left, "a branch is deleted when another one has its commits")
{
    git({"branch", "keeper", tip});
    auto removed = take();
    CHECK_MESSAGE(removed.problem.empty(), removed.problem);
    CHECK(removed.commit == tip);
    CHECK(removed.held_by == "keeper");
    CHECK_FALSE(is_there());
    CHECK(id("keeper") == tip);
    removed = take();
    CHECK(removed.commit.empty());
    CHECK(removed.problem.empty());
}

TEST_CASE_FIXTURE(Left, "a branch stays whose commits no other branch has")
{
    SUBCASE("nothing has them") {}
    SUBCASE("a tag has them")
    {
        git({"tag", "v1", tip});
    }
    SUBCASE("a branch of another repository has them")
    {
        git({"update-ref", "refs/remotes/origin/main", tip});
    }
    SUBCASE("another name of the same branch has them")
    {
        git({"symbolic-ref", "refs/heads/alias", "refs/heads/workflow/a"});
    }
    SUBCASE("what else has them lies below its name")
    {
        git({"branch", "older", tip + "^"});
    }
    stays("It has commits that are on no other branch.");
}

TEST_CASE_FIXTURE(Left, "of two branches at one commit one stays")
{
    git({"branch", "workflow/b", tip});
    BranchRemovalOptions how;
    how.dry_run = true;
    CHECK(take("workflow/a", how).held_by == "workflow/b");
    how.without_branches.insert("workflow/a");
    CHECK(contains(take("workflow/b", how).problem, "no other branch"));
    CHECK(is_there());
    CHECK(take("workflow/a").problem.empty());
    CHECK(contains(take("workflow/b").problem, "no other branch"));
    CHECK(id("workflow/b") == tip);
}

TEST_CASE_FIXTURE(Left, "where only branches of the user's count, others of workflows do not")
{
    git({"branch", "workflow/b", tip});
    BranchRemovalOptions how;
    how.by_users = true;
    stays("Its commits are on no branch outside workflow/.", how);
    git({"branch", "mine", tip});
    CHECK(take("workflow/a", how).held_by == "mine");
    CHECK_FALSE(is_there());
}

TEST_CASE_FIXTURE(Left, "a branch that is checked out is kept")
{
    git({"branch", "keeper", tip});
    const auto place = folder / "place";
    SUBCASE("checked out in a worktree")
    {
        git({"worktree", "add", "-q", place.string(), "workflow/a"});
    }
    SUBCASE("checked out in the project itself")
    {
        git({"checkout", "-q", "workflow/a"});
    }
    SUBCASE("checked out in a worktree whose folder is gone")
    {
        git({"worktree", "add", "-q", place.string(), "workflow/a"});
        fs::remove_all(place);
    }
    SUBCASE("being rebased")
    {
        write("file", "of main\n");
        commit("main");
        git({"worktree", "add", "-q", place.string(), "workflow/a"});
        CHECK(try_git(place, {"rebase", "-q", "main"}).code != 0);
    }
    stays("It is checked out in ");
}

TEST_CASE_FIXTURE(Left, "in a dry run worktrees that would go do not count")
{
    git({"branch", "keeper", tip});
    REQUIRE(run(git::add_tree(repository(), "a", "HEAD", true)).problem.empty());
    BranchRemovalOptions how;
    how.dry_run = true;
    stays("It is checked out in ", how);
    how.without_trees.insert("a");
    CHECK(take("workflow/a", how).problem.empty());
    CHECK(is_there());
}

TEST_CASE_FIXTURE(Left, "a branch stays whose reflog alone has a commit")
{
    const auto other =
        git({"commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "taken back by its agent"});
    git({"update-ref", "--create-reflog", "refs/heads/workflow/a", other});
    git({"update-ref", "refs/heads/workflow/a", tip});
    git({"branch", "keeper", tip});
    stays("The commit " + other + " is only in its reflog.");
    git({"tag", "kept", other});
    CHECK(take().problem.empty());
    CHECK_FALSE(is_there());
}

TEST_CASE_FIXTURE(Left, "a branch that autoexec did not create is not deleted")
{
    git({"branch", "keeper", tip});
    git({"branch", "mine", tip});
    git({"symbolic-ref", "refs/heads/workflow/alias", "refs/heads/mine"});
    const auto before = git({"for-each-ref"});
    CHECK(contains(take("mine").problem, "not created by autoexec"));
    CHECK(contains(take("workflow/alias").problem, "an alias of refs/heads/mine"));
    for (const auto* const name : {"workflow", "workflow/", "", "workflow/x", "../HEAD"})
        CHECK_MESSAGE(take(name).commit.empty(), name);
    CHECK(git({"for-each-ref"}) == before);
}

TEST_CASE_FIXTURE(Left, "the branches of workflows are listed")
{
    git({"branch", "workflow/b"});
    git({"branch", "workflows"});
    CHECK(run(git::list_branches(repository())) == Words{"workflow/a", "workflow/b"});
}

TEST_CASE_FIXTURE(Left, "a salvage is dropped if it is still that commit")
{
    const auto tree = add("b");
    write_file(tree / "file", "changed\n");
    REQUIRE(salvage(tree).problem.empty());
    const auto saved = run(git::list_salvages(repository())).at(0);
    auto other = saved;
    other.commit = tip;
    CHECK(contains(run(repository().drop_ref(other.ref, other.commit)), "cannot be dropped"));
    CHECK(run(git::list_salvages(repository())).size() == 1);
    CHECK(run(repository().drop_ref(saved.ref, saved.commit)).empty());
    CHECK(run(git::list_salvages(repository())).empty());
    CHECK(content(saved.commit, "file") == "changed\n");
}

TEST_SUITE_END();
