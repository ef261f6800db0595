#include "git/repository.hpp"

#include "handoff/claims.hpp"
#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// A worktree `a` with work that is nowhere else.
struct Work : WorktreeFixture {
    fs::path tree = add("a");

    Work()
    {
        put(".gitignore", "*.log\n");
        put("file", "changed\n");
        put("untracked ü", "untracked\n");
        put("staged", "staged\n");
        put("build.log", "ignored\n");
        git_here({"add", "staged"});
        fs::remove(tree / "folder/other");
    }
    std::string git_here(const Words& words) const { return git_in(tree, words); }
    void put(const fs::path& path, std::string_view text) const { write_file(tree / path, text); }
    Salvage reset(const std::string& commit = "main")
    {
        return run(git::reset_tree(repository(), tree, "workflow/a", commit, "for a test"));
    }
    [[nodiscard]] bool is_reachable(const std::string& commit) const
    {
        return !git({"for-each-ref", "--contains", commit}).empty();
    }

    /// A submodule `sub` in the tree, from a repository beside the project.
    void add_submodule() const
    {
        const auto source = folder / "source";
        fs::create_directories(source);
        git_in(source, {"init", "-q", "-b", "main", "."});
        write_file(source / "inner", "x");
        git_in(source, {"add", "."});
        git_in(source, {"commit", "-q", "-m", "inner"});
        git_here({"submodule", "--quiet", "add", source.string(), "sub module"});
        git_here({"commit", "-q", "-m", "submodule"});
    }
};

}  // namespace

TEST_SUITE_BEGIN("worktree_salvage");

TEST_CASE_FIXTURE(Work, "a salvage holds changed, staged and untracked files, and changes nothing")
{
    const auto before = status(tree);
    const auto saved = salvage(tree);
    CHECK(saved.problem.empty());
    CHECK(saved.ref.starts_with("refs/autoexec/salvage/a/2"));
    CHECK(id(saved.ref) == saved.commit);
    CHECK(files(saved.ref) == ".gitignore\nfile\nstaged\n\"untracked \\303\\274\"");
    CHECK(content(saved.ref, "file") == "changed\n");
    CHECK(id(saved.ref + "^1") == head());
    CHECK(content(saved.ref + "^2", "staged") == "staged\n");
    CHECK(content(saved.ref + "^2", "file") == "one\n");
    CHECK(git({"show", "-s", "--format=%s", saved.ref}) == "Salvage of a");
    CHECK(contains(git({"show", "-s", "--format=%b", saved.ref}), "for a test"));
    CHECK(contains(git({"show", "-s", "--format=%b", saved.ref}), tree.string()));
    CHECK(status(tree) == before);
    CHECK(git({"log", "-1", "--format=%H", "workflow/a"}) == head());
}

TEST_CASE_FIXTURE(Work, "ignored files are saved only on request")
{
    const auto saved = salvage(tree, true);
    CHECK(content(saved.ref, "build.log") == "ignored\n");
}

TEST_CASE_FIXTURE(Work, "where there is nothing to lose there is no salvage")
{
    commit_quietly(tree);
    const auto saved = salvage(tree);
    CHECK(saved.problem.empty());
    CHECK(saved.ref.empty());
    git_here({"checkout", "-q", "--detach"});
    CHECK(salvage(tree).ref.empty());
    CHECK(run(git::list_salvages(repository())).empty());
}

TEST_CASE_FIXTURE(Work, "commits that no branch has are saved")
{
    git_here({"checkout", "-q", "--detach"});
    git_here({"add", "-A"});
    git_here({"commit", "-q", "-m", "detached"});
    const auto own = id_in(tree, "HEAD");
    const auto saved = salvage(tree);
    CHECK(id(saved.ref + "^1") == own);
    CHECK(is_reachable(own));
    // Once is enough.
    CHECK(salvage(tree).ref.empty());
}

