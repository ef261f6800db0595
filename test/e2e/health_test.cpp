#include "support/project.hpp"

using namespace autoexec::test;

namespace {

boost::json::object health(const Project& project, int code)
{
    const auto ended = project.run({"health", "--json"});
    CHECK_MESSAGE(ended.code == code, ended.out);
    const auto objects = objects_of(ended.out);
    REQUIRE(objects.size() == 1);
    return objects.front();
}

void write_agent(const Project& project, const std::string& fields)
{
    project.write(".cursor/background-agents.yaml", "agents:\n  - name: a\n" + fields);
}

std::string status_of(const boost::json::object& health, std::string_view name)
{
    for (const auto& check : health.at("checks").as_array())
        if (text_at(check.as_object(), "name") == name) return text_at(check.as_object(), "status");
    return "none";
}

}  // namespace

TEST_CASE("health reports problems and remedies, and exits with 0 while commands can run")
{
    Project project;
    const auto ended = project.run({"health"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "degraded   configuration        The agents file"));
    CHECK(contains(ended.out, "→ To use a coding agent, create the file"));
    CHECK(contains(ended.out, "healthy    git"));
    CHECK(contains(ended.out, "\nOverall: degraded\n"));
    CHECK_FALSE(fs::exists(project.records()));
    CHECK_FALSE(fs::exists(project.root() / ".cursor"));
    CHECK_FALSE(fs::exists(project.root() / ".git/autoexec"));
}

TEST_CASE("health of a project that is well is healthy")
{
    Project project;
    write_agent(project, "    type: background\n    commands: ['/bin/echo {command}']\n");
    CHECK(text_at(health(project, 0), "overall_status") == "healthy");
}

TEST_CASE("health ends with 5 where commands would not run")
{
    Project project;
    write_agent(project, "    type: background\n    commands: ['no-such {command}']\n");
    const auto found = health(project, 5);
    CHECK(text_at(found, "overall_status") == "unhealthy");
    CHECK(status_of(found, "agent_programs") == "unhealthy");
    CHECK(status_of(found, "configuration") == "healthy");

    write_agent(project, "");
    CHECK(status_of(health(project, 5), "configuration") == "unhealthy");

    write_agent(project, "    type: background\n    commands: ['/bin/echo {command}']\n");
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution:\n  retry:\n    max_attempts: none\n");
    CHECK(status_of(health(project, 5), "configuration") == "unhealthy");
}

TEST_CASE("health checks the worktrees that -w names")
{
    Project project;
    const auto tree = project.worktree("tree");
    fs::create_directory(tree / ".cursor-skill-command.txt");
    CHECK(contains(project.run({"health"}).out, "degraded   command_file_access"));
    CHECK(project.run({"health", "-w", project.root()}).code == 0);
    const auto ended = project.run({"health", "-w", tree});
    CHECK(ended.code == 5);
    CHECK(contains(ended.out, "unhealthy  command_file_access"));
    fs::remove(tree / ".cursor-skill-command.txt");
}

TEST_CASE("health checks the status file that the settings name")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution:\n  version: \"1.0\"\n  files:\n    status_name: state.json\n");
    project.write("state.json", "no JSON");
    const auto found = health(project, 0);
    CHECK(status_of(found, "status_file_access") == "degraded");
    fs::remove(project.root() / "state.json");
}

TEST_CASE(
    "a running command is healthy, what a killed executor left is not, and the next run removes it")
{
    Project project;
    Program engine(project.start({"run", "until test -e go; do sleep 0.02; done"}));
    (void)project.wait_for_running(1);
    auto found = health(project, 0);
    CHECK(status_of(found, "claims_and_locks") == "healthy");
    CHECK(status_of(found, "leftovers") == "healthy");

    engine.signal(SIGKILL);
    (void)engine.wait();
    // The lock goes with the last process that has it.
    CHECK(eventually([&] { return status_of(health(project, 0), "leftovers") == "degraded"; }));

    CHECK(project.run({"run", "true"}).code == 0);
    found = health(project, 0);
    CHECK(status_of(found, "claims_and_locks") == "healthy");
    CHECK(status_of(found, "leftovers") == "healthy");
}
