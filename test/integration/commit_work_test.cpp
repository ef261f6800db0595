#include "git/repository.hpp"

#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

/// A worktree `a` on `workflow/a`, and an agent that works in it.
struct Agent : WorktreeFixture {
    fs::path tree = add("a");

    std::string git_here(const Words& words) const { return git_in(tree, words); }
    void put(const fs::path& path, std::string_view text) const { write_file(tree / path, text); }
    [[nodiscard]] std::string tip() const { return id("workflow/a"); }

    /// A commit of the agent's own.
    std::string commit_here(const std::string& message) const
    {
        git_here({"add", "-A"});
        git_here({"commit", "-q", "--allow-empty", "-m", message});
        return id_in(tree, "HEAD");
    }

    /// Of the newest salvage.
    std::string salvaged(const std::string& path)
    {
        const auto all = run(git::list_salvages(repository()));
        REQUIRE_FALSE(all.empty());
        return content(all.front().ref, path);
    }
    [[nodiscard]] bool is_reachable(const std::string& commit) const
    {
        return !git({"for-each-ref", "--contains", commit}).empty();
    }
    [[nodiscard]] bool contains_commit(const std::string& later, const std::string& earlier) const
    {
        return try_git(root(), {"merge-base", "--is-ancestor", earlier, later}).code == 0;
    }

    /// Two commits that change the same line: one on `other`, one here.
    void diverge() const
    {
        git_here({"checkout", "-q", "-b", "other"});
        put("file", "theirs\n");
        commit_here("theirs");
        git_here({"checkout", "-q", "workflow/a"});
        put("file", "ours\n");
        commit_here("ours");
    }
};

}  // namespace

TEST_SUITE_BEGIN("commit_work");

TEST_CASE_FIXTURE(Agent, "all that an agent changed is committed, and the tree is clean then")
{
    const auto before = head();
    put("file", "changed\n");
    put("new/deep/file", "new\n");
    put("executable", "#!/bin/sh\n");
    fs::permissions(tree / "executable", fs::perms(0755));
    fs::create_symlink("file", tree / "link");
    fs::remove_all(tree / "folder");
    put("folder", "a file now\n");
    git_here({"add", "new"});

    const auto done = commit_work(tree, "The subject\n\nThe body.");
    CHECK(done.problem.empty());
    CHECK(done.warnings.empty());
    CHECK(done.changed);
    CHECK(done.commit == tip());
    CHECK(done.commit == id_in(tree, "HEAD"));
    CHECK(id(done.commit + "~1") == before);
    CHECK(files(done.commit) == "executable\nfile\nfolder\nlink\nnew/deep/file");
    CHECK(contains(git({"ls-tree", done.commit, "executable"}), "100755"));
    CHECK(git({"show", "-s", "--format=%B", done.commit}) == "The subject\n\nThe body.");
    CHECK(git({"show", "-s", "--format=%an %ce", done.commit}) == "A Person person@example.org");
    CHECK(status(tree).empty());
    CHECK(head() == before);
    CHECK(status(root()).empty());
    CHECK(git({"for-each-ref", "refs/autoexec"}).empty());
    CHECK_FALSE(fs::exists(entry("a") / "autoexec" / "paths"));
}

TEST_CASE_FIXTURE(Agent, "where nothing was changed the commit that is there is the result")
{
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK_FALSE(done.changed);
    CHECK(done.commit == head());
}

TEST_CASE_FIXTURE(Agent, "what is committed beside what was declared is named")
{
    put("made/one", "1\n");
    put("report.md", "2\n");
    CommitRules rules;
    rules.declared = {"made", "report.md"};
    CHECK(commit_by(tree, rules).warnings.empty());

    put("made/two", "2\n");
    put("made-up", "x\n");
    fs::remove(tree / "file");
    const auto done = commit_by(tree, rules);
    CHECK(done.problem.empty());
    CHECK(files(done.commit) == "folder/other\nmade-up\nmade/one\nmade/two\nreport.md");
    REQUIRE(done.warnings.size() == 1);
    CHECK(done.warnings.front() ==
          "Also committed, although not in 'creates': file, made-up. 'commit: "
          "creates' leaves "
          "them out.");

    for (int k = 0; k < 30; ++k) put("many/" + std::to_string(k), "x");
    const auto many = commit_by(tree, rules);
    REQUIRE(many.warnings.size() == 1);
    CHECK(contains(many.warnings.front(), " and 20 more."));
}