TEST_CASE_FIXTURE(Work, "what cannot be read cannot be saved")
{
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can become somebody else");
        return;
    }
    put("closed/file", "x");
    git_in(folder.path(), {"config", "--global", "safe.directory", "*"});
    for (const auto& at : fs::recursive_directory_iterator(folder.path()))
        REQUIRE(::lchown(at.path().c_str(), 65534, 65534) == 0);
    REQUIRE(::chown(folder.path().c_str(), 65534, 65534) == 0);
    fs::permissions(tree / "closed", fs::perms::none);
    REQUIRE(::seteuid(65534) == 0);
    const auto saved = salvage(tree);
    const auto removed = remove(tree);
    REQUIRE(::seteuid(0) == 0);
    CHECK(contains(saved.problem, "closed"));
    CHECK(contains(removed.problem, "closed"));
    CHECK(fs::exists(tree / "closed/file"));
}

TEST_CASE_FIXTURE(Work, "salvages are listed, the newest first, with their reasons")
{
    const auto first = salvage(tree);
    put("file", "later\n");
    const auto second =
        run(git::salvage(repository(), tree, SalvageOptions{false, "Two\n\nparagraphs."}));
    const auto all = run(git::list_salvages(repository()));
    REQUIRE(all.size() == 2);
    CHECK(all[0].ref == second.ref);
    CHECK(all[0].reason == "Two\n\nparagraphs.");
    CHECK(all[1].ref == first.ref);
    CHECK(all[1].commit == first.commit);
    CHECK(all[1].tree == "a");
    CHECK(all[1].reason == "for a test");
    CHECK(all[0].time > all[1].time);
    CHECK(std::chrono::system_clock::now() - all[1].time < std::chrono::hours(1));
}

TEST_CASE_FIXTURE(Work, "a salvage is restored into a new worktree, staged and unstaged as it was")
{
    const auto before = status(tree);
    const auto saved = remove(tree);
    REQUIRE_MESSAGE(saved.problem.empty(), saved.problem);
    commit("meanwhile");
    const auto made = run(git::restore(repository(), saved.ref, "b"));
    REQUIRE_MESSAGE(made.problem.empty(), made.problem);
    CHECK(made.branch == "workflow/b");
    CHECK(status(made.path) == before);
    CHECK(read_file(made.path / "file") == "changed\n");
    CHECK(read_file(made.path / "untracked ü") == "untracked\n");
    CHECK_FALSE(fs::exists(made.path / "folder/other"));
    CHECK(id_in(made.path, "HEAD") == id(saved.ref + "^1"));
    // And is saved again when that one goes.
    CHECK(content(remove(made.path).ref, "staged") == "staged\n");
}

TEST_CASE_FIXTURE(Work, "of a restoration that is cancelled nothing stays, and its name is free")
{
    const auto saved = remove(tree);
    REQUIRE_MESSAGE(saved.problem.empty(), saved.problem);
    interrupt_at("read-tree");
    const auto made = run(git::restore(repository(), saved.ref, "b"));
    CHECK_MESSAGE(contains(made.problem, "the operation was cancelled"), made.problem);
    CHECK_FALSE(fs::exists(trees() / "b"));
    CHECK(git({"branch", "--list", "workflow/b"}).empty());
    forget_interrupt();
    CHECK(run(git::restore(repository(), saved.ref, "b")).problem.empty());
}

TEST_CASE_FIXTURE(Work, "what is no salvage is not restored")
{
    salvage(tree);
    for (const auto* const ref : {"", "HEAD", "refs/heads/main", "refs/autoexec/salvage/a",
                                  "refs/autoexec/salvage/", "refs/autoexec/salvage/x/1"})
        CHECK_MESSAGE(contains(run(git::restore(repository(), ref, "b")).problem, "does not exist"),
                      ref);
    CHECK_FALSE(fs::exists(trees() / "b"));
}

