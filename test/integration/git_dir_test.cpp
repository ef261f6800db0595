#include "git_files/git_dir.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

using namespace autoexec;
using git_files::git_common_dir;
using git_files::git_dir_of;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& file, const std::string& text)
{
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

// A repository with its main tree in `project` and a linked worktree in `linked`.
struct Repository {
    fs::path root = [] {
        std::string name = (fs::temp_directory_path() / "git-dir-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        return fs::canonical(name);
    }();
    fs::path project = root / "project";
    fs::path linked = root / "linked";
    fs::path common = project / ".git";
    fs::path linked_dir = common / "worktrees" / "linked";

    Repository()
    {
        make_git_dir(common);
        write(linked_dir / "HEAD", "ref: refs/heads/linked\n");
        write(linked_dir / "commondir", "../..\n");
        write(linked_dir / "gitdir", (linked / ".git").string() + "\n");
        write(linked / ".git", "gitdir: " + linked_dir.string() + "\n");
    }
    ~Repository() { fs::remove_all(root); }
    Repository(const Repository&) = delete;
    Repository& operator=(const Repository&) = delete;

    static void make_git_dir(const fs::path& dir)
    {
        write(dir / "HEAD", "ref: refs/heads/main\n");
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
    write(linked / ".git", "gitdir: ../project/.git/worktrees/linked\n");
    write(linked_dir / "gitdir", "../../../../linked/.git\n");
    CHECK(git_dir_of(linked) == linked_dir);
}

TEST_CASE_FIXTURE(Repository, "a submodule's directory is found through its .git file")
{
    const auto module_dir = common / "modules" / "sub";
    make_git_dir(module_dir);
    write(project / "sub" / ".git", "gitdir: ../.git/modules/sub\n");
    CHECK(git_dir_of(project / "sub") == module_dir);
}

TEST_CASE_FIXTURE(Repository, "a folder outside git has none")
{
    fs::create_directories(root / "plain");
    CHECK_FALSE(git_dir_of(root / "plain"));
    CHECK_FALSE(git_dir_of(root / "missing"));
}

TEST_CASE_FIXTURE(Repository, "an empty folder called .git is passed over")
{
    fs::create_directories(project / "src" / ".git");
    CHECK(git_dir_of(project / "src") == common);
}

TEST_CASE_FIXTURE(Repository, "a .git file that an agent pointed elsewhere is not believed")
{
    const auto nested = project / "nested";
    SUBCASE("to the directory of another worktree")
    {
        write(nested / ".git", "gitdir: " + linked_dir.string() + "\n");
    }
    SUBCASE("to the directory of the main tree")
    {
        write(nested / ".git", "gitdir: " + common.string() + "\n");
    }
    SUBCASE("to nothing")
    {
        write(nested / ".git", "gitdir: /nowhere/at/all\n");
    }
    SUBCASE("garbage instead of a pointer")
    {
        write(nested / ".git", std::string(100'000, 'x'));
    }
    SUBCASE("a NUL in the path")
    {
        write(nested / ".git", "gitdir: " + linked_dir.string() + std::string(1, '\0') + "x");
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

TEST_CASE_FIXTURE(Repository, "a forged git directory can't lead to another repository")
{
    const auto forged = linked / "forged";
    write(forged / "HEAD", "ref: refs/heads/x\n");
    write(forged / "commondir", common.string() + "\n");
    write(forged / "gitdir", (linked / ".git").string() + "\n");
    write(linked / ".git", "gitdir: " + forged.string() + "\n");
    CHECK_FALSE(git_dir_of(linked));
    CHECK(git_common_dir(forged) == forged);
}

TEST_SUITE_END();