TEST_CASE_FIXTURE(Agent, "undeclared changes are not committed if only declared ones are to be")
{
    put("made/one", "1\n");
    put("folder/other", "changed\n");
    put("left", "left\n");
    fs::remove(tree / "file");
    git_here({"add", "left"});
    CommitRules rules;
    rules.declared = {"made"};
    rules.only_declared = true;
    const auto done = commit_by(tree, rules);
    CHECK(done.problem.empty());
    CHECK(done.changed);
    CHECK(files(done.commit) == "file\nfolder/other\nmade/one");
    CHECK(content(done.commit, "folder/other") == "other\n");
    CHECK(status(tree) == " D file\n M folder/other\n?? left");
    CHECK(read_file(tree / "left") == "left\n");

    // Nothing of it is lost when the tree goes.
    const auto saved = remove(tree);
    CHECK_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(salvaged("left") == "left\n");
    CHECK(salvaged("folder/other") == "changed\n");
}

TEST_CASE_FIXTURE(Agent, "where nothing declared has changed nothing is committed")
{
    put("left", "left\n");
    CommitRules rules;
    rules.only_declared = true;
    const auto done = commit_by(tree, rules);
    CHECK(done.problem.empty());
    CHECK_FALSE(done.changed);
    CHECK(done.commit == head());
    CHECK(status(tree) == "?? left");
}

namespace {

struct LargeFiles : Agent {
    LargeFiles()
    {
        options.max_file_bytes = 1000;
        forget_repository();
    }

    /// Without content: reading it would take for ever.
    void put_huge(const fs::path& path) const
    {
        put(path, "");
        fs::resize_file(tree / path, 300ULL << 30U);
    }
};

}  // namespace

TEST_CASE_FIXTURE(LargeFiles, "a file that is too large is not read, but reported and kept")
{
    put("small", "x\n");
    put_huge("build/huge");
    put("file", std::string(2000, 'x'));
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK(files(done.commit) == "file\nfolder/other\nsmall");
    CHECK(content(done.commit, "file") == "one\n");
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings.front(), "'build/huge' (300.0 GiB)"));
    CHECK(contains(done.warnings.front(), "'file' (2.0 KiB)"));
    CHECK(contains(done.warnings.front(), "worktrees.max_file_bytes (1000 bytes)"));
    CHECK(fs::file_size(tree / "build/huge") == 300ULL << 30U);
    CHECK(read_file(tree / "file") == std::string(2000, 'x'));
}

TEST_CASE_FIXTURE(LargeFiles, "a large file that the agent has staged is not committed either")
{
    put("staged", std::string(2000, 'x'));
    git_here({"add", "staged"});
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK_FALSE(done.changed);
    CHECK(files(done.commit) == "file\nfolder/other");
    CHECK(status(tree) == "?? staged");
    const auto saves = run(git::list_salvages(repository()));
    REQUIRE(saves.size() == 1);
    CHECK(content(saves.front().ref + "^2", "staged").size() == 2000);
}

