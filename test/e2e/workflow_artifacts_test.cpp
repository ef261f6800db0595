#include "support/git_project.hpp"

#include <boost/json/array.hpp>

#include <signal.h>

#include <array>

using namespace autoexec::test;

namespace {

/// The journal's lines of an event.
std::vector<boost::json::object> lines_with(const Project& project, std::string_view event)
{
    auto lines =
        objects_of(read_file(Project::files_in(project.records() / "workflow-state").at(0)));
    std::erase_if(lines, [&](const auto& line) { return text_at(line, "event") != event; });
    return lines;
}

std::string kept_artifacts(const Project& project)
{
    return project.git({"for-each-ref", "--format=%(refname)", "refs/autoexec/artifacts"});
}

/// Whatever the worktrees are.
constexpr std::array modes{"step", "workflow", "in_place"};

void commit_steps_in(const GitProject& project, const std::string& mode, const Words& steps)
{
    auto text = "id: w\nworktree: " + mode + "\nsteps:\n";
    for (const auto& step : steps) text += "  - {" + step + "}\n";
    project.workflow(text);
    project.commit("A workflow");
}

/// A project in which git ignores `build/` and `*.bin`.
struct IgnoringProject : GitProject {
    IgnoringProject() { write(".gitignore", "build/\n*.bin\n"); }
};

}  // namespace

TEST_SUITE_BEGIN("workflow artifacts");

TEST_CASE("a command that is tried again need not make anew what its first attempt has made")
{
    Project project;
    const std::string command = "[ -f report.md ] && exit 0; echo x >report.md; exit 75";
    const auto ended = project.run({"run", command, "--expect", "report.md"});
    CHECK_MESSAGE(ended.code == 0, ended.err);

    // By now it was there before.
    const auto again = project.run({"run", command, "--expect", "report.md"});
    CHECK(again.code != 0);
    CHECK(contains(again.err + again.out, "report.md"));
}

TEST_CASE("a step that is resumed after Ctrl-C need not make its artifacts again")
{
    for (const std::string mode : modes) {
        CAPTURE(mode);
        GitProject project;
        commit_steps_in(
            project, mode,
            {"id: a, agent: x, action: y, creates: [report.md], require_artifacts: true"});
        project.on("a",
                   "[ -f report.md ] && exit 0\n"
                   "echo x >report.md\n"
                   "touch \"$stage/written\"\n"
                   "sleep 600");
        {
            Program program(project.start(GitProject::words()));
            REQUIRE(eventually([&] { return fs::exists(project.stage() / "written"); }));
            program.signal(SIGINT);
            CHECK(program.wait().code == 130);
        }
        const auto ended = project.resume();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(steps_with(ended, "completed") == "a");
    }
}

TEST_CASE("a step that is resumed and does nothing has made nothing")
{
    GitProject project;
    project.write("report.md", "from before\n");
    project.committed_steps(
        {"id: a, agent: x, action: y, creates: [report.md], require_artifacts: true"});
    project.on("a", "[ $tries -gt 1 ] && exit 0; touch \"$stage/begun\"; sleep 600");
    {
        Program program(project.start(GitProject::words()));
        REQUIRE(eventually([&] { return fs::exists(project.stage() / "begun"); }));
        program.signal(SIGINT);
        CHECK(program.wait().code == 130);
    }
    SUBCASE("in the same tree") {}
    SUBCASE("in a fresh one")
    {
        const auto trees = project.records() / "worktrees";
        for (const auto& name : Project::names_in(trees)) fs::remove_all(trees / name);
    }
    const auto ended = project.resume();
    CHECK(ended.code == 1);
    CHECK(contains(ended.out, "report.md"));
}

TEST_CASE("an artifact that git ignores reaches the steps that require it")
{
    for (const std::string mode : modes) {
        CAPTURE(mode);
        IgnoringProject project;
        commit_steps_in(
            project, mode,
            {"id: build, argv: [sh, -c, 'mkdir build && echo 1 >build/app'], creates: [build/app]",
             "id: test, argv: [cat, build/app], requires: [build/app]",
             "id: pack, argv: [cp, build/app, app.txt], requires: [build/app], "
             "depends_on: [test], creates: [app.txt]"});
        const auto ended = project.go();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        if (mode == "in_place") {
            CHECK(kept_artifacts(project).empty());
            continue;
        }
        CHECK(project.listed() == ".gitignore app.txt file workflow.yaml");
        CHECK(lines_of(kept_artifacts(project)).size() == 1);
        const auto kept = text_at(lines_with(project, "step_ended").at(0), "kept");
        CHECK(project.shown("build/app", kept) == "1\n");
        CHECK(project.git({"status", "--porcelain"}).empty());

        const auto gone = project.run({"worktree", "gc"});
        CHECK_MESSAGE(gone.code == 0, gone.err);
        CHECK(contains(gone.out, "removed refs/autoexec/artifacts/"));
        CHECK(kept_artifacts(project).empty());
    }
}

TEST_CASE("of an artifact that steps change one after another the last version is built upon")
{
    IgnoringProject project;
    project.committed_steps(
        {"id: a, argv: [sh, -c, 'echo a >x.bin'], creates: [x.bin]",
         "id: b, argv: [sh, -c, 'echo b >>x.bin'], requires: [x.bin], creates: [x.bin]",
         "id: c, argv: [cp, x.bin, c], requires: [x.bin], creates: [c]"});
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("c") == "a\nb\n");
}

