#include "agent/work_finder.hpp"

#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::agent;
namespace fs = std::filesystem;
using Paths = std::vector<fs::path>;

namespace {

const std::vector<std::string> everywhere{"**/.cursor-skill-command.txt"};

void write(const fs::path& file, const std::string& text = "x\n")
{
    test::write_file(file, text);
}

// A repository in `project`; worktrees are added by hand, as git would.
struct Project {
    test::TemporaryFolder temporary;
    const fs::path& top = temporary.path();
    fs::path root = top / "project";
    fs::path entries = root / ".git" / "worktrees";

    Project()
    {
        write(root / ".git" / "HEAD", "ref: refs/heads/main\n");
        fs::create_directories(root / ".git" / "objects");
        fs::create_directories(root / ".git" / "refs");
    }

    void add_worktree(const std::string& name, const fs::path& tree) const
    {
        write(entries / name / "HEAD", "ref: refs/heads/" + name + "\n");
        write(entries / name / "commondir", "../..\n");
        write(entries / name / "gitdir", (tree / ".git").string() + "\n");
        write(tree / ".git", "gitdir: " + (entries / name).string() + "\n");
    }

    void put_command(const fs::path& folder) const
    {
        write(root / folder / ".cursor-skill-command.txt");
    }
};

}  // namespace

TEST_SUITE_BEGIN("work_finder");

TEST_CASE_FIXTURE(Project, "the main tree and the linked ones are known from every one of them")
{
    add_worktree("a", top / "a");
    add_worktree("b", root / ".tapps-agents" / "worktrees" / "b");
    const Paths all{root, top / "a", root / ".tapps-agents/worktrees/b"};
    CHECK(git_worktrees(root) == all);
    CHECK(git_worktrees(top / "a") == all);
    fs::create_directories(root / "src");
    CHECK(git_worktrees(root / "src") == all);
}

TEST_CASE_FIXTURE(Project, "entries that are stale, forged or garbage are left out")
{
    add_worktree("good", top / "good");
    add_worktree("gone", top / "gone");
    fs::remove_all(top / "gone");
    add_worktree("moved", top / "moved");
    write(top / "moved" / ".git", "gitdir: " + (entries / "good").string() + "\n");
    write(entries / "empty" / "gitdir", "");
    write(entries / "long" / "gitdir", std::string(100'000, 'x'));
    write(entries / "nul" / "gitdir", std::string("\0/tmp", 5));
    write(entries / "file", "not a folder");
    fs::create_directory_symlink(entries / "good", entries / "link");
    CHECK(git_worktrees(root) == Paths{root, top / "good"});
}

TEST_CASE_FIXTURE(Project, "outside git there are no worktrees")
{
    fs::create_directories(top / "plain");
    CHECK(git_worktrees(top / "plain").empty());
    CHECK(git_worktrees(top / "missing").empty());
}

TEST_CASE_FIXTURE(Project, "a glob finds command files, at the top and below")
{
    put_command("");
    put_command("a/b");
    put_command("c");
    write(root / "d" / "other.txt");
    CHECK(watched_folders(root, everywhere) == Paths{root, root / "c", root / "a/b"});
    CHECK(watched_folders(root, {"a/*/.cursor-skill-command.txt"}) == Paths{root / "a/b"});
    CHECK(watched_folders(root, {"**/other.txt", "../x", "/etc/*"}).empty());
    CHECK(watched_folders(root, {}).empty());
    CHECK(watched_folders(top / "missing", everywhere).empty());
}

TEST_CASE_FIXTURE(Project, "a walk stays out of git, packages and links")
{
    put_command(".git/x");
    put_command("node_modules/x");
    put_command("a/node_modules/x");
    write(top / "outside" / ".cursor-skill-command.txt");
    fs::create_directory_symlink(top / "outside", root / "link");
    fs::create_directory_symlink(root, root / "loop");
    CHECK(watched_folders(root, everywhere).empty());
}

TEST_CASE_FIXTURE(Project,
                  "folders at the top that git ignores are left out, our worktrees are not")
{
    write(root / ".gitignore", "# built\n/build/\n*.egg-info\n.tapps-agents/\nkeep\n!keep\nx/y\n");
    for (const auto* folder : {"build/a", "z.egg-info", "keep", "src/build", "x/y",
                               ".tapps-agents/worktrees/w", ".tapps-agents/running"})
        put_command(folder);
    CHECK(watched_folders(root, everywhere) == Paths{root / "keep", root / "src/build",
                                                     root / "x/y",
                                                     root / ".tapps-agents/worktrees/w"});
}

TEST_CASE_FIXTURE(Project, "a worktree in the project is one place, whatever lies below it")
{
    const auto tree = root / ".tapps-agents" / "worktrees" / "w";
    add_worktree("w", tree);
    put_command(".tapps-agents/worktrees/w");
    put_command(".tapps-agents/worktrees/w/src/deep");
    CHECK(watched_folders(root, everywhere) == Paths{tree});
}

TEST_CASE_FIXTURE(Project, "a search ends at its limits")
{
    put_command("a/b/c");
    CHECK(watched_folders(root, everywhere, {.entries = 100, .depth = 3}).size() == 1);
    CHECK(watched_folders(root, everywhere, {.entries = 100, .depth = 2}).empty());
    CHECK(watched_folders(root, everywhere, {.entries = 2, .depth = 3}).empty());
}

TEST_CASE_FIXTURE(Project, "a walk of some folders passes each on, and stays in them")
{
    put_command("a");
    put_command("a/b/c");
    put_command("d");
    write(root / "a/skipped/.cursor-skill-command.txt");
    WalkOptions options;
    options.from = {root / "a"};
    Paths entered;
    options.enter = [&](const fs::path& folder) {
        entered.push_back(folder);
        return folder.filename() != "skipped";
    };
    CHECK(watched_folders(root, everywhere, {}, options) == Paths{root / "a", root / "a/b/c"});
    CHECK(entered == Paths{root / "a", root / "a/b", root / "a/skipped", root / "a/b/c"});
    CHECK(watched_folders(root, everywhere, {.entries = 100, .depth = 2}, options).size() == 1);
    options.from = {root};
    CHECK(watched_folders(root, everywhere, {}, options).size() == 3);
}

TEST_CASE("the last rule of a .gitignore that matches a name decides")
{
    const IgnoreRules rules("a*\r\n!ab\n\n!\n[x\n**/deep/\n#c\n");
    CHECK(rules.ignores("aa"));
    CHECK_FALSE(rules.ignores("ab"));
    CHECK(rules.ignores("deep"));
    CHECK_FALSE(rules.ignores("#c"));
    CHECK_FALSE(IgnoreRules("").ignores("a"));
}

TEST_SUITE_END();