TEST_CASE_FIXTURE(LargeFiles, "an unchanged large file in git is not a problem")
{
    put("large", std::string(2000, 'x'));
    commit_here("large");
    put("small", "x\n");
    const auto done = commit_work(tree);
    CHECK(done.warnings.empty());
    CHECK(files(done.commit) == "file\nfolder/other\nlarge\nsmall");
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(LargeFiles, "with a declared file that is too large nothing is committed")
{
    put("small", "x\n");
    put_huge("made/huge");
    CommitRules rules;
    rules.declared = {"made"};
    const auto done = commit_by(tree, rules);
    CHECK(contains(done.problem, "'made/huge' (300.0 GiB) is declared as an artifact"));
    CHECK(done.commit.empty());
    CHECK(tip() == head());
    CHECK(status(tree) == "?? made/\n?? small");
}

TEST_CASE_FIXTURE(LargeFiles, "a tree with a file that is too large to be saved is not removed")
{
    put_huge("huge");
    for (const auto& problem :
         {remove(tree).problem, run(git::removal_blocker(repository(), tree, {}))}) {
        CHECK(contains(problem, "'huge' (300.0 GiB) cannot be saved"));
        CHECK(contains(problem, tree.string()));
    }
    CHECK(fs::exists(tree / "huge"));
    fs::resize_file(tree / "huge", 10);
    CHECK(remove(tree).problem.empty());
    CHECK(salvaged("huge").size() == 10);
}

TEST_CASE_FIXTURE(LargeFiles, "a reset leaves large files where they are")
{
    put_huge("huge");
    put("small", "x\n");
    const auto saved = run(git::reset_tree(repository(), tree, "workflow/a", head(), "for a test"));
    CHECK_MESSAGE(saved.problem.empty(), saved.problem);
    CHECK(salvaged("small") == "x\n");
    CHECK(fs::exists(tree / "huge"));
    CHECK_FALSE(fs::exists(tree / "small"));
}

TEST_CASE_FIXTURE(LargeFiles, "without a limit all files are committed")
{
    options.max_file_bytes = 0;
    forget_repository();
    put("large", std::string(2000, 'x'));
    CHECK(content(commit_quietly(tree), "large").size() == 2000);
}

TEST_CASE_FIXTURE(Agent, "names that mean something to git or a shell are files like others")
{
    const std::array names{"-n",    "--all", ":(top)x",    "*", "a\nb", " ",
                           "\"q\"", "ünï ",  "$(touch x)", ":", "!x",   "back\\slash"};
    for (const auto* const name : names) put(name, name);
    const auto work = commit_quietly(tree);
    for (const auto* const name : names) CHECK(content(work, name) == name);
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent, "files of the executor and what git ignores are not committed")
{
    put(".gitignore", "*.log\n");
    put("build.log", "x");
    put(".cursor-skill-command.txt", "x");
    put(".cursor-skill-status.json", "x");
    put(".tapps-agents/running/x", "x");
    CHECK(files(commit_quietly(tree)) == ".gitignore\nfile\nfolder/other");
    CHECK(fs::exists(tree / "build.log"));
}

TEST_CASE_FIXTURE(Agent, "control files that the repository tracks stay as they are there")
{
    const Words paths = {".cursor-skill-command.txt", ".cursor-skill-status.json",
                         ".cursor/.cursor-skill-status.json"};
    for (const auto& path : paths) {
        put(path, "tracked\n");
        git_here({"add", "-f", path});
    }
    git_here({"commit", "-q", "-m", "control files"});
    const auto before = tip();
    // As an executor and an agent leave them.
    fs::remove(tree / paths[0]);
    put(paths[1], R"({"status": "completed"})");
    fs::remove(tree / paths[2]);
    SUBCASE("with work beside them")
    {
        put("new", "work\n");
        const auto work = commit_quietly(tree);
        CHECK(content(work, "new") == "work\n");
        for (const auto& path : paths) CHECK(content(work, path) == "tracked\n");
    }
    SUBCASE("and are no work alone")
    {
        CHECK(commit_quietly(tree) == before);
    }
}

TEST_CASE_FIXTURE(Agent, "commits of an agent itself count")
{
    put("new", "x");
    const auto own = commit_here("own");
    SUBCASE("with nothing left")
    {
        const auto done = commit_work(tree);
        CHECK_FALSE(done.changed);
        CHECK(done.commit == own);
    }
    SUBCASE("with something left")
    {
        put("file", "more\n");
        const auto work = commit_quietly(tree);
        CHECK(id(work + "~1") == own);
        CHECK(content(work, "file") == "more\n");
    }
    SUBCASE("even if it then takes its commits back")
    {
        git_here({"reset", "-q", "--hard", "HEAD~1"});
        CHECK(commit_quietly(tree) == head());
    }
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent, "commits beside the branch are brought to it, and HEAD comes back")
{
    SUBCASE("on a detached HEAD")
    {
        git_here({"checkout", "-q", "--detach"});
    }
    SUBCASE("on another branch")
    {
        git_here({"checkout", "-q", "-b", "feature"});
    }
    SUBCASE("on a branch that was deleted meanwhile")
    {
        git_here({"checkout", "-q", "-b", "feature"});
        git_here({"branch", "-q", "-D", "workflow/a"});
    }
    put("new", "x");
    const auto own = commit_here("own");
    SUBCASE("with nothing left") {}
    SUBCASE("with something left")
    {
        put("file", "more\n");
    }
    const auto work = commit_quietly(tree);
    CHECK(contains_commit(work, own));
    CHECK(tip() == work);
    CHECK(git_here({"symbolic-ref", "HEAD"}) == "refs/heads/workflow/a");
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent, "who only looked at an earlier state has not taken the later one back")
{
    put("new", "x");
    const auto own = commit_here("own");
    git_here({"checkout", "-q", "HEAD~1"});
    CHECK(commit_quietly(tree) == own);
    CHECK(tip() == own);
}

TEST_CASE_FIXTURE(Agent, "what the branch pointed to is saved when the work began elsewhere")
{
    put("new", "x");
    const auto own = commit_here("own");
    git_here({"checkout", "-q", "HEAD~1"});
    put("file", "changed\n");
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK(done.warnings.size() == 1);
    CHECK(content(done.commit, "file") == "changed\n");
    CHECK_FALSE(contains_commit(done.commit, own));
    CHECK(is_reachable(own));
    CHECK(git_here({"symbolic-ref", "HEAD"}) == "refs/heads/workflow/a");
}

TEST_CASE_FIXTURE(Agent,
                  "a branch that is checked out elsewhere meanwhile is not checked out twice")
{
    git_here({"checkout", "-q", "--detach"});
    git({"worktree", "add", "-q", (folder / "elsewhere").string(), "workflow/a"});
    put("new", "x");
    const auto work = commit_quietly(tree);
    CHECK(tip() == work);
    CHECK(try_git(tree, {"symbolic-ref", "-q", "HEAD"}).code != 0);
}

TEST_CASE_FIXTURE(Agent, "a branch without a commit continues from the executor's commit")
{
    git_here({"checkout", "-q", "--orphan", "fresh"});
    put("new", "x");
    const auto work = commit_quietly(tree);
    CHECK(id(work + "~1") == head());
    CHECK(files(work) == "file\nfolder/other\nnew");
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent, "a merge that is resolved but not committed becomes a merge")
{
    diverge();
    CHECK(try_git(tree, {"merge", "other"}).code == 1);
    put("file", "both\n");
    git_here({"add", "file"});
    const auto done = commit_work(tree);
    CHECK(id(done.commit + "^2") == id("other"));
    CHECK(content(done.commit, "file") == "both\n");
    CHECK(status(tree).empty());
    CHECK_FALSE(fs::exists(entry("a") / "MERGE_HEAD"));
}

TEST_CASE_FIXTURE(Agent, "a merge with conflicts is committed unchanged, and its sides are saved")
{
    diverge();
    const auto theirs = id("other");
    CHECK(try_git(tree, {"merge", "other"}).code == 1);
    git_here({"branch", "-q", "-D", "other"});
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK(done.warnings.size() == 3);
    CHECK(contains(content(done.commit, "file"), "<<<<<<<"));
    CHECK(try_git(root(), {"rev-parse", "--verify", "-q", done.commit + "^2"}).code != 0);
    CHECK(is_reachable(theirs));
    CHECK(status(tree).empty());
    CHECK_FALSE(fs::exists(entry("a") / "MERGE_HEAD"));
}

TEST_CASE_FIXTURE(Agent, "conflicts whose sides are in no commit are saved")
{
    diverge();
    put("file", "only in the tree\n");
    CHECK(try_git(tree, {"checkout", "-q", "-m", "other"}).code <= 1);
    CHECK(contains(git_here({"ls-files", "-u"}), "file"));
    const auto side = git_here({"rev-parse", "-q", "--verify", ":3:file"});
    CHECK(commit_work(tree).problem.empty());
    CHECK(contains(git({"rev-list", "--objects", "--all"}), side));
}

TEST_CASE_FIXTURE(Agent,
                  "a rebase with conflicts is ended where it stands, what it began from saved")
{
    diverge();
    put("later", "x");
    const auto old = commit_here("later");
    CHECK(try_git(tree, {"rebase", "other"}).code != 0);
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK_FALSE(done.warnings.empty());
    CHECK(contains_commit(done.commit, id("other")));
    CHECK(is_reachable(old));
    CHECK_FALSE(fs::exists(entry("a") / "rebase-merge"));
    CHECK(status(tree).empty());
    CHECK(git_here({"symbolic-ref", "HEAD"}) == "refs/heads/workflow/a");
}

TEST_CASE_FIXTURE(Agent, "other operations that stopped midway are ended where they stand")
{
    diverge();
    SUBCASE("a cherry-pick")
    {
        CHECK(try_git(tree, {"cherry-pick", "other"}).code != 0);
    }
    SUBCASE("a revert")
    {
        put("file", "once more\n");
        commit_here("once more");
        CHECK(try_git(tree, {"revert", "--no-edit", "HEAD~1"}).code != 0);
    }
    SUBCASE("a series of patches")
    {
        git_here({"format-patch", "-q", "-1", "-o", (folder / "patches").string(), "other"});
        const auto patch = (folder / "patches/0001-theirs.patch").string();
        CHECK(try_git(tree, {"am", "-q", "-3", patch}).code != 0);
    }
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    REQUIRE_FALSE(done.warnings.empty());
    CHECK(contains(done.warnings.back(), "was ended in its current state"));
    CHECK(status(tree).empty());
    CHECK_FALSE(contains(git_here({"status"}), "in progress"));
}

TEST_CASE_FIXTURE(Agent, "what is staged and changed again is saved beside the commit")
{
    put("file", "staged\n");
    put("new", "staged new\n");
    git_here({"add", "."});
    put("file", "final\n");
    fs::remove(tree / "new");
    const auto done = commit_work(tree);
    CHECK(done.problem.empty());
    CHECK(done.warnings.size() == 1);
    CHECK(content(done.commit, "file") == "final\n");
    CHECK(files(done.commit) == "file\nfolder/other");
    const auto saved = run(git::list_salvages(repository())).front();
    CHECK(content(saved.commit + "^2", "file") == "staged\n");
    CHECK(content(saved.commit + "^2", "new") == "staged new\n");
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent, "what is staged as it stands, or a deletion, needs no saving")
{
    put("new", "x");
    git_here({"add", "new"});
    git_here({"rm", "-q", "--cached", "file"});
    git_here({"add", "-N", "new"});
    put("more", "y");
    git_here({"add", "-N", "more"});
    CHECK(files(commit_quietly(tree)) == "file\nfolder/other\nmore\nnew");
}

TEST_CASE_FIXTURE(Agent, "a change of the same size within the same second is seen")
{
    for (int i = 0; i < 20; ++i) {
        const auto text = std::to_string(i % 10) + "\n";
        put("file", text);
        CHECK(content(commit_quietly(tree), "file") == text);
    }
}

TEST_CASE_FIXTURE(Agent, "changes that git was configured to ignore in the index are committed")
{
    SUBCASE("assume-unchanged")
    {
        git_here({"update-index", "--assume-unchanged", "file"});
    }
    SUBCASE("skip-worktree")
    {
        git_here({"update-index", "--skip-worktree", "file"});
    }
    put("file", "hidden\n");
    CHECK(status(tree).empty());
    CHECK(content(commit_quietly(tree), "file") == "hidden\n");
}

TEST_CASE_FIXTURE(Agent,
                  "an index that is locked, broken or gone does not keep work from its commit")
{
    put("new", "x");
    std::size_t warnings = 0;
    SUBCASE("locked by a git that was killed")
    {
        write_file(entry("a") / "index.lock", "");
        warnings = 1;
    }
    SUBCASE("broken")
    {
        write_file(entry("a") / "index", "DIRC garbage");
    }
    SUBCASE("empty")
    {
        write_file(entry("a") / "index", "");
    }
    SUBCASE("gone")
    {
        fs::remove(entry("a") / "index");
    }
    SUBCASE("a FIFO")
    {
        fs::remove(entry("a") / "index");
        REQUIRE(::mkfifo((entry("a") / "index").c_str(), 0600) == 0);
    }
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    CHECK(done.warnings.size() == warnings);
    CHECK(files(done.commit) == "file\nfolder/other\nnew");
    if (warnings == 0) CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent, "an index that refers to what is not there is left aside")
{
    put("new", "x");
    git_here({"update-index", "--add", "--info-only", "new"});
    put("new", "y");
    CHECK(content(commit_quietly(tree), "new") == "y");
}

TEST_CASE_FIXTURE(Agent, "whatever became of the tree's .git, no other repository is touched")
{
    put("new", "x");
    const auto users = head();
    SUBCASE("gone")
    {
        fs::remove(tree / ".git");
    }
    SUBCASE("led to the user's own")
    {
        write_file(tree / ".git", "gitdir: " + (root() / ".git").string() + "\n");
    }
    SUBCASE("garbage")
    {
        write_file(tree / ".git", "garbage");
    }
    SUBCASE("a link")
    {
        fs::remove(tree / ".git");
        fs::create_symlink(root() / ".git", tree / ".git");
    }
    CHECK(files(commit_quietly(tree)) == "file\nfolder/other\nnew");
    CHECK(head() == users);
    CHECK(status(root()).empty());
    CHECK(git_here({"rev-parse", "--abbrev-ref", "HEAD"}) == "workflow/a");
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(Agent,
                  "a worktree that became a repository of its own is committed with a warning")
{
    put("new", "x");
    fs::remove(tree / ".git");
    git_here({"init", "-q", "."});
    git_here({"add", "."});
    git_here({"commit", "-q", "-m", "own"});
    const auto done = commit_work(tree);
    CHECK(files(done.commit) == "file\nfolder/other\nnew");
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings[0], "separate repository"));
}

