#include "support/git_project.hpp"

using namespace autoexec::test;

TEST_SUITE_BEGIN("workflow report");

TEST_CASE("a report has the steps of a run, their changes and the changed files")
{
    GitProject project;
    project.committed_steps(
        {"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
    project.on("a", "echo one >a; echo one >>file");
    project.on("b", "cat a >b; rm a");
    REQUIRE(project.go().code == 0);
    const auto run = text_at(project.newest_run(), "run_id");
    const auto ended = project.run({"workflow", "report"});
    CHECK(ended.code == 0);
    CHECK(ended.out.starts_with("# Workflow `w`\n\n| | |\n|---|---|\n| run | `" + run +
                                "` |\n| state | completed |\n"));
    CHECK(contains(ended.out, "| branch | `workflow/" + run + "` |\n"));
    CHECK(contains(ended.out, "| changes | 2 files, +2 −0 |\n"));
    CHECK(contains(ended.out, "\n| `a` | completed | `x` | 1 | 1 | "));
    CHECK(contains(ended.out, " | 1 file, +0 −0 | – |\n"));  // a is renamed to b
    CHECK(contains(ended.out,
                   "\n## Changed files\n\n| file | change | lines |\n|---|---|---|\n"
                   "| `b` | added | +1 −0 |\n| `file` | changed | +1 −0 |\n"));
    CHECK_FALSE(contains(ended.out, "## Reasons"));

    const auto file = project.root().parent_path() / "report.md";
    const auto written = project.run({"workflow", "report", run, "-o", file.string()});
    CHECK(written.code == 0);
    CHECK(written.out.empty());
    CHECK(read_file(file) == ended.out);
    CHECK(project.run({"workflow", "report", "-o", file.string() + "/none"}).code == 4);
    CHECK(project.run({"workflow", "report", "-o", "."}).code == 2);
    CHECK(project.run({"workflow", "report", "none"}).code == 2);
}

TEST_CASE("nothing that an agent or file is called becomes markup, a link or a mention")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "echo >'@team `x` <img src=q> |#1'");
    REQUIRE(project.go().code == 0);
    const auto report = project.run({"workflow", "report"});
    CHECK(report.code == 0);
    CHECK(contains(report.out, "\n| ``@team `x` <img src=q> ¦#1`` | added | +1 −0 |\n"));
}

TEST_CASE("--create-pr pushes the branch of a run, and gives the report to gh")
{
    GitProject project;
    const auto beside = project.root().parent_path();
    write_file(beside / "bin/gh", "#!/bin/sh\nprintf '%s\\n' \"$@\" >'" + beside.string() +
                                      "/words'\ncat >'" + beside.string() +
                                      "/body'\necho https://example.org/pull/1\n");
    fs::permissions(beside / "bin/gh", fs::perms::owner_all);
    project.set("PATH", (beside / "bin").string() + ":/usr/bin:/bin");
    project.git({"init", "-q", "--bare", (beside / "remote").string()});
    project.git({"remote", "add", "origin", (beside / "remote").string()});
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "echo one >a");
    project.git({"branch", "develop"});
    REQUIRE(project.go({"--merge-into", "develop"}).code == 0);
    const auto run = text_at(project.newest_run(), "run_id");

    auto ended = project.run({"workflow", "report", run, "--create-pr", "--remote", "none"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "cannot push workflow/" + run + " to none: "));
    CHECK(project.run({"workflow", "report", run, "--create-pr", "--remote=--mirror"}).code == 2);
    CHECK_FALSE(fs::exists(beside / "words"));

    ended = project.run({"workflow", "report", run, "--create-pr"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(ended.out == "https://example.org/pull/1\n");
    CHECK(project.git_in(beside / "remote", {"rev-parse", "workflow/" + run}) ==
          project.rev(project.branch()));
    CHECK(lines_of(read_file(beside / "words")) == Words{"pr", "create", "--head=workflow/" + run,
                                                         "--title=w", "--body-file=-",
                                                         "--base=develop"});
    CHECK(read_file(beside / "body") == project.run({"workflow", "report", run}).out);

    fs::remove(beside / "bin/gh");
    ended = project.run({"workflow", "report", run, "--create-pr"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "is pushed, but the program gh is not installed"));
}

TEST_CASE("the reasons of failures are in a report, also of a run in place")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: y"});
    project.on("a", "exit 3");
    CHECK(project.run_workflow().code == 1);
    const auto report = project.run({"workflow", "report"});
    CHECK(report.code == 0);
    CHECK(contains(report.out, "| state | failed |\n"));
    CHECK(contains(report.out, "\n## Reasons\n\n"));
    CHECK(contains(report.out, "- `a` failed: `"));
    CHECK(contains(report.out, " | – | – |\n"));
}

TEST_CASE("a run says which uncommitted changes its steps have not seen")
{
    GitProject project;
    project.write(".gitignore", ".cursor\n*.log\n");
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "ls >listed; cat file >>listed");
    auto ended = project.go();
    CHECK(ended.code == 0);
    CHECK_FALSE(contains(ended.err, "not seen"));

    project.write("file", "changed\n");
    project.write("new", "new\n");
    project.write("it.log", "log\n");
    ended = project.go();
    CHECK(ended.code == 0);
    CHECK(contains(ended.err,
                   "2 files with uncommitted changes were not seen by the steps: file, new. "));
    CHECK_FALSE(contains(project.shown("listed"), "new"));
    CHECK_FALSE(contains(project.go({"-q"}).err, "not seen"));
    CHECK_FALSE(contains(project.go({"--base", "HEAD"}).err, "not seen"));
    CHECK_FALSE(contains(project.run_workflow().err, "not seen"));

    const auto status = project.git({"status", "--porcelain"});
    ended = project.go({"--with-changes"});
    CHECK(ended.code == 0);
    CHECK_FALSE(contains(ended.err, "not seen"));
    CHECK(contains(project.shown("listed"), "new\n"));
    CHECK(contains(project.shown("listed"), "changed\n"));
    CHECK(project.shown("new") == "new\n");
    CHECK(project.git({"status", "--porcelain"}) == status);
    CHECK(project.go({"--with-changes", "--base", "HEAD"}).code == 2);
    CHECK(project.go({"--with-changes", "--in-place"}).code == 2);
}

TEST_SUITE_END();
