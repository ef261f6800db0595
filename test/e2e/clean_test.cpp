#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/serialize.hpp>

using namespace autoexec::test;

namespace {

constexpr char command_name[] = ".cursor-skill-command.txt";

std::string planted_command(const fs::path& tree, const std::string& command)
{
    boost::json::object o;
    o["command"] = command;
    o["worktree_path"] = tree.string();
    o["protocol"] = "1.1";
    o["execution_id"] = "0197a000-0000-7000-8000-000000000001";
    o["attempt_id"] = "0197a000-0000-7000-8000-000000000002";
    o["attempt"] = 1;
    return boost::json::serialize(o);
}

/// An agent that has been seen to look everywhere since it was started.
struct Daemon {
    explicit Daemon(Project& p) : project(p), program(p.start({"agent", "-v"})) {}
    ~Daemon()
    {
        program.signal(SIGTERM);
        CHECK(program.wait().code == 0);
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    bool has_left_alone(const fs::path& tree) const
    {
        return eventually(
            [&] { return contains(program.err(), tree.string() + ": command file left alone"); });
    }

    Project& project;
    Program program;
};

}  // namespace

TEST_CASE("a command file that somebody committed to a branch is not run")
{
    Project project;
    project.add_agent("shell", "/bin/sh -c {command}");
    const auto tree = project.worktree("tree");
    write_file(tree / command_name, planted_command(tree, "touch ran"));
    project.git_in(tree, {"add", "-f", command_name});
    project.git_in(tree, {"commit", "-q", "-m", "a trap"});

    const Daemon daemon(project);
    CHECK(daemon.has_left_alone(tree));
    CHECK_FALSE(fs::exists(tree / "ran"));
    // A command that is wanted still runs, and the file goes with it.
    const auto ended = project.run(
        {"run", "--external-agent", "--polling-interval", "50ms", "-w", tree, "touch wanted"});
    CHECK(ended.code == 0);
    CHECK(fs::exists(tree / "wanted"));
    CHECK_FALSE(fs::exists(tree / "ran"));
}

TEST_CASE("a command file that a dead executor left is not run")
{
    Project project;
    project.add_agent("shell", "/bin/sh -c {command}");
    const auto tree = project.worktree("tree");
    {
        Program engine(project.start({"run", "--external-agent", "-w", tree, "touch ran"}));
        REQUIRE(eventually([&] { return fs::exists(tree / command_name); }));
        engine.signal(SIGKILL);
        CHECK(engine.wait().code == -SIGKILL);
    }
    const Daemon daemon(project);
    CHECK(daemon.has_left_alone(tree));
    CHECK_FALSE(fs::exists(tree / "ran"));
    CHECK(project.run({"run", "-q", "--", "true"}).code == 0);  // tidies up
}

TEST_CASE("a link in a control file's place is replaced, and its target is not touched")
{
    Project project;
    const TemporaryFolder outside;
    for (const auto* name :
         {command_name, ".cursor-skill-command-simple.txt", ".cursor-skill-metadata.json",
          ".cursor-skill-status.json", ".cursor-skill-cancel.json"}) {
        write_file(outside / name, "precious");
        fs::create_symlink(outside / name, project.root() / name);
    }
    const auto ended =
        project.run({"run", "--timeout", "1s", "--stop-grace", "100ms", "exec sleep 1000"});
    CHECK(ended.code == 1);
    for (const auto& file : Project::files_in(outside.path()))
        CHECK_MESSAGE(read_file(file) == "precious", file.string());
}

TEST_CASE("a run leaves nothing that git would show, and nothing that a commit would take")
{
    Project project;
    const auto tree = project.worktree("tree");
    const auto ended = project.run(
        {"run", "-w", ".", "-w", tree, "--new-worktree", "new",
         "touch wanted && git add -A && git commit -q -m all && git show --name-only --format="});
    CHECK(ended.code == 0);
    CHECK(project.git({"ls-files"}) == "file\nwanted\n");
    CHECK(project.git({"status", "--short"}).empty());
    for (const auto& folder : {tree, project.records() / "worktrees/new"}) {
        CHECK(project.git_in(folder, {"ls-files"}) == "file\nwanted\n");
        CHECK(project.git_in(folder, {"status", "--short"}).empty());
    }
}

TEST_CASE("a command may clean its worktree of all that git does not know")
{
    Project project;
    const auto tree = project.worktree("tree");
    for (const auto& folder : {tree, project.root()}) {
        const auto ended = project.run(
            {"run", "--json", "--retry", "0", "-w", folder, "git clean -fdxq && echo still here"});
        CHECK(ended.code == 0);
        CHECK(contains(ended.out, "still here"));
    }
}

TEST_CASE("a worktree that the command removes ends the run with an error that names it")
{
    Project project;
    const auto tree = project.worktree("tree");
    const auto ended = project.run({"run", "--json", "--polling-interval", "50ms", "-w", tree,
                                    "git worktree remove --force .; exec sleep 1000"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.out, "worktree_lost"));
}