TEST_CASE_FIXTURE(Agent, "a repository within the tree that the agent has linked is named, too")
{
    git_here({"init", "-q", "inner"});
    put("inner/file", "x");
    git_in(tree / "inner", {"add", "."});
    git_in(tree / "inner", {"commit", "-q", "-m", "inner"});
    git_here({"-c", "advice.addEmbeddedRepo=false", "add", "inner"});
    git_here({"commit", "-q", "-m", "work"});
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    CHECK(std::any_of(done.warnings.begin(), done.warnings.end(), [](const auto& warning) {
        return contains(warning, "'inner' is a separate repository");
    }));
}

TEST_CASE_FIXTURE(Agent, "a repository within the worktree is left out with a warning")
{
    put("new", "x");
    git_here({"init", "-q", "inner repo"});
    put("inner repo/file", "x");
    SUBCASE("without a commit") {}
    SUBCASE("with one")
    {
        git_in(tree / "inner repo", {"add", "."});
        git_in(tree / "inner repo", {"commit", "-q", "-m", "inner"});
    }
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    CHECK(files(done.commit) == "file\nfolder/other\nnew");
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings[0], "'inner repo' is a separate repository"));
}

TEST_CASE_FIXTURE(Agent, "anything but a regular file does not block")
{
    put("new", "x");
    REQUIRE(::mkfifo((tree / "fifo").c_str(), 0600) == 0);
    CHECK(files(commit_quietly(tree)) == "file\nfolder/other\nnew");
    fs::remove(tree / "file");
    REQUIRE(::mkfifo((tree / "file").c_str(), 0600) == 0);
    CHECK(contains(commit_work(tree).problem, "file: can only add regular files"));
}

