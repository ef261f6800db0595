#include "support/git_project.hpp"

#include <boost/json/array.hpp>

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

    const auto object = objects_of(project.run({"workflow", "report", "--json"}).out).at(0);
    CHECK(text_at(object, "run_id") == run);
    CHECK(text_at(object.at("changes").as_object(), "added") == "2");
    CHECK(object.at("changes").at("files").as_array().size() == 2);
    const auto& changes = object.at("steps").as_array().at(1).at("changes");
    CHECK(text_at(changes.at("files").as_array().at(0).as_object(), "old_path") == "a");

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

    CHECK(project.run({"workflow", "report", run, "--create-pr", "--json"}).code == 2);
    write_file(beside / "bin/gh", "#!/bin/sh\nexit 4\n");
    ended = project.run({"workflow", "report", run, "--create-pr"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "is pushed, but gh ended with exit code 4"));
    fs::remove(beside / "bin/gh");
    fs::remove(beside / "words");
    ended = project.run({"workflow", "report", run, "--create-pr"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "no executable program 'gh' in PATH; install the program, "));
}

TEST_CASE("another program creates pull requests, which only the user can name")
{
    GitProject project;
    const auto beside = project.root().parent_path();
    project.git({"init", "-q", "--bare", (beside / "remote").string()});
    project.git({"remote", "add", "up", (beside / "remote").string()});
    write_file(beside / "offer", "#!/bin/sh\nprintf '%s\\n' \"$@\" >'" + beside.string() +
                                     "/words'\ncat >'" + beside.string() + "/body'\n");
    fs::permissions(beside / "offer", fs::perms::owner_all);
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "echo one >a");
    REQUIRE(project.go().code == 0);
    const auto run = text_at(project.newest_run(), "run_id");
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution: {pull_request: {program: touch evil}}\n");
    project.set("AUTOEXEC_PULL_REQUEST_PROGRAM",
                (beside / "offer").string() +
                    " mr 'a b' --to={base} --from={branch} -t {title} {remote} '{other}$(id)'");
    const auto ended = project.run({"workflow", "report", run, "--create-pr", "--remote", "up"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "A project cannot set pull_request.program"));
    CHECK(lines_of(read_file(beside / "words")) ==
          Words{"mr", "a b", "--from=workflow/" + run, "-t", "w", "up", "{other}$(id)"});
    CHECK(read_file(beside / "body").starts_with("# Workflow `w`\n"));
    CHECK_FALSE(fs::exists(project.root() / "evil"));
}

TEST_CASE("only the branch of a run is offered, whatever its journal says")
{
    GitProject project;
    const auto beside = project.root().parent_path();
    project.git({"init", "-q", "--bare", (beside / "remote").string()});
    project.git({"remote", "add", "origin", (beside / "remote").string()});
    project.set("AUTOEXEC_PULL_REQUEST_PROGRAM", "true");
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "echo one >a");
    REQUIRE(project.go().code == 0);
    const auto run = text_at(project.newest_run(), "run_id");
    const auto journal = project.records() / "workflow-state" / (run + ".jsonl");
    auto text = read_file(journal);
    const auto branch = "\"workflow/" + run + "\"";
    REQUIRE(contains(text, branch));
    for (auto at = text.find(branch); at != text.npos; at = text.find(branch))
        text.replace(at, branch.size(), "\"main\"");
    write_file(journal, text);
    const auto ended = project.run({"workflow", "report", run, "--create-pr"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "the branch 'main' is not one of a run"));
    CHECK(project.git_in(beside / "remote", {"branch"}).empty());
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
    CHECK(project.go({"--with-changes"}).code == 0);
    CHECK_FALSE(contains(project.git({"log", "--format=%s", project.branch()}), "Uncommitted"));

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
    const auto detached = project.go({"--detach"});
    CHECK(contains(detached.err, "files with uncommitted changes were not seen by the steps"));
    CHECK(project.run({"wait", lines_of(detached.out).at(0)}).code == 0);

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
