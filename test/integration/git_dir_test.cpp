#include "git_files/git_dir.hpp"
#include "git_files/quick_find.hpp"
#include "support/descriptor_limit.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <optional>
#include <string>

using namespace autoexec;
using git_files::git_common_dir;
using git_files::git_dir_of;
using test::write_file;
namespace fs = std::filesystem;

namespace {

// A repository with its main tree in `project` and a linked worktree in `linked`.
struct Repository {
    test::TemporaryFolder temporary;
    const fs::path& root = temporary.path();
    fs::path project = root / "project";
    fs::path linked = root / "linked";
    fs::path common = project / ".git";
    fs::path linked_dir = common / "worktrees" / "linked";

    Repository()
    {
        make_git_dir(common);
        write_file(linked_dir / "HEAD", "ref: refs/heads/linked\n");
        write_file(linked_dir / "commondir", "../..\n");
        write_file(linked_dir / "gitdir", (linked / ".git").string() + "\n");
        write_file(linked / ".git", "gitdir: " + linked_dir.string() + "\n");
    }

    static void make_git_dir(const fs::path& dir)
    {
        write_file(dir / "HEAD", "ref: refs/heads/main\n");
        fs::create_directories(dir / "objects");
        fs::create_directories(dir / "refs");
    }
};

}  // namespace

TEST_SUITE_BEGIN("git_dir");

TEST_CASE_FIXTURE(Repository, "a main tree and the folders below it have its .git")
{
    fs::create_directories(project / "src" / "deep");
    CHECK(git_dir_of(project) == common);
    CHECK(git_dir_of(project / "src" / "deep") == common);
    CHECK(git_common_dir(common) == common);
}

TEST_CASE_FIXTURE(Repository, "a linked worktree has a directory of its own and shares the rest")
{
    CHECK(git_dir_of(linked) == linked_dir);
    CHECK(git_common_dir(linked_dir) == common);
}

TEST_CASE_FIXTURE(Repository, "a relative .git file and a relative back-pointer are understood")
{
    write_file(linked / ".git", "gitdir: ../project/.git/worktrees/linked\n");
    write_file(linked_dir / "gitdir", "../../../../linked/.git\n");
    CHECK(git_dir_of(linked) == linked_dir);
}

TEST_CASE_FIXTURE(Repository, "a submodule's directory is found through its .git file")
{
    const auto module_dir = common / "modules" / "sub";
    make_git_dir(module_dir);
    write_file(project / "sub" / ".git", "gitdir: ../.git/modules/sub\n");
    CHECK(git_dir_of(project / "sub") == module_dir);
}

TEST_CASE_FIXTURE(Repository, "a folder outside git has none")
{
    fs::create_directories(root / "plain");
    CHECK_FALSE(git_dir_of(root / "plain"));
    CHECK_FALSE(git_dir_of(root / "missing"));
}

TEST_CASE_FIXTURE(Repository, "a lack of descriptors is not taken for a folder outside git")
{
    error_code shortage;
    std::optional<GitTree> main_tree;
    std::optional<GitTree> linked_tree;
    {
        const test::NoDescriptorsLeft none;
        main_tree = git_files::find_tree(project, shortage);
        linked_tree = git_files::find_tree(linked, shortage);
    }
    REQUIRE(main_tree);
    CHECK(main_tree->git_dir == common);
    CHECK_FALSE(linked_tree);
    CHECK(shortage);
}

TEST_CASE_FIXTURE(Repository, "an empty folder called .git is passed over")
{
    fs::create_directories(project / "src" / ".git");
    CHECK(git_dir_of(project / "src") == common);
}

