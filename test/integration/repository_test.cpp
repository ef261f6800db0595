#include "git/repository.hpp"

#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <set>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;
using namespace std::chrono_literals;

namespace {

/// A folder in which only the given programs are found.
void only_programs(WorktreeFixture& f, const Words& names)
{
    const auto bin = f.folder / "bin";
    fs::create_directories(bin);
    for (const auto& name : names) fs::create_symlink("/usr/bin/" + name, bin / name);
    f.environment.set("PATH", bin.string());
}

}  // namespace

TEST_SUITE_BEGIN("repository");

TEST_CASE_FIXTURE(WorktreeFixture, "a repository is opened from its top, a subfolder or a worktree")
{
    SUBCASE("its top") {}
    SUBCASE("a subfolder")
    {
        options.project_root = root() / "folder";
    }
    SUBCASE("a linked worktree")
    {
        git({"worktree", "add", "-q", (folder / "linked").string()});
        options.project_root = folder / "linked";
    }
    SUBCASE("a link to it")
    {
        fs::create_directory_symlink(root(), folder / "link");
        options.project_root = folder / "link";
    }
    SUBCASE("with a detached HEAD")
    {
        git({"checkout", "-q", "--detach"});
    }
    CHECK(repository().common == root() / ".git");
    const auto tree = add("a");
    CHECK(tree == fs::canonical(options.project_root) / ".tapps-agents/worktrees/a");
    CHECK(read_file(tree / "file") == "one\n");
    CHECK(status(options.project_root).empty());
    CHECK(commit_quietly(tree) == head());
}

TEST_CASE_FIXTURE(WorktreeFixture, "a folder where workflows cannot have worktrees is reported")
{
    options.project_root = folder / "place";
    fs::create_directories(options.project_root);
    std::string expected;
    SUBCASE("no repository")
    {
        expected = "is not in a git repository. Create one: git init";
    }
    SUBCASE("a bare one")
    {
        git_in(options.project_root, {"init", "-q", "--bare", "."});
        expected = "is bare";
    }
    SUBCASE("one without a commit")
    {
        git_in(options.project_root, {"init", "-q", "."});
        expected = "has no commit yet";
    }
    SUBCASE("the inside of a git directory")
    {
        options.project_root = root() / ".git";
        expected = "cannot be used";
    }
    SUBCASE("no git")
    {
        only_programs(*this, {});
        expected = "git cannot be run: ";
    }
    const auto opened = open();
    CHECK_FALSE(opened.repository);
    CHECK_MESSAGE(contains(opened.problem, expected), opened.problem);
}

TEST_CASE_FIXTURE(WorktreeFixture, "variables of a surrounding git lead nowhere else")
{
    environment.set("GIT_DIR", (folder / "nowhere").string());
    environment.set("GIT_INDEX_FILE", (folder / "nowhere").string());
    const auto opened = open();
    CHECK_MESSAGE(opened.repository, opened.problem);
    environment.unset("GIT_DIR");
    environment.unset("GIT_INDEX_FILE");
}

TEST_CASE_FIXTURE(WorktreeFixture, "a revision is resolved as git does, and nothing else is")
{
    git({"tag", "v1"});
    const auto second = commit("two");
    CHECK(run(repository().resolve("HEAD")).id == second);
    CHECK(run(repository().resolve("main~1")).id == id("v1"));
    for (const auto* const none : {"", "nothing", "--all", "HEAD:file", "main..v1"}) {
        const auto found = run(repository().resolve(none));
        CHECK(found.id.empty());
        CHECK(contains(found.problem, "is not a commit of this repository"));
    }
}

TEST_CASE_FIXTURE(WorktreeFixture, "a commit holds files and folders by their exact path")
{
    write("od:d (*)", "x");
    commit("odd");
    for (const auto* const path :
         {"file", "folder", "folder/", "folder/other", "./file", "folder/../file", "od:d (*)", "."})
        CHECK_MESSAGE(run(repository().holds("HEAD", path)), path);
    for (const auto* const path : {"f*", "other", "../a projéct/file", "/file", "", ":(top)file"})
        CHECK_FALSE_MESSAGE(run(repository().holds("HEAD", path)), path);
    CHECK_FALSE(run(repository().holds("nothing", "file")));
}