TEST_CASE("a further round begins with the artifacts of that round")
{
    IgnoringProject project;
    project.committed_steps({"id: a, agent: x, action: y, creates: [x.bin]",
                             "id: b, agent: x, action: y, requires: [x.bin], creates: [seen], "
                             "gate: {condition: b.round == 2, on_fail: a}"});
    project.on("a", "echo $tries >x.bin");
    project.on("b", "cp x.bin seen");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("seen") == "2\n");
}

TEST_CASE("a run that is resumed in new worktrees has the ignored artifacts of its steps")
{
    IgnoringProject project;
    project.committed_steps({"id: a, agent: x, action: y, creates: [x.bin]",
                             "id: b, agent: x, action: y, requires: [x.bin], creates: [seen]"});
    project.on("a", "echo made >x.bin");
    project.on("b", "[ $tries = 1 ] && exit 1; cp x.bin seen");
    CHECK(project.go().code == 1);
    const auto trees = project.records() / "worktrees";
    for (const auto& name : Project::names_in(trees)) fs::remove_all(trees / name);
    const auto ended = project.resume({"--from-failed"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("seen") == "made\n");
}

TEST_CASE("a step begins only where all that it requires is there")
{
    IgnoringProject project;
    project.committed_steps({"id: a, argv: ['true'], creates: [x.bin], require_artifacts: false",
                             "id: b, agent: x, action: y, requires: [x.bin]"});
    const auto ended = project.go();
    CHECK(ended.code == 1);
    CHECK(project.asked().empty());
    CHECK(contains(ended.out, "It requires 'x.bin', which is not in its worktree"));
    CHECK(contains(ended.out, "Its creator is 'a'"));
}

TEST_CASE("an artifact of which two versions were made is not guessed")
{
    IgnoringProject project;
    project.committed_steps(
        {"id: a, argv: [sh, -c, 'echo a >x.bin'], creates: [x.bin]",
         "id: b, argv: [sh, -c, 'echo b >x.bin'], condition: 'true == true', creates: [x.bin]",
         "id: c, agent: x, action: y, requires: [x.bin]"});
    const auto ended = project.go();
    CHECK(ended.code == 1);
    CHECK(project.asked().empty());
    CHECK(contains(ended.out, "It requires 'x.bin', which 'a' and 'b' have created"));
}

TEST_CASE("changes besides a step's artifacts are committed with a warning, or left out")
{
    GitProject project;
    std::string scope;
    SUBCASE("named") {}
    SUBCASE("left out by the step")
    {
        scope = ", commit: creates";
    }
    project.committed_steps({"id: a, agent: x, action: y, creates: [wanted]" + scope,
                             "id: b, argv: [ls], requires: [wanted]"});
    project.on("a", "echo x >wanted; echo x >beside");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    const auto end = lines_with(project, "step_ended").at(0);
    const auto warnings = text_at(end.at("result").as_object(), "warnings");
    if (scope.empty()) {
        CHECK(project.listed() == "beside file wanted workflow.yaml");
        CHECK(contains(ended.err, "warning: Also committed, although not in 'creates': beside."));
        CHECK(contains(warnings, "although not in 'creates': beside."));
    } else {
        CHECK(project.listed() == "file wanted workflow.yaml");
        CHECK(warnings == "[]");
        CHECK(fs::exists(fs::path(text_at(end.at("result").as_object(), "worktree")) / "beside"));
    }
}

TEST_CASE("the workflow decides for all steps what is committed")
{
    GitProject project;
    project.workflow(
        "id: w\n"
        "commit: creates\n"
        "steps:\n"
        "  - {id: a, argv: [touch, a, a2], creates: [a]}\n"
        "  - {id: b, argv: [touch, b, b2], creates: [b], commit: all}\n");
    project.commit("A workflow");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.listed() == "a b b2 file workflow.yaml");
}

TEST_CASE("a file that is too large is reported and kept; a declared one fails its step")
{
    GitProject project;
    project.committed_steps({"id: a, argv: [truncate, -s, 300G, huge]",
                             "id: b, argv: [truncate, -s, 300G, made], creates: [made]"});
    const auto ended = project.go({"--json"});
    CHECK(ended.code == 1);
    const auto result = objects_of(ended.out).back();
    const auto& a = result.at("steps").at(0).as_object();
    const auto& b = result.at("steps").at(1).as_object();
    CHECK(text_at(a, "state") == "completed");
    CHECK(contains(text_at(a, "warnings"), "'huge' (300.0 GiB)"));
    CHECK(fs::file_size(fs::path(text_at(a, "worktree")) / "huge") == 300ULL << 30U);
    CHECK(text_at(b, "state") == "failed");
    CHECK(text_at(b, "error_code") == "commit");
    CHECK(contains(text_at(b, "reason"), "worktrees.max_file_bytes (100.0 MiB)"));
    CHECK(project.listed() == "file workflow.yaml");

    const auto kept = project.run({"worktree", "gc", "--all", "--older-than", "0s"});
    CHECK(kept.code == 4);
    CHECK(contains(kept.err, "'huge' (300.0 GiB) cannot be saved"));
    CHECK(fs::exists(fs::path(text_at(a, "worktree")) / "huge"));
}

TEST_SUITE_END();
