#include "support/git_project.hpp"

#include <doctest/doctest.h>

using namespace autoexec::test;

namespace {

/// A step writes its parameters and a variable into `out`.
struct RerunProject : GitProject {
    RerunProject()
    {
        workflow(file);
        commit("A workflow");
    }

    [[nodiscard]] std::string newest_id() const { return text_at(newest_run(), "run_id"); }

    Ended rerun(Words more) const
    {
        more.insert(more.begin(), {"workflow", "rerun"});
        return run(more);
    }

    static constexpr char file[] = R"(id: w
params: {x: null, y: 2}
steps:
  - id: a
    argv: [sh, -c, 'echo "$1 $2 $V" >out', sh, "{params.x}", "{params.y}"]
    creates: [out]
)";
};

}  // namespace

TEST_SUITE_BEGIN("workflow_rerun");

TEST_CASE("a run is started again with its parameters and variables")
{
    RerunProject project;
    REQUIRE(project.go({"--param", "x=one two", "--param", "y=3", "--env", "V=v"}).code == 0);
    const auto first = project.newest_id();
    project.write("later", "x");
    project.commit("Later");

    auto ended = project.rerun({first});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err,
                   "Running workflow.yaml again, as in " + first + ", with x=one two y=3 V=v\n"));
    CHECK(project.newest_id() != first);
    CHECK(project.shown("out") == "one two 3 v\n");
    CHECK(contains(project.listed(), "later"));

    ended = project.rerun({first, "--same-base", "--json", "--param", "y=4", "--env", "V=w"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, ", with x=one two\n"));
    CHECK(text_at(objects_of(ended.out).back(), "status") == "completed");
    CHECK(project.shown("out") == "one two 4 w\n");
    CHECK_FALSE(contains(project.listed(), "later"));

    const auto last = project.newest_id();
    ended = project.rerun({last, "--dry-run"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, "one two"));
    CHECK(project.newest_id() == last);
    const auto detached = project.rerun({last, "--detach"});
    REQUIRE_MESSAGE(detached.code == 0, detached.err);
    CHECK(project.run({"wait", project.newest_id()}).code == 0);
    CHECK(detached.out == project.newest_id() + "\n");
    CHECK(project.rerun({"no-such-run"}).code == 2);
}

TEST_CASE("a run in place is started again in its folder, and has no base")
{
    RerunProject project;
    const auto tree = project.worktree("tree");
    REQUIRE(project.go({"--param", "x=1", "-w", tree.string()}).code == 0);
    const auto first = project.newest_id();
    fs::remove(tree / "out");
    const auto again = project.rerun({first});
    CHECK(again.code == 0);
    CHECK(contains(again.err, "again, as in " + first + ", in "));
    CHECK(read_file(tree / "out") == "1 2 \n");
    const auto refused = project.rerun({first, "--same-base"});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "it has no base"));
}

TEST_CASE("secrets must be given again to run a workflow again")
{
    RerunProject project;
    const auto secret = "ghp_" + std::string(36, 'a');
    REQUIRE(project.go({"--param", "x=" + secret, "--env", "V=" + secret}).code == 0);
    const auto first = project.newest_id();
    const auto refused = project.rerun({first});
    CHECK(refused.code == 3);
    CHECK(contains(refused.err, "The parameter 'x' contains a secret"));
    CHECK(contains(refused.err, "The variable 'V' contains a secret"));
    CHECK(project.newest_id() == first);
    CHECK(project.rerun({first, "--param", "x=1", "--env", "V=2"}).code == 0);
    CHECK(project.shown("out") == "1 2 2\n");
}

TEST_CASE("a workflow file that a journal names outside the project is not run")
{
    RerunProject project;
    const auto outside = project.root().parent_path() / "outside.yaml";
    write_file(outside, RerunProject::file);
    REQUIRE(project.run({"workflow", "run", outside.string(), "--param", "x=1"}).code == 0);
    const auto first = project.newest_id();
    const auto refused = project.rerun({first});
    CHECK(refused.code == 3);
    CHECK(contains(refused.err, "--allow-outside"));
    CHECK(project.newest_id() == first);
    CHECK(project.rerun({first, "--allow-outside"}).code == 0);
}

TEST_SUITE_END();