TEST_CASE_FIXTURE(Agent,
                  "files outside the part that is checked out are committed when they are there")
{
    git_here({"sparse-checkout", "set", "folder"});
    CHECK_FALSE(fs::exists(tree / "kept-out/file"));
    write("kept-out/file", "x\n");
    write("kept-out/second", "x\n");
    commit("two");
    git_here({"merge", "-q", "main"});
    SUBCASE("with the index as it was") {}
    SUBCASE("with a broken one")
    {
        write_file(entry("a") / "index", "garbage");
    }
    put("kept-out/new", "new\n");
    put("kept-out/file", "changed\n");
    put("folder/new", "new\n");
    fs::remove(tree / "folder/other");
    const auto work = commit_quietly(tree);
    CHECK(files(work) == "file\nfolder/new\nkept-out/file\nkept-out/new\nkept-out/second");
    CHECK(content(work, "kept-out/file") == "changed\n");
    CHECK(status(tree) == "");
}

TEST_CASE_FIXTURE(Agent,
                  "a failed rebuild of the index is a warning with the command that repairs it")
{
    git_here({"sparse-checkout", "set", "folder"});
    write_file(entry("a") / "index", "garbage");
    put("folder/new", "new\n");
    fail_at("--mixed");
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    CHECK(files(done.commit) == "file\nfolder/new\nfolder/other");
    REQUIRE(done.warnings.size() == 1);
    CHECK(contains(done.warnings[0], "cannot be rebuilt"));
    CHECK(contains(done.warnings[0], "git -C '" + tree.string() + "' reset --mixed"));
}