TEST_CASE_FIXTURE(Work, "a reset tree is what the commit is, and what was there is saved")
{
    write("file", "two\n");
    commit("two");
    const auto saved = reset();
    REQUIRE_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(content(saved.ref, "untracked ü") == "untracked\n");
    CHECK(read_file(tree / "file") == "two\n");
    CHECK(read_file(tree / "build.log") == "ignored\n");
    CHECK_FALSE(fs::exists(tree / "untracked ü"));
    CHECK(id("workflow/a") == head());
    CHECK(git_here({"symbolic-ref", "HEAD"}) == "refs/heads/workflow/a");
    fs::remove(tree / "build.log");
    CHECK(status(tree).empty());
    CHECK_FALSE(fs::exists(tree / "folder/new"));
    CHECK(reset().ref.empty());
}

TEST_CASE_FIXTURE(Work, "a reset takes nothing away that is not saved")
{
    SUBCASE("what was ignored stays, though nothing says any more that it is")
    {
        CHECK(reset().problem.empty());
        CHECK_FALSE(fs::exists(tree / ".gitignore"));
        CHECK(read_file(tree / "build.log") == "ignored\n");
    }
    SUBCASE("what is ignored is not overwritten")
    {
        SUBCASE("by a file")
        {
            write("build.log", "tracked\n");
        }
        SUBCASE("by a folder")
        {
            write("build.log/file", "tracked\n");
        }
        commit("log");
        const auto saved = reset();
        CHECK(contains(saved.problem, "build.log"));
        CHECK(read_file(tree / "build.log") == "ignored\n");
        CHECK(id("workflow/a") != head());
    }
}

TEST_CASE_FIXTURE(Work, "commits that a reset takes from the branch are saved")
{
    git_here({"add", "-A"});
    git_here({"commit", "-q", "-m", "own"});
    const auto own = id_in(tree, "HEAD");
    SUBCASE("of the branch that is checked out") {}
    SUBCASE("of the branch, with another one checked out")
    {
        git_here({"checkout", "-q", "main", "--detach"});
    }
    CHECK(reset().problem.empty());
    CHECK(id("workflow/a") == head());
    CHECK(is_reachable(own));
}

TEST_CASE_FIXTURE(Work, "a reset ends what is unfinished, and is stopped by no index")
{
    git_here({"add", "-A"});
    git_here({"commit", "-q", "-m", "own"});
    git_here({"checkout", "-q", "-b", "other", "main"});
    fs::remove(tree / "build.log");
    put("file", "theirs\n");
    git_here({"commit", "-q", "-a", "-m", "theirs"});
    SUBCASE("a merge")
    {
        CHECK(try_git(tree, {"merge", "workflow/a"}).code != 0);
    }
    SUBCASE("a rebase")
    {
        CHECK(try_git(tree, {"rebase", "workflow/a"}).code != 0);
    }
    SUBCASE("a locked index")
    {
        write_file(entry("a") / "index.lock", "");
    }
    SUBCASE("a broken index")
    {
        write_file(entry("a") / "index", "garbage");
    }
    SUBCASE("a file that git was told to leave alone")
    {
        git_here({"update-index", "--skip-worktree", "file"});
        put("file", "hidden\n");
    }
    const auto saved = reset();
    CHECK_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(read_file(tree / "file") == "one\n");
    CHECK(git_here({"symbolic-ref", "HEAD"}) == "refs/heads/workflow/a");
    CHECK(contains(git_here({"status"}), "working tree clean"));
    CHECK_FALSE(contains(git_here({"status"}), "rebas"));
}

TEST_CASE_FIXTURE(Work, "a clean submodule does not stop a reset")
{
    add_submodule();
    put("more", "x");
    CHECK(reset("workflow/a").problem.empty());
    CHECK(read_file(tree / "sub module/inner") == "x");
    const auto saved = reset();
    CHECK_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(id("workflow/a") == head());
}

TEST_CASE_FIXTURE(Work, "work in a submodule is named where a tree is committed")
{
    add_submodule();
    put("sub module/inner", "changed");
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings[0], "The submodule 'sub module' in "));
}