TEST_CASE_FIXTURE(Repository, "a .git file that an agent changed is not trusted")
{
    const auto nested = project / "nested";
    SUBCASE("to the directory of another worktree")
    {
        write_file(nested / ".git", "gitdir: " + linked_dir.string() + "\n");
    }
    SUBCASE("to the directory of the main tree")
    {
        write_file(nested / ".git", "gitdir: " + common.string() + "\n");
    }
    SUBCASE("to nothing")
    {
        write_file(nested / ".git", "gitdir: /nowhere/at/all\n");
    }
    SUBCASE("garbage instead of a pointer")
    {
        write_file(nested / ".git", std::string(100'000, 'x'));
    }
    SUBCASE("a NUL in the path")
    {
        write_file(nested / ".git", "gitdir: " + linked_dir.string() + std::string(1, '\0') + "x");
    }
    SUBCASE("as a link to another worktree's .git file")
    {
        fs::create_directories(nested);
        fs::create_symlink(linked / ".git", nested / ".git");
    }
    SUBCASE("as a link to the main tree's directory")
    {
        fs::create_directories(nested);
        fs::create_symlink(common, nested / ".git");
    }
    SUBCASE("as a FIFO")
    {
        fs::create_directories(nested);
        REQUIRE(::mkfifo((nested / ".git").c_str(), 0600) == 0);
    }
    // Nor is the project's own directory taken instead: its claims are another tree's.
    CHECK_FALSE(git_dir_of(nested));
}

TEST_CASE_FIXTURE(Repository, "a forged git directory cannot lead to another repository")
{
    const auto forged = linked / "forged";
    write_file(forged / "HEAD", "ref: refs/heads/x\n");
    write_file(forged / "commondir", common.string() + "\n");
    write_file(forged / "gitdir", (linked / ".git").string() + "\n");
    write_file(linked / ".git", "gitdir: " + forged.string() + "\n");
    CHECK_FALSE(git_dir_of(linked));
    CHECK(git_common_dir(forged) == forged);
}

TEST_CASE_FIXTURE(Repository, "usual worktrees are found without a search")
{
    fs::create_directories(root / "plain");
    CHECK(git_files::quick_find(common, linked).tree->git_dir == linked_dir);
    CHECK(git_files::quick_find(common, project).tree->git_dir == common);
    const auto outside = git_files::quick_find(std::nullopt, root / "plain");
    CHECK((outside.known && !outside.tree));
}

TEST_CASE_FIXTURE(Repository, "a link is taken for what it leads to")
{
    fs::create_directories(root / "plain" / "inner");
    fs::create_directories(project / "src");
    const auto link = root / "link";
    auto directory = link;
    std::optional<fs::path> expected;
    SUBCASE("a folder outside git")
    {
        fs::create_directory_symlink(root / "plain", link);
    }
    SUBCASE("a folder of a repository")
    {
        fs::create_directory_symlink(project / "src", link);
        expected = common;
    }
    SUBCASE("a folder below it, outside git")
    {
        fs::create_directory_symlink(root / "plain", link);
        directory = link / "inner";
        CHECK(git_files::quick_find(std::nullopt, directory).known);
    }
    SUBCASE("a folder below it, in a repository")
    {
        fs::create_directory_symlink(project, link);
        directory = link / "src";
        expected = common;
    }
    SUBCASE("a worktree")
    {
        fs::create_directory_symlink(linked, link);
        expected = linked_dir;
    }
    for (const auto& known : {std::optional<fs::path>(), std::optional(common)}) {
        error_code shortage;
        const auto tree = git_files::find_tree_in(known, directory, shortage);
        CHECK((tree ? std::optional(tree->git_dir) : std::nullopt) == expected);
    }
}

TEST_CASE_FIXTURE(Repository, "what was found a moment ago is known until it is looked for again")
{
    const auto plain = root / "plain";
    fs::create_directories(plain);
    error_code shortage;
    bool known = false;
    for (int tries = 0; tries < 100 && !known; ++tries) {  // it is forgotten after a second
        REQUIRE_FALSE(git_files::find_tree_in(std::nullopt, plain, shortage));
        known = git_files::recently_found(std::nullopt, plain).known;
    }
    CHECK(known);
    CHECK_FALSE(git_files::recently_found(common, plain).known);
    make_git_dir(plain / ".git");
    REQUIRE(git_files::find_tree_in(std::nullopt, plain, shortage));
    CHECK(git_files::find_recent_tree_in(std::nullopt, plain, shortage)->git_dir == plain / ".git");
}

TEST_CASE_FIXTURE(Repository, "a worktree that was found before is found as it is now")
{
    const auto git_dir = [&]() -> std::optional<fs::path> {
        error_code shortage;
        const auto tree = git_files::find_tree_in(common, linked, shortage);
        CHECK_FALSE(shortage);
        return tree ? std::optional(tree->git_dir) : std::nullopt;
    };
    REQUIRE(git_dir() == linked_dir);
    REQUIRE(git_dir() == linked_dir);
    std::optional<fs::path> expected = linked_dir;
    SUBCASE("unchanged") {}
    SUBCASE("with a .git file that leads to nothing")
    {
        write_file(linked / ".git", "gitdir: /nowhere\n");
    }
    SUBCASE("without its .git file")
    {
        fs::remove(linked / ".git");
    }
    SUBCASE("with a folder called .git")
    {
        fs::remove(linked / ".git");
        make_git_dir(linked / ".git");
    }
    SUBCASE("moved by git")
    {
        write_file(linked_dir / "gitdir", (root / "moved" / ".git").string() + "\n");
        expected.reset();
    }
    SUBCASE("removed by git")
    {
        fs::remove_all(linked_dir);
        expected.reset();
    }
    SUBCASE("created again by git, with another name")
    {
        expected = common / "worktrees" / "linked1";
        fs::rename(linked_dir, *expected);
        write_file(linked / ".git", "gitdir: " + expected->string() + "\n");
    }
    CHECK(git_dir() == expected);
}

TEST_CASE_FIXTURE(Repository, "a folder outside git is found in a repository that is made there")
{
    const auto plain = root / "plain";
    fs::create_directories(plain);
    error_code shortage;
    REQUIRE_FALSE(git_files::find_tree_in(std::nullopt, plain, shortage));
    make_git_dir(plain / ".git");
    const auto tree = git_files::find_tree_in(std::nullopt, plain, shortage);
    REQUIRE(tree);
    CHECK(tree->git_dir == plain / ".git");
}

TEST_SUITE_END();