TEST_CASE_FIXTURE(WorktreeFixture, "a branch moves only from where it is expected")
{
    const auto first = head();
    const auto second = commit("two");
    CHECK(run(repository().move_branch("b", first, "")).empty());
    CHECK(
        contains(run(repository().move_branch("b", second, "")), "The branch 'b' already exists"));
    CHECK(contains(run(repository().move_branch("b", second, second)), "moved by another process"));
    CHECK(id("b") == first);
    CHECK(run(repository().move_branch("b", second, first)).empty());
    CHECK(id("b") == second);
}

TEST_CASE_FIXTURE(WorktreeFixture, "a branch that an agent made a name for another one moves alone")
{
    const auto first = head();
    git({"symbolic-ref", "refs/heads/workflow/a", "refs/heads/main"});
    commit("two");
    const auto second = head();
    CHECK(run(repository().move_branch("workflow/a", first, second)).empty());
    CHECK(id("workflow/a") == first);
    CHECK(id("main") == second);
}

TEST_CASE_FIXTURE(WorktreeFixture, "a branch called workflow gets a sentence of its own")
{
    git({"branch", "workflow"});
    const std::string expected =
        "The repository has a branch named 'workflow', so no branch 'workflow/…' can be created. "
        "Rename it: git branch -m workflow NAME";
    CHECK(run(repository().move_branch("workflow/a", head(), "")) == expected);
    const auto made = run(git::add_tree(repository(), "a", "HEAD"));
    CHECK(made.problem == expected);
    CHECK_FALSE(fs::exists(made.path));
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "a new worktree has the files of its base and a branch of its own")
{
    const auto first = head();
    write("file", "two\n");
    commit("two");
    configure("[branch]\nautoSetupMerge = always");
    const auto made = run(git::add_tree(repository(), "a", first));
    REQUIRE_MESSAGE(made.problem.empty(), made.problem);
    CHECK(made.path == trees() / "a");
    CHECK(made.branch == "workflow/a");
    CHECK(made.warnings.empty());
    CHECK(read_file(made.path / "file") == "one\n");
    CHECK(id_in(made.path, "HEAD") == first);
    CHECK(git_in(made.path, {"symbolic-ref", "HEAD"}) == "refs/heads/workflow/a");
    CHECK(status(made.path).empty());
    // The user's own checkout has seen nothing of it.
    CHECK(status(root()).empty());
    CHECK(git({"symbolic-ref", "HEAD"}) == "refs/heads/main");
    CHECK_FALSE(contains(read_file(root() / ".git/config"), "workflow/a"));
}