TEST_CASE_FIXTURE(Work, "a reset is refused where it would touch what cannot be saved")
{
    std::string expected;
    SUBCASE("a repository within the tree")
    {
        git_here({"init", "-q", "inner"});
        expected = "'inner' in ";
    }
    SUBCASE("a submodule with changes")
    {
        add_submodule();
        put("sub module/inner", "changed");
        expected = "The submodule 'sub module' in ";
    }
    SUBCASE("a branch that is checked out elsewhere")
    {
        git_here({"checkout", "-q", "--detach"});
        git({"worktree", "add", "-q", (folder / "elsewhere").string(), "workflow/a"});
        expected = "is checked out in";
    }
    SUBCASE("a tree that is a repository of its own")
    {
        fs::remove(tree / ".git");
        git_here({"init", "-q", "."});
        expected = "has become a separate repository";
    }
    SUBCASE("not a worktree of ours")
    {
        CHECK(contains(run(git::reset_tree(repository(), root(), "main", "HEAD", "")).problem,
                       "not a worktree"));
        CHECK(contains(reset("nothing").problem, "is not a commit"));
        return;
    }
    const auto saved = reset();
    CHECK_MESSAGE(contains(saved.problem, expected), saved.problem);
    CHECK(saved.ref.empty());
    CHECK(read_file(tree / "untracked ü") == "untracked\n");
    CHECK(run(git::list_salvages(repository())).empty());
}

TEST_CASE_FIXTURE(Work, "of a removed worktree the branch is kept and the work is saved")
{
    const auto saved = remove(tree);
    REQUIRE_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(content(saved.ref, "untracked ü") == "untracked\n");
    CHECK(try_git(root(), {"cat-file", "-e", saved.ref + ":build.log"}).code != 0);
    CHECK(fs::is_empty(trees()));
    CHECK_FALSE(fs::exists(entry("a")));
    CHECK(id("workflow/a") == head());
    CHECK(status(root()).empty());
    CHECK(run(git::list_trees(repository())).empty());
}

TEST_CASE_FIXTURE(Work, "what only the tree's own records knew is saved when it is removed")
{
    git_here({"checkout", "-q", "--detach"});
    git_here({"commit", "-q", "--allow-empty", "-m", "lost otherwise"});
    const auto lost = id_in(tree, "HEAD");
    git_here({"checkout", "-q", "workflow/a"});
    git_here(
        {"update-ref", "refs/worktree/mine", git_here({"commit-tree", "HEAD^{tree}", "-m", "x"})});
    const auto mine = id_in(tree, "refs/worktree/mine");
    CHECK(remove(tree).problem.empty());
    CHECK(is_reachable(lost));
    CHECK(is_reachable(mine));
}

TEST_CASE_FIXTURE(Work, "earlier forms of a commit that the branch's reflog has need no saving")
{
    git_here({"add", "-A"});
    git_here({"commit", "-q", "-m", "own"});
    git_here({"commit", "-q", "--amend", "-m", "better"});
    CHECK(remove(tree).ref.empty());
}

