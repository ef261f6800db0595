#include "support/workflow_project.hpp"

using namespace autoexec::test;

/// Records that cannot be written, and folders of records that are no folders.

TEST_CASE("records that cannot be written by the end of a run are lost, counted, and exit with 4")
{
    Project project;
    const std::string spoil = "rm -rf .tapps-agents/metrics && mkdir -p .tapps-agents && ";
    SUBCASE("a file in the place of the folder")
    {
        const auto ended = project.run({"run", spoil + ": >.tapps-agents/metrics"});
        CHECK(ended.code == 4);
        CHECK(contains(ended.err, "2 records lost: could not be written to "));
        CHECK(contains(ended.err, ".tapps-agents/metrics/executions_"));
        CHECK(contains(ended.err, "warning: 2 records not yet written to "));
        CHECK_FALSE(contains(ended.err, "late"));
    }
    SUBCASE("a link in the place of the folder, and a run that is quiet")
    {
        const auto ended = project.run({"run", "-q", spoil + "ln -s .. .tapps-agents/metrics"});
        CHECK(ended.code == 4);
        CHECK(contains(ended.err, "2 records lost: could not be written to "));
        CHECK(contains(ended.err, "link"));
    }
    SUBCASE("of several commands")
    {
        const auto ended = project.run(
            {"run", "-j", "1", "--list", "-"},
            "{\"command\": \"" + spoil + ": >.tapps-agents/metrics\"}\n{\"command\": \"true\"}\n");
        CHECK(ended.code == 4);
        CHECK(contains(ended.err, "4 records lost: could not be written to "));
    }
    SUBCASE("the audit log")
    {
        // The executor writes events, and the folder again, while the command runs.
        const auto ended = project.run(
            {"run", "until rm -rf .tapps-agents/audit && (: >.tapps-agents/audit); do :; done"});
        CHECK(ended.code == 4);
        CHECK(contains(ended.err, " lost: could not be written to "));
        CHECK(contains(ended.err, ".tapps-agents/audit/execution_audit.log"));
    }
}

TEST_CASE("records of a workflow that cannot be written exit with 4, too")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: a"});
    project.on("a", "rm -rf .tapps-agents/metrics && : >.tapps-agents/metrics");
    const auto ended = project.run_workflow();
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "2 records lost: could not be written to "));
}

TEST_CASE("a log whose folder the command removes or moves is written again")
{
    Project project;
    for (const std::string removal : {"rm -rf .tapps-agents/output", "rm -rf .tapps-agents",
                                      "mv .tapps-agents/output \"moved$$\""}) {
        CAPTURE(removal);
        const auto ended = project.run({"run", "--json", "echo one; " + removal + "; echo two"});
        CHECK(ended.code == 0);
        const auto attempt = text_at(objects_of(ended.out).at(0), "attempt_id");
        CHECK(read_file(project.records() / "output" / (attempt + ".log")) == "one\ntwo\n");
        CHECK(text_at(objects_of(ended.out).at(0), "warnings") == "[]");
    }
}

TEST_CASE("output that cannot be kept is lost, reported with its path, and exits with 4")
{
    Project project;
    const auto folder = (project.records() / "output").string();
    SUBCASE("a file is in the folder's place")
    {
        const auto ended =
            project.run({"run", "rm -rf .tapps-agents/output; : >.tapps-agents/output; echo x"});
        CHECK(ended.code == 4);
        CHECK_MESSAGE(contains(ended.err, "warning: The command's output is lost: " + folder),
                      ended.err);
    }
    SUBCASE("a link is in the folder's place, and the result is JSON")
    {
        const auto ended = project.run(
            {"run", "-q", "--json",
             "mv .tapps-agents/output moved && ln -s ../moved .tapps-agents/output; echo x"});
        CHECK(ended.code == 4);
        const auto warnings = text_at(objects_of(ended.out).at(0), "warnings");
        CHECK_MESSAGE(contains(warnings, "The command's output is lost: "), warnings);
        CHECK(contains(warnings, "link"));
    }
    SUBCASE("the file cannot be made from the beginning")
    {
        fs::create_directory(project.records());
        project.write(".tapps-agents/output", "");
        CHECK(project.run({"run", "echo x"}).code == 4);
        CHECK(project.run({"run", "true"}).code == 0);  // which has no output
    }
}

TEST_CASE("the lost output of a workflow step is reported, too")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: a"});
    project.on("a", "cd '" + project.records().string() + "'; rm -rf output; : >output; echo x");
    for (const auto* const how : {"--json", "--quiet"}) {
        const auto ended = project.run_workflow({how});
        CHECK(ended.code == 4);
        const auto& told = how == std::string("--json") ? ended.out : ended.err;
        CHECK_MESSAGE(contains(told, "The command's output is lost: "), told);
    }
}

TEST_CASE("records that can be written again by the end of a run are not lost")
{
    Project project;
    const auto ended =
        project.run({"run", "-j", "1", "--list", "-"},
                    "{\"command\": \"rm -rf .tapps-agents/metrics; : >.tapps-agents/metrics\"}\n"
                    "{\"command\": \"rm .tapps-agents/metrics\"}\n");
    CHECK(ended.code == 0);
    CHECK_FALSE(contains(ended.err, "lost"));
    CHECK(project.metrics().size() == 2);
}

TEST_CASE("a running folder that is a link is reported, and so is what cannot be recovered for it")
{
    Project project;
    fs::create_directories(project.records());
    fs::create_directory_symlink("..", project.records() / "running");
    const auto ended = project.run({"run", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "Earlier runs could not be recovered: "));
    CHECK(contains(ended.err, ".tapps-agents/running cannot be read (it is a link"));
    CHECK(contains(ended.err, "warning: Cannot record the running attempt"));

    for (const auto* const verb : {"status", "cancel"}) {
        auto words = Words{verb};
        if (words.front() == "cancel") words.emplace_back("0000");
        const auto told = project.run(words);
        CHECK(told.code == 4);
        CHECK(contains(told.err, "it is a link"));
    }
    const auto health = project.run({"health"});
    CHECK(health.code == 5);
    CHECK(contains(health.out, ".tapps-agents/running"));
    fs::remove(project.records() / "running");
}

TEST_CASE("a run is not resumed where it cannot be known what is in flight")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: a"});
    project.on("a", "[ -f ok ]");
    CHECK(project.run_workflow().code == 1);
    fs::remove_all(project.records() / "running");
    fs::create_directory_symlink("..", project.records() / "running");
    const auto ended = project.run({"workflow", "resume", "--from-failed"});
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "it is a link"));
    CHECK(project.asked() == "a");
    fs::remove(project.records() / "running");
}

TEST_CASE("a journal that a step removes or empties ends the run as failed")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: a", "id: b, agent: x, action: b, depends_on: [a]"});
    SUBCASE("removed")
    {
        project.on("a", "rm .tapps-agents/workflow-state/*.jsonl");
    }
    SUBCASE("emptied")
    {
        project.on("a", "for f in .tapps-agents/workflow-state/*.jsonl; do : >$f; done");
    }
    const auto ended = project.run_workflow();
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "was removed, replaced or truncated during the run"));
    CHECK(project.asked() == "a");
    // Where its end could not be written down, a command's files stay for the next engine.
    CHECK(project.run({"run", "true"}).code == 0);
}