TEST_CASE_FIXTURE(WorktreeFixture, "what is no name for a worktree makes none")
{
    for (const auto* const name :
         {"", ".", "..", "../a", "a/b", "-a", ".a", "a.lock", "a b", "ä"}) {
        const auto made = run(git::add_tree(repository(), name, "HEAD"));
        CHECK_MESSAGE(contains(made.problem, "is not a valid worktree name"), name);
    }
    CHECK(git({"for-each-ref", "refs/heads/workflow"}).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture, "an existing worktree is used only on request")
{
    const auto tree = add("a");
    write_file(tree / "file", "changed\n");
    const auto refused = run(git::add_tree(repository(), "a", "HEAD"));
    CHECK(contains(refused.problem, "already exists"));

    SUBCASE("as it is")
    {
        const auto made = run(git::add_tree(repository(), "a", "HEAD", true));
        CHECK(made.problem.empty());
        CHECK(made.path == tree);
        CHECK(read_file(tree / "file") == "changed\n");
    }
    SUBCASE("with a HEAD that an agent detached")
    {
        git_in(tree, {"checkout", "-q", "--detach"});
        CHECK(run(git::add_tree(repository(), "a", "HEAD", true)).problem.empty());
    }
    SUBCASE("but not with another branch")
    {
        git_in(tree, {"checkout", "-q", "-b", "other"});
        CHECK(contains(run(git::add_tree(repository(), "a", "HEAD", true)).problem, "'other'"));
    }
    SUBCASE("with a .git that is gone")
    {
        fs::remove(tree / ".git");
        CHECK(run(git::add_tree(repository(), "a", "HEAD", true)).problem.empty());
        CHECK(status(tree) == " M file");
    }
}

TEST_CASE_FIXTURE(WorktreeFixture, "a branch without a worktree is used only on request")
{
    write("file", "two\n");
    git({"branch", "workflow/a", commit("two")});
    CHECK(contains(run(git::add_tree(repository(), "a", "HEAD~1")).problem, "already exists"));
    const auto made = run(git::add_tree(repository(), "a", "HEAD~1", true));
    CHECK_MESSAGE(made.problem.empty(), made.problem);
    CHECK(read_file(made.path / "file") == "two\n");
}

TEST_CASE_FIXTURE(WorktreeFixture, "a worktree whose making was interrupted is completed")
{
    repository();
    git({"worktree", "add", "-q", "--no-checkout", "-b", "workflow/a", (trees() / "a").string()});
    write_file(entry("a") / "index.lock", "");
    write_file(trees() / "a" / "file", "half");
    const auto made = run(git::add_tree(repository(), "a", "HEAD", true));
    CHECK_MESSAGE(made.problem.empty(), made.problem);
    CHECK(read_file(made.path / "file") == "one\n");
    CHECK(status(made.path).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture, "a folder that git does not know stays, and no tree is made")
{
    write_file(trees() / "a" / "notes", "mine");
    CHECK(contains(run(git::add_tree(repository(), "a", "HEAD", true)).problem, "already exists"));
    CHECK(read_file(trees() / "a" / "notes") == "mine");
    fs::create_directory_symlink(folder / "home", trees() / "b");
    CHECK(contains(run(git::add_tree(repository(), "b", "HEAD")).problem, "already exists"));
    CHECK(git({"for-each-ref", "refs/heads/workflow"}).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "a worktree whose folder is gone is made anew, its staged work saved")
{
    auto tree = add("a");
    write_file(tree / "staged", "staged work\n");
    git_in(tree, {"add", "staged"});
    fs::remove_all(tree);
    const auto made = run(git::add_tree(repository(), "a", "HEAD", true));
    REQUIRE_MESSAGE(made.problem.empty(), made.problem);
    CHECK(status(tree).empty());
    REQUIRE(made.warnings.size() == 1);
    CHECK(contains(made.warnings[0], "was missing"));
    const auto salvages = run(git::list_salvages(repository()));
    REQUIRE(salvages.size() == 1);
    CHECK(content(salvages[0].ref, "staged") == "staged work\n");
}

TEST_CASE_FIXTURE(WorktreeFixture, "hooks are not run, whatever they would do")
{
    const auto hooks = folder / "hooks";
    for (const auto* const name :
         {"post-checkout", "pre-commit", "commit-msg", "prepare-commit-msg", "post-commit",
          "reference-transaction", "post-index-change", "pre-merge-commit", "post-merge"}) {
        write_file(hooks / name, "#!/bin/sh\ntouch '" + (folder / "ran").string() + "'\nexit 1\n");
        fs::permissions(hooks / name, fs::perms::owner_all);
    }
    repository();
    configure("[core]\nhooksPath = " + hooks.string());
    const auto tree = add("a");
    write_file(tree / "new", "x");
    commit_quietly(tree);
    write_file(tree / "new", "y");
    CHECK(run(git::reset_tree(repository(), tree, "workflow/a", "HEAD", "")).problem.empty());
    CHECK(run(git::merge_into(repository(), "main", "workflow/a", "m")).problem.empty());
    CHECK(remove(tree).problem.empty());
    CHECK_FALSE(fs::exists(folder / "ran"));
}

TEST_CASE_FIXTURE(WorktreeFixture, "a hundred worktrees at once are made without a failure")
{
    for (int i = 0; i < 200; ++i) write("many/" + std::to_string(i), std::string(100, 'x'));
    commit("many");
    auto& repo = repository();
    // Each running git costs a few descriptors, so not all of them may run at once.
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    const rlimit few{256, usual.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    std::set<std::string> problems;
    int made = 0;
    for (int i = 0; i < 100; ++i)
        start(git::add_tree(repo, "tree-" + std::to_string(i), "HEAD"), [&](NewTree tree) {
            if (!tree.problem.empty()) problems.insert(tree.problem);
            made += fs::exists(tree.path / "many/199") ? 1 : 0;
        });
    finish();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
    for (const auto& problem : problems) FAIL_CHECK(problem);
    CHECK(made == 100);
    CHECK(git({"branch", "--list", "workflow/*", "--format=x"}).size() == 2 * 100 - 1);
    for (int i = 0; i < 100; i += 33)
        CHECK(status(trees() / ("tree-" + std::to_string(i))).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture, "an operation that is cancelled gets a grace to run to its end")
{
    options.interrupt = std::make_shared<Interrupt>();
    auto& repo = repository();
    std::optional<NewTree> made;
    start(git::add_tree(repo, "a", "HEAD"), [&](NewTree tree) { made = std::move(tree); });
    // With a git under way.
    asio::steady_timer timer(io, 3ms);
    timer.async_wait(
        [&](auto) { options.interrupt->cancel(*options.clock, asio::cancellation_type::partial); });
    finish();
    REQUIRE(made);
    CHECK_MESSAGE(made->problem.empty(), made->problem);
    CHECK(read_file(made->path / "file") == "one\n");
    CHECK(repo.is_cancelled());
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "an operation that is cancelled at once says so, and can be repeated")
{
    options.interrupt = std::make_shared<Interrupt>();
    std::optional<NewTree> made;
    start(git::add_tree(repository(), "a", "HEAD"), [&](NewTree tree) { made = std::move(tree); });
    asio::steady_timer timer(io, 3ms);
    timer.async_wait([&](auto) {
        options.interrupt->cancel(*options.clock, asio::cancellation_type::terminal);
    });
    finish();
    REQUIRE(made);
    CHECK_MESSAGE(contains(made->problem, "the operation was cancelled"), made->problem);
    forget_interrupt();
    const auto again = run(git::add_tree(repository(), "a", "HEAD", true));
    CHECK_MESSAGE(again.problem.empty(), again.problem);
    CHECK(read_file(again.path / "file") == "one\n");
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "of a worktree whose making is cancelled nothing stays, and its name is free")
{
    // The call that fills it never ends by itself.
    interrupt_at("--hard");
    SUBCASE("new")
    {
        const auto made = run(git::add_tree(repository(), "a", "HEAD"));
        CHECK_MESSAGE(contains(made.problem, "the operation was cancelled"), made.problem);
    }
    SUBCASE("for a merge")
    {
        const auto made = run(git::open_conflict(repository(), "a", "HEAD", "HEAD", "m"));
        CHECK_MESSAGE(contains(made.problem, "the operation was cancelled"), made.problem);
    }
    CHECK_FALSE(fs::exists(trees() / "a"));
    CHECK_FALSE(fs::exists(entry("a")));
    CHECK(git({"branch", "--list", "workflow/*"}).empty());
    forget_interrupt();
    CHECK(run(git::add_tree(repository(), "a", "HEAD")).problem.empty());
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "another process that changes the list of worktrees is waited for")
{
    repository();
    fs::create_directories(root() / ".git/autoexec");
    const int fd =
        ::open((root() / ".git/autoexec/repository.lock").c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(::flock(fd, LOCK_EX) == 0);
    SUBCASE("until it is done")
    {
        asio::steady_timer timer(io, 60ms);
        timer.async_wait([&](auto) { ::flock(fd, LOCK_UN); });
        add("a");
    }
    SUBCASE("but not for ever")
    {
        options.lock_timeout = 50ms;
        forget_repository();
        const auto made = run(git::add_tree(repository(), "a", "HEAD"));
        CHECK(contains(made.problem, "repository.lock for 50ms"));
        CHECK(git({"for-each-ref", "refs/heads/workflow"}).empty());
        ::flock(fd, LOCK_UN);
        add("a");
    }
    ::close(fd);
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "only what is checked out of the main tree is checked out in a new one")
{
    write("left-out/file", "x\n");
    commit("two");
    git({"sparse-checkout", "set", "folder"});
    const auto tree = add("a");
    CHECK(fs::exists(tree / "folder/other"));
    CHECK_FALSE(fs::exists(tree / "left-out"));
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "filters turn pointers into files, and back when they are committed")
{
    // As git-lfs does.
    configure("[filter \"upper\"]\nsmudge = tr a-z A-Z\nclean = tr A-Z a-z\nrequired = true");
    write(".gitattributes", "*.big filter=upper\n");
    write("data.big", "CONTENT\n");
    commit("two");
    CHECK(content("HEAD", "data.big") == "content\n");
    const auto tree = add("a");
    CHECK(read_file(tree / "data.big") == "CONTENT\n");
    CHECK(status(tree).empty());
    write_file(tree / "data.big", "CHANGED\n");
    const auto work = commit_quietly(tree);
    CHECK(content(work, "data.big") == "changed\n");
    CHECK(status(tree).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture, "a tree whose files cannot be written leaves nothing behind")
{
    configure("[filter \"bad\"]\nsmudge = false\nclean = cat\nrequired = true");
    write(".gitattributes", "*.big filter=bad\n");
    write("data.big", "x\n");
    commit("two");
    const auto made = run(git::add_tree(repository(), "a", "HEAD"));
    CHECK(contains(made.problem, "cannot be written"));
    CHECK_FALSE(fs::exists(made.path));
    CHECK_FALSE(fs::exists(entry("a")));
    CHECK(git({"for-each-ref", "refs/heads/workflow"}).empty());
}

TEST_CASE_FIXTURE(WorktreeFixture, "with less free space than the floor no worktree is made")
{
    options.min_free_bytes = 1ULL << 60;
    const auto made = run(git::add_tree(repository(), "a", "HEAD"));
    CHECK(contains(made.problem, "MiB are free in "));
    CHECK(contains(made.problem, "autoexec worktree gc"));
    CHECK_FALSE(fs::exists(trees()));
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "a disk that is full stops what is under way, and nothing is lost")
{
    const auto disk = folder / "disk";
    fs::create_directories(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
        MESSAGE("skipped: no file system can be mounted here");
        return;
    }
    const std::shared_ptr<void> unmounted(nullptr,
                                          [&](void*) { ::umount2(disk.c_str(), MNT_DETACH); });
    git({"clone", "-q", root().string(), (disk / "project").string()});
    options.project_root = disk / "project";
    const auto tree = add("a");
    write_file(tree / "work", "work\n");
    std::string filler(64 * 1024, 'x');
    std::ofstream fill(disk / "fill");
    while (fill.write(filler.data(), static_cast<std::streamsize>(filler.size())).flush()) continue;
    fill.close();

    CHECK_FALSE(run(git::add_tree(repository(), "b", "HEAD")).problem.empty());
    const auto before = id_in(tree, "HEAD");
    CHECK_FALSE(commit_work(tree).problem.empty());
    CHECK_FALSE(remove(tree).problem.empty());
    CHECK(read_file(tree / "work") == "work\n");
    CHECK(id_in(tree, "HEAD") == before);
    fs::remove(disk / "fill");
    CHECK(content("HEAD", "file") == "one\n");
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    CHECK(status(tree).empty());
    add("b");
}

TEST_CASE_FIXTURE(WorktreeFixture, "a repository that cannot be written to is reported")
{
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can become somebody else");
        return;
    }
    const auto tree = add("a");
    write_file(tree / "work", "work\n");
    for (const auto& place : {folder.path(), root() / ".tapps-agents", trees()})
        fs::permissions(place, fs::perms(0755));
    configure("[safe]\ndirectory = *");
    forget_repository();
    const auto base = head();
    REQUIRE(::seteuid(65534) == 0);
    const auto made = run(git::add_tree(repository(), "b", "HEAD"));
    const auto done = commit_work(tree);
    const auto moved = run(repository().move_branch("x", base, ""));
    const auto saved = salvage(tree);
    REQUIRE(::seteuid(0) == 0);
    CHECK(contains(made.problem, "ermission denied"));
    CHECK_MESSAGE(contains(done.problem, "ermission denied"), done.problem);
    CHECK(contains(moved, "ermission denied"));
    CHECK_FALSE(saved.problem.empty());
    CHECK(read_file(tree / "work") == "work\n");
}

TEST_CASE_FIXTURE(WorktreeFixture, "worktrees are listed by name, with what is known of them")
{
    add("b");
    const auto dirty = add("a");
    write_file(dirty / "new", "x");
    const auto gone = add("c");
    fs::remove_all(gone);
    const auto detached = add("d");
    git_in(detached, {"checkout", "-q", "--detach"});
    git({"worktree", "add", "-q", (folder / "own").string()});
    const int held = ::open((trees() / "b").c_str(), O_RDONLY | O_DIRECTORY);
    REQUIRE(::flock(held, LOCK_EX) == 0);

    const auto all = run(git::list_trees(repository()));
    ::close(held);
    REQUIRE(all.size() == 4);
    CHECK(all[0].name == "a");
    CHECK(all[0].path == dirty);
    CHECK(all[0].branch == "workflow/a");
    CHECK(all[0].head == head());
    CHECK(all[0].dirty);
    CHECK_FALSE(all[0].busy);
    CHECK(std::chrono::system_clock::now() - all[0].last_used < 1h);
    CHECK(all[1].busy);
    CHECK_FALSE(all[1].dirty);
    CHECK(all[2].missing);
    CHECK_FALSE(all[2].dirty);
    CHECK(all[3].branch.empty());
    CHECK(all[3].head == head());
}

TEST_CASE_FIXTURE(WorktreeFixture,
                  "a tree's state is told for a worktree and for the user's checkout")
{
    const auto tree = add("a");
    write_file(tree / "new", "x");
    CHECK(run(git::state_of(repository(), tree)) == "## workflow/a\n?? new\n");
    CHECK(run(git::state_of(repository(), root())) == "## main\n");
    CHECK(run(git::state_of(repository(), folder.path())).empty());
    for (int i = 0; i < 400; ++i) write_file(tree / ("a-long-name-" + std::to_string(i)), "x");
    CHECK(run(git::state_of(repository(), tree)).size() == 4096);
}

TEST_CASE_FIXTURE(WorktreeFixture, "a worktree whose .git leads elsewhere is reported")
{
    const auto tree = add("a");
    const auto other = add("b");
    CHECK_FALSE(run(git::list_trees(repository())).front().replaced);
    SUBCASE("gone")
    {
        fs::remove(tree / ".git");
    }
    SUBCASE("another repository")
    {
        fs::remove(tree / ".git");
        git_in(tree, {"init", "-q", "."});
    }
    SUBCASE("a folder that is no repository")
    {
        fs::remove(tree / ".git");
        fs::create_directory(tree / ".git");
    }
    SUBCASE("another worktree")
    {
        fs::copy_file(other / ".git", tree / ".git", fs::copy_options::overwrite_existing);
    }
    const auto all = run(git::list_trees(repository()));
    CHECK(all.front().replaced);
    CHECK_FALSE(all.back().replaced);
}

TEST_CASE_FIXTURE(WorktreeFixture, "a worktree tells for which run it was made")
{
    add("before");
    repository().run_id = "run-1";
    add("a");
    CHECK(run(git::open_conflict(repository(), "conflict", "HEAD", "HEAD", "x")).problem.empty());
    repository().run_id = "run-2";
    CHECK(run(git::add_tree(repository(), "a", "HEAD", true)).problem.empty());
    CHECK(run(git::add_tree(repository(), "before", "HEAD", true)).problem.empty());
    forget_repository();
    std::string told;
    for (const auto& tree : run(git::list_trees(repository())))
        told += tree.name + "=" + tree.run_id + " ";
    CHECK(told == "a=run-1 before=run-2 conflict=run-1 ");
    CHECK(status(trees() / "a").empty());
}

TEST_SUITE_END();