TEST_CASE_FIXTURE(Agent, "what a user has configured for commits stops none")
{
    forget_repository();
    configure("[commit]\ngpgSign = true\n[gpg]\nprogram = false\n[user]\nsigningKey = none");
    configure("[core]\neditor = false\nautocrlf = input\nsafecrlf = true\nfsmonitor = false");
    configure("[gc]\nauto = 1\n[status]\nshowUntrackedFiles = no\n[merge]\nff = only");
    environment.set("GIT_EDITOR", "false");
    put("new", "line\r\n");
    const auto work = commit_quietly(tree);
    CHECK(files(work) == "file\nfolder/other\nnew");
    CHECK_FALSE(contains(git({"cat-file", "commit", work}), "gpgsig"));
    // With a limit of one loose object, any automatic clean-up would have packed them.
    CHECK_FALSE(fs::exists(root() / ".git/objects/info/packs"));
    CHECK(contains(git({"count-objects", "-v"}), "packs: 0"));
}

TEST_CASE_FIXTURE(Agent, "a missing identity is filled in, and reported once")
{
    for (const auto* const role : {"AUTHOR", "COMMITTER"})
        for (const auto* const part : {"_NAME", "_EMAIL"})
            environment.unset(std::string("GIT_") + role + part);
    configure("[user]\nuseConfigOnly = true");
    forget_repository();
    put("new", "x");
    const auto first = commit_work(tree);
    CHECK_MESSAGE(first.problem.empty(), first.problem);
    REQUIRE(first.warnings.size() == 1);
    CHECK(contains(first.warnings[0], "git config user.name"));
    CHECK(git({"show", "-s", "--format=%an <%ae> %cn", first.commit}) ==
          "autoexec <autoexec@localhost> autoexec");
    put("new", "y");
    CHECK(commit_work(tree).warnings.empty());
}

TEST_CASE_FIXTURE(Agent, "only a worktree of the repository is committed")
{
    const auto try_at = [&](const fs::path& place) {
        return run(git::commit_work(repository(), place, "workflow/a", "m")).problem;
    };
    CHECK(contains(try_at(root()), "is not a worktree of this repository"));
    CHECK(contains(try_at(folder.path()), "is not a worktree of this repository"));
    CHECK(contains(try_at(tree / "folder"), "is not a worktree of this repository"));
    fs::remove_all(tree);
    CHECK(contains(try_at(tree), "is missing"));
}

TEST_SUITE_END();