TEST_CASE_FIXTURE(Work, "a removal is refused where something could be lost")
{
    std::string expected;
    int held = -1;
    std::optional<handoff::Claim> claim;
    SUBCASE("an executor works there")
    {
        held = ::open(tree.c_str(), O_RDONLY | O_DIRECTORY);
        REQUIRE(::flock(held, LOCK_EX) == 0);
        expected = "An executor is using";
    }
    SUBCASE("an agent works there, though no executor waits for it")
    {
        error_code ec;
        const files::UniqueFd folder_fd(::open(tree.c_str(), O_RDONLY | O_DIRECTORY));
        const auto claims = handoff::open_claims_folder(folder_fd.get(), tree, ec);
        claim = handoff::Claim::create(claims.get(), "attempt-1", "{}", ec);
        REQUIRE(claim);
        expected = "An agent is still working in";
    }
    SUBCASE("a repository within the tree")
    {
        git_here({"init", "-q", "inner"});
        expected = "'inner' in ";
    }
    SUBCASE("a submodule with an untracked file")
    {
        add_submodule();
        put("sub module/new", "x");
        expected = "The submodule 'sub module' in ";
    }
    SUBCASE("a submodule with a commit that was not pushed")
    {
        add_submodule();
        put("sub module/new", "x");
        git_in(tree / "sub module", {"add", "."});
        git_in(tree / "sub module", {"commit", "-q", "-m", "not pushed"});
        git_here({"commit", "-q", "-a", "-m", "use it"});
        expected = "has unpushed commits";
    }
    SUBCASE("a repository that was added as if it were a submodule")
    {
        git_here({"init", "-q", "inner"});
        put("inner/x", "x");
        git_in(tree / "inner", {"add", "."});
        git_in(tree / "inner", {"commit", "-q", "-m", "x"});
        git_here({"add", "inner"});
        git_here({"commit", "-q", "-m", "inner"});
        expected = "has unpushed commits";
    }
    SUBCASE("the user has locked it")
    {
        git({"worktree", "lock", tree.string()});
        expected = "is locked. Unlock it: git worktree unlock";
    }
    SUBCASE("the tree is a repository of its own")
    {
        fs::remove(tree / ".git");
        git_here({"init", "-q", "."});
        expected = "has become a separate repository";
    }
    const auto told = run(git::removal_blocker(repository(), tree, SalvageOptions()));
    const auto removed = remove(tree);
    CHECK_MESSAGE(contains(removed.problem, expected), removed.problem);
    CHECK(told == removed.problem);
    CHECK(removed.ref.empty());
    CHECK(read_file(tree / "untracked ü") == "untracked\n");
    CHECK(fs::exists(entry("a")));
    CHECK(run(git::list_salvages(repository())).empty());
    if (held >= 0) ::close(held);
}

TEST_CASE_FIXTURE(Work, "a tree with a clean submodule that is pushed is removed")
{
    add_submodule();
    const auto removed = remove(tree);
    CHECK_MESSAGE(removed.problem.empty(), removed.problem);
    CHECK_FALSE(fs::exists(tree));
    CHECK_FALSE(fs::exists(entry("a")));
}

TEST_CASE_FIXTURE(Work, "a repository that git ignores counts only where ignored files do")
{
    put(".gitignore", "*.log\ninner/\n");
    git_here({"init", "-q", "inner"});
    SalvageOptions how;
    SUBCASE("with them")
    {
        how.include_ignored = true;
        CHECK(contains(run(git::removal_blocker(repository(), tree, how)), "'inner' in "));
        CHECK(contains(remove(tree, true).problem, "'inner' in "));
    }
    SUBCASE("without")
    {
        CHECK(run(git::removal_blocker(repository(), tree, how)).empty());
        CHECK(remove(tree).problem.empty());
    }
}

TEST_CASE_FIXTURE(Work, "only worktrees in the folder of worktrees are removed")
{
    const auto own = folder / "own";
    git({"worktree", "add", "-q", own.string()});
    write_file(own / "work", "x");
    for (const auto& place : {own, root(), tree / "folder", folder.path(), trees(), trees() / "x"})
        CHECK_FALSE(remove(place).problem.empty());
    CHECK(contains(remove(own).problem, "autoexec does not remove it"));
    fs::create_directory_symlink(own, trees() / "link");
    CHECK_FALSE(remove(trees() / "link").problem.empty());
    CHECK(read_file(own / "work") == "x");
    CHECK(run(git::list_salvages(repository())).empty());
}

TEST_CASE_FIXTURE(Work, "of a worktree whose folder is missing the staged work is saved")
{
    fs::remove_all(tree);
    CHECK(run(git::removal_blocker(repository(), tree, SalvageOptions())).empty());
    const auto saved = remove(tree);
    CHECK(saved.problem.empty());
    CHECK(content(saved.ref, "staged") == "staged\n");
    CHECK_FALSE(fs::exists(entry("a")));
}

