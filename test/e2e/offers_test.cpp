#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

using namespace autoexec::test;

namespace {

constexpr char secret[] = "a value that only a command with env_refs gets";

/// Fails for now at its first attempt, and leaves a command file that names a secret variable in
/// its worktree; succeeds at its second.
std::string planting_command(const fs::path& tree, const fs::path& stolen)
{
    boost::json::object planted;
    planted["command"] = "printenv SECRET >'" + stolen.string() + "'";
    planted["env_refs"] = {"SECRET"};
    planted["worktree_path"] = tree.string();
    planted["protocol"] = "1.1";
    planted["execution_id"] = "0197a000-0000-7000-8000-000000000001";
    planted["attempt_id"] = "0197a000-0000-7000-8000-000000000002";
    planted["attempt"] = 1;
    write_file(tree / "planted", boost::json::serialize(planted));
    return "[ -e second ] && exit 0; touch second; rm -f .cursor-skill-command.txt; "
           "cp planted .cursor-skill-command.txt; exit 75";
}

/// What was planted must not run, and must not cost the real command anything.
void check_not_run(const Project& project, const Ended& ended, const fs::path& tree,
                   const fs::path& stolen)
{
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(fs::exists(tree / "second"));
    CHECK_FALSE(fs::exists(stolen));
    CHECK(project.metrics().size() == 2);
    for (const auto& event : project.audit()) CHECK(text_at(event, "event_type") != "agent_lost");
}

struct PlantingProject : Project {
    PlantingProject()
    {
        set("SECRET", secret);
        add_agent("shell", "/bin/sh -c -- {command}", {"clean_environment: true"});
    }
    fs::path tree = worktree("tree");
    fs::path stolen = root() / "stolen";
};

}  // namespace

TEST_CASE("a command that a program plants in its worktree is not run by the agent within")
{
    PlantingProject project;
    const auto ended =
        project.run({"run", "-w", project.tree, planting_command(project.tree, project.stolen)});
    check_not_run(project, ended, project.tree, project.stolen);
}

TEST_CASE("a command that a program plants in its worktree is not run by another agent")
{
    PlantingProject project;
    Program daemon(project.start({"agent"}));
    auto plant = planting_command(project.tree, project.stolen);
    SUBCASE("") {}
    SUBCASE("with a repository of its own, so that no offers are found")
    {
        plant = "rm -rf .git; git init -q .; " + plant;
    }
    const auto ended = project.run(
        {"run", "--external-agent", "--polling-interval", "50ms", "-w", project.tree, plant});
    check_not_run(project, ended, project.tree, project.stolen);
    daemon.signal(SIGTERM);
    CHECK(daemon.wait().code == 0);
}

TEST_CASE("a command file that is replaced before an agent sees it is published again, and runs")
{
    PlantingProject project;
    const auto command_file = project.tree / ".cursor-skill-command.txt";
    Program engine(project.start({"run", "--external-agent", "--polling-interval", "50ms", "-w",
                                  project.tree, "touch ran"}));
    REQUIRE(eventually([&] { return fs::exists(command_file); }));
    auto planted = boost::json::parse(read_file(command_file)).as_object();
    planted["command"] = "touch planted_ran";
    write_file(project.tree / "planted", boost::json::serialize(planted));
    fs::rename(project.tree / "planted", command_file);
    Program daemon(project.start({"agent"}));
    const auto ended = engine.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(fs::exists(project.tree / "ran"));
    CHECK_FALSE(fs::exists(project.tree / "planted_ran"));
    CHECK(project.metrics().size() == 1);
    daemon.signal(SIGTERM);
    CHECK(daemon.wait().code == 0);
}
