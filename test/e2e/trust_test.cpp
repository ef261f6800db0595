#include "support/workflow_project.hpp"

#include <sys/stat.h>

using namespace autoexec::test;

namespace {

void make_writable(const fs::path& path, bool writable)
{
    REQUIRE(::chmod(path.c_str(), fs::is_directory(path) ? (writable ? 0777 : 0755)
                                                         : (writable ? 0666 : 0644)) == 0);
}

}  // namespace

TEST_CASE("nothing runs from files that others can write, and the message names the correction")
{
    Project project;
    project.add_agent("a", "touch {command}");
    project.write(".tapps-agents/config.yaml", "{}\n");
    for (const auto& path :
         {project.root() / ".cursor/background-agents.yaml", project.root() / ".cursor",
          project.records() / "config.yaml", project.records()}) {
        CAPTURE(path);
        make_writable(path, true);
        const auto mend = "chmod go-w " + path.string();
        const auto run = project.run({"run", "ran"});
        CHECK(run.code == 3);
        CHECK(contains(run.err, mend));
        CHECK_FALSE(fs::exists(project.root() / "ran"));
        const auto health = project.run({"health"});
        CHECK(health.code == 5);
        CHECK(contains(health.out, mend));
        make_writable(path, false);
    }
    CHECK(project.run({"run", "ran"}).code == 0);
    CHECK(fs::exists(project.root() / "ran"));
}

TEST_CASE("a working directory that a link leads out of the worktree ends the command")
{
    Project project;
    project.add_agent("a", "touch {command}", {"working_directory: sub"});
    const auto elsewhere = project.root().parent_path() / "elsewhere";
    fs::create_directory(elsewhere);
    fs::create_directory_symlink(elsewhere, project.root() / "sub");
    const auto run = project.run({"run", "--json", "ran"});
    CHECK(run.code == 1);
    CHECK(contains(run.out, "invalid_working_directory"));
    CHECK(contains(run.out, "leads out of the worktree"));
    CHECK(fs::is_empty(elsewhere));
}

TEST_CASE("worktrees are not made through a link")
{
    WorkflowProject project;
    project.steps({"id: a, agent: scripted, action: do"});
    project.commit("workflow");
    const auto elsewhere = project.root().parent_path() / "elsewhere";
    fs::create_directory(elsewhere);
    fs::create_directories(project.records());
    fs::create_directory_symlink(elsewhere, project.records() / "worktrees");
    const auto run = project.run({"workflow", "run", "workflow.yaml"});
    CHECK(run.code != 0);
    CHECK(contains(run.out + run.err, "is a symbolic link"));
    CHECK(contains(run.out + run.err, "mount --bind"));
    CHECK(fs::is_empty(elsewhere));
}

TEST_CASE(
    "a file in running/ that is not a record is reported by health and removed by the next run")
{
    Project project;
    project.write(".tapps-agents/running/text.json", "text");
    project.write(".tapps-agents/running/a.json",
                  R"({"attempt_id": "b", "execution_id": "e", "worktree": "/"})");
    const auto health = project.run({"health"});
    CHECK(contains(health.out, "running/text.json is not a valid record of an attempt"));
    CHECK(contains(health.out, "it is not named after its attempt"));
    CHECK(project.run({"run", "true"}).code == 0);
    CHECK_FALSE(fs::exists(project.records() / "running/text.json"));
    CHECK_FALSE(fs::exists(project.records() / "running/a.json"));
}