TEST_CASE_FIXTURE(Work,
                  "a worktree whose .git is missing or leads elsewhere is removed, and no other")
{
    SUBCASE("gone")
    {
        fs::remove(tree / ".git");
    }
    SUBCASE("elsewhere")
    {
        write_file(tree / ".git", "gitdir: " + (root() / ".git").string() + "\n");
    }
    const auto saved = remove(tree);
    CHECK_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(content(saved.ref, "file") == "changed\n");
    CHECK_FALSE(fs::exists(tree));
    CHECK(read_file(root() / "file") == "one\n");
}

TEST_CASE_FIXTURE(Work,
                  "folders that cannot be written to go, too, and what an earlier removal left")
{
    put("cache.log/deep/file", "x");
    for (const auto* const part : {"cache.log/deep", "cache.log"})
        fs::permissions(tree / part, fs::perms(0555));
    write_file(trees() / ".removed-earlier/file", "x");
    fs::permissions(trees() / ".removed-earlier", fs::perms(0555));
    const bool root_here = ::geteuid() == 0;
    if (root_here) {
        git_in(folder.path(), {"config", "--global", "safe.directory", "*"});
        for (const auto& at : fs::recursive_directory_iterator(folder.path()))
            REQUIRE(::lchown(at.path().c_str(), 65534, 65534) == 0);
        REQUIRE(::chown(folder.path().c_str(), 65534, 65534) == 0);
        REQUIRE(::seteuid(65534) == 0);
    }
    const auto saved = remove(tree);
    if (root_here) REQUIRE(::seteuid(0) == 0);
    CHECK_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(fs::is_empty(trees()));
}

TEST_CASE_FIXTURE(Work, "asking why a worktree is kept changes nothing in it, and does not lock it")
{
    const auto before = status(tree);
    CHECK(run(git::removal_blocker(repository(), tree, SalvageOptions())).empty());
    CHECK(status(tree) == before);
    CHECK(run(git::list_salvages(repository())).empty());
    CHECK_FALSE(run(git::list_trees(repository())).front().busy);
}

TEST_CASE_FIXTURE(Work, "what killed executors left in the repository is removed after a day")
{
    const auto left = root() / ".git/autoexec";
    for (const auto* const name : {"attributes-old", "attributes-new", "other"})
        write_file(left / name / "folder/.gitattributes", "x");
    const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(25);
    for (const auto* const name : {"attributes-old", "other"})
        fs::last_write_time(left / name, long_ago);
    git::sweep(repository());
    CHECK_FALSE(fs::exists(left / "attributes-old"));
    CHECK(fs::exists(left / "attributes-new/folder/.gitattributes"));
    CHECK(fs::exists(left / "other"));
}

TEST_CASE_FIXTURE(Work, "many trees are removed at once")
{
    for (int i = 0; i < 12; ++i) write_file(add("b" + std::to_string(i)) / "work", "x");
    auto& repo = repository();
    int saved = 0;
    for (int i = 0; i < 12; ++i)
        start(git::remove_tree(repo, trees() / ("b" + std::to_string(i)), SalvageOptions()),
              [&](Salvage s) {
                  CHECK_MESSAGE(s.problem.empty(), s.problem);
                  saved += s.ref.empty() ? 0 : 1;
              });
    finish();
    CHECK(saved == 12);
    CHECK(run(git::list_salvages(repo)).size() == 12);
    CHECK(run(git::list_trees(repo)).size() == 1);
}

TEST_CASE_FIXTURE(Work, "a tree that was never filled has nothing to lose")
{
    git({"worktree", "add", "-q", "--no-checkout", "-b", "workflow/b", (trees() / "b").string()});
    const auto saved = remove(trees() / "b");
    CHECK(saved.problem.empty());
    CHECK(saved.ref.empty());
    CHECK_FALSE(fs::exists(trees() / "b"));
}

TEST_SUITE_END();
