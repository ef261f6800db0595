#include "support/git_project.hpp"
#include "support/sweep.hpp"

#include <signal.h>

using namespace autoexec::test;

TEST_SUITE_BEGIN("workflow git");

TEST_CASE("what steps make is on a branch in the end, and the user's checkout is as it was")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y",
                             "id: b, agent: x, action: y, depends_on: [a]",
                             "id: c, agent: x, action: y, depends_on: [b]"});
    project.on("a", "echo one >a");
    project.on("b", "cat a a >b");
    project.on("c", "cat a b >c; rm a");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("c") == "one\none\none\n");
    CHECK(project.listed() == "b c file workflow.yaml");
    CHECK(project.is_untouched());
    CHECK(contains(ended.err, "The work is on the branch " + project.branch() + ": git merge " +
                                  project.branch() + "\n"));
}

TEST_CASE("--json prints branch and commit")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "echo >a");
    const auto lines = objects_of(project.go({"--json"}).out);
    REQUIRE(!lines.empty());
    CHECK(text_at(lines.back(), "branch") == project.branch());
    CHECK(text_at(lines.back(), "commit") + "\n" == project.rev(project.branch()));
    const auto& step = lines.back().at("steps").at(0).as_object();
    CHECK(text_at(step, "commit") == text_at(lines.back(), "commit"));
    CHECK(text_at(step, "branch").starts_with("workflow/"));
}

TEST_CASE("the work of steps that ran side by side comes together")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y", "id: b, agent: x, action: y",
                             "id: c, agent: x, action: y, depends_on: [a, b]",
                             "id: d, agent: x, action: y"});
    for (const auto* step : {"a", "b", "d"})
        project.on(step, std::string("echo ") + step + " >" + step);
    project.on("c", "cat a b >c");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.listed() == "a b c d file workflow.yaml");
    CHECK(project.shown("c") == "a\nb\n");
}

TEST_CASE("a conflict is reported with its place, and the run can be resumed once it is resolved")
{
    // Before a step that builds on both, and at the end where none does.
    for (const bool third : {true, false}) {
        CAPTURE(third);
        GitProject project;
        Words steps = {"id: a, agent: x, action: y", "id: b, agent: x, action: y"};
        if (third) steps.emplace_back("id: c, agent: x, action: y, depends_on: [a, b]");
        project.committed_steps(steps);
        project.on("a", "echo of a >shared");
        project.on("b", "echo of b >shared");
        project.on("c", "cat shared >c");
        auto ended = project.go({"--json"});
        CHECK_MESSAGE(ended.code == 1, ended.err);
        const auto failed = objects_of(ended.out).back().at("steps").as_array().back().get_object();
        CHECK(text_at(failed, "id") == (third ? "c" : "b"));
        CHECK(text_at(failed, "error_code") == "merge_conflict");
        const auto reason = text_at(failed, "reason");
        CHECK_MESSAGE(contains(reason, "The work of 'a' and of 'b' conflicts in shared"), reason);
        CHECK(project.is_untouched());

        // As long as it is not resolved, it is the same.
        CHECK(project.resume().code == 1);
        const auto tree = GitProject::place_of_conflict(reason);
        CHECK(contains(read_file(tree / "shared"), "<<<<<<<"));
        write_file(tree / "shared", "of both\n");
        project.git_in(tree, {"add", "shared"});
        project.git_in(tree, {"commit", "-q", "-m", "Both"});
        ended = project.resume();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(project.shown("shared") == "of both\n");
        CHECK(project.asked().size() == (third ? 5 : 3));  // nothing ran twice
        if (third) CHECK(project.shown("c") == "of both\n");
        CHECK(project.is_untouched());
    }
}

TEST_CASE("a branch of the user's gets the work of a run that has completed")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.git({"branch", "develop"});
    project.on("a", "echo >a");
    auto ended = project.go({"--merge-into", "develop"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.listed("develop") == "a file workflow.yaml");
    CHECK(project.is_untouched());

    ended = project.go({"--merge-into", "main"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.listed("main") == "a file workflow.yaml");
    CHECK(project.git({"status", "--porcelain"}).empty());
    CHECK(fs::exists(project.root() / "a"));

    project.on("a", "exit 1");
    project.git({"branch", "other"});
    CHECK(project.go({"--merge-into", "other"}).code == 1);
    CHECK(project.rev("other") == project.rev("main"));
}

TEST_CASE("-j 0 means no limit, whatever the workflow specifies")
{
    GitProject project;
    project.workflow(
        "id: w\nsettings: {max_parallel: 1}\nsteps:\n"
        "  - {id: a, agent: x, action: y}\n  - {id: b, agent: x, action: y}\n");
    project.commit("A workflow");
    // Each ends only when the other one has begun, too.
    project.on("a", "touch $stage/at-a; until [ -e $stage/at-b ]; do sleep 0.02; done");
    project.on("b", "touch $stage/at-b; until [ -e $stage/at-a ]; do sleep 0.02; done");
    CHECK(project.go({"-j", "0", "--timeout", "20s"}).code == 0);
    fs::remove(project.stage() / "at-a");
    fs::remove(project.stage() / "at-b");
    CHECK(project.go({"--timeout", "1s", "--retry", "0"}).code == 1);
}

TEST_CASE("steps start from another commit with --base")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "cp file copy");
    const auto ended = project.go({"--base", "v1"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("copy") == "one\n");
    CHECK(project.go({"--base", "nothing"}).code == 3);
}

TEST_CASE("a second round builds on what the step of the gate has left")
{
    GitProject project;
    project.committed_steps({"id: make, agent: x, action: y",
                             "id: review, agent: x, action: y, depends_on: [make], "
                             "gate: {condition: review.round == 2, on_fail: make}"});
    project.on("make", "if [ -f remarks ]; then echo good >code; else echo bad >code; fi");
    project.on("review", "cat code >>remarks");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "make review make review");
    CHECK(project.shown("code") == "good\n");
    CHECK(project.shown("remarks") == "bad\ngood\n");
}

TEST_CASE("a person works in the worktree that the status shows")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    Program program(project.start(GitProject::words({"--manual"})));
    project.wait_for_state("a", "waiting_manual");
    const auto step = project.newest_run().at("steps").at(0).as_object();
    write_file(fs::path(text_at(step, "worktree")) / "a", "by hand\n");
    CHECK(project.run({"workflow", "done", "a"}).code == 0);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("a") == "by hand\n");
}

TEST_CASE("a run whose executor was killed at any time is resumed to the same end" *
          doctest::test_suite("sweep"))
{
    const std::size_t stride = is_long_form() ? 1 : 5;
    const Words steps = {"id: a, agent: x, action: y, idempotent: true",
                         "id: b, agent: x, action: y, idempotent: true, depends_on: [a]",
                         "id: c, agent: x, action: y, idempotent: true, depends_on: [a]",
                         "id: d, agent: x, action: y, idempotent: true, depends_on: [b, c]"};
    Words expected;
    std::size_t all = 0;
    for (std::size_t moment = 0; moment <= all; moment += stride) {
        CAPTURE(moment);
        GitProject project;
        project.committed_steps(steps);
        project.on("a", "echo a >a");
        project.on("b", "cat a >b");
        project.on("c", "cat a >c");
        project.on("d", "cat b c >d");
        if (moment == 0) {
            REQUIRE(project.go().code == 0);
            expected = project.files();
            all = project.lines_in_journals();
            CHECK(all >= 15);
            continue;
        }
        project.go_with_kill_at(moment);
        CHECK(project.files() == expected);
        CHECK(project.is_untouched());
    }
}

TEST_CASE("a run does not go on with another workflow, unless that is accepted")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y",
                             "id: b, agent: x, action: z, "
                             "depends_on: [a]"});
    project.on("a", "echo >a");
    project.on("b", "[ $tries -gt 1 ] || exit 1");
    CHECK(project.go().code == 1);
    project.write("workflow.yaml", read_file(project.root() / "workflow.yaml") + "# changed\n");
    auto ended = project.resume({"--from-failed"});
    CHECK(ended.code == 3);
    CHECK_MESSAGE(contains(ended.err, "--accept-changed"), ended.err);
    CHECK(project.asked() == "a b");
    ended = project.resume({"--from-failed", "--accept-changed"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a b b");
}

TEST_CASE("failed steps run again only on request, and completed steps do not")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y",
                             "id: b, agent: x, action: y, depends_on: [a]",
                             "id: c, agent: x, action: y, depends_on: [b]"});
    project.on("a", "echo $tries >a");
    project.on("b", "[ $tries -gt 1 ] || exit 1; echo >b");
    CHECK(project.go().code == 1);
    auto ended = project.resume();
    CHECK(ended.code == 3);
    CHECK_MESSAGE(contains(ended.err, "--from-failed"), ended.err);
    ended = project.resume({"--from-failed"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a b b c");
    CHECK(project.listed() == "a b file workflow.yaml");

    CHECK(project.resume().code == 2);  // there is none that has not completed
    const auto id = text_at(project.newest_run(), "run_id");
    CHECK(project.resume({id}).code == 3);
    ended = project.resume({id, "--from", "a"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a b b c a b c");
    CHECK(project.shown("a") == "2\n");
    CHECK(project.resume({id, "--from", "nobody"}).code == 3);
}

TEST_CASE("a run in place is resumed in place")
{
    GitProject project;
    project.committed_steps(
        {"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
    project.on("a", "echo >a");
    project.on("b", "[ $tries -gt 1 ] || exit 1; mv a b");
    CHECK(project.go({"--in-place"}).code == 1);
    const auto ended = project.resume({"--from-failed"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(fs::exists(project.root() / "b"));
    CHECK(project.git({"branch", "--list", "workflow/*"}).empty());
}

TEST_CASE("outside of git steps work in place, and a message is printed")
{
    GitProject project;
    project.steps({"id: a, agent: x, action: y"});
    project.on("a", "echo >a");
    fs::remove_all(project.root() / ".git");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "is not a git repository; all steps work in place"));
    CHECK(fs::exists(project.root() / "a"));
}

TEST_CASE("a repository that cannot have worktrees is reported, and nothing starts")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.git({"branch", "workflow"});
    auto ended = project.go();
    CHECK(ended.code == 3);
    CHECK_MESSAGE(contains(ended.err, "workflow"), ended.err);

    fs::remove_all(project.root() / ".git");
    project.git({"init", "-q", "."});
    ended = project.go();
    CHECK(ended.code == 3);
    CHECK_MESSAGE(contains(ended.err, "no commit yet"), ended.err);
    CHECK(project.asked().empty());
    CHECK(Project::files_in(project.records() / "workflow-state").empty());

    CHECK(project.go({"--in-place", "--merge-into", "main"}).code == 2);
    CHECK(project.go({"--in-place", "-w", "."}).code == 2);
}

TEST_CASE("commits of others on the run's branch are kept and reported")
{
    GitProject project;
    project.committed_steps(
        {"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
    project.on("a", "echo a >a");
    project.on("b", "echo $tries >b");
    REQUIRE(project.go().code == 0);
    const auto branch = project.branch();
    const auto tree = project.worktree("mine");
    project.git_in(tree, {"checkout", "-q", branch});
    write_file(tree / "fixup", "mine\n");
    project.git_in(tree, {"add", "fixup"});
    project.git_in(tree, {"commit", "-q", "-m", "mine"});
    const auto mine = project.rev(branch);
    const auto run_id = text_at(project.newest_run(), "run_id");
    auto ended = project.resume({run_id, "--from", "b"});
    CHECK(ended.code == 1);
    CHECK_MESSAGE(contains(ended.err, "commits that are not the run's"), ended.err);
    CHECK(project.rev(branch) == mine);

    // Once it is out of the way, the run comes to its end.
    project.git_in(tree, {"checkout", "-q", "-b", "kept"});
    project.git({"branch", "-f", branch, branch + "~1"});
    ended = project.resume({run_id});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("b", branch) == "2\n");
}

TEST_CASE("a checkout of the run's branch follows it")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "echo a >a; touch $stage/ready; while [ ! -f $stage/go ]; do sleep 0.02; done");
    Program program(project.start(GitProject::words()));
    REQUIRE(eventually([&] { return fs::exists(project.stage() / "ready"); }));
    const auto tree = project.worktree("mine");
    project.git_in(tree, {"checkout", "-q", project.branch()});
    write_file(project.stage() / "go", "");
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(read_file(tree / "a") == "a\n");
    CHECK(project.git_in(tree, {"status", "--porcelain"}).empty());
}

TEST_CASE("no file that git ignores is overwritten in the user's checkout")
{
    GitProject project;
    project.write(".gitignore", "secret\n");
    project.committed_steps({"id: a, agent: x, action: y"});
    project.write("secret", "mine\n");
    project.on("a", "echo other >secret; git add -f secret; git commit -q -m secret");
    auto ended = project.go({"--merge-into", "main"});
    CHECK(ended.code == 1);
    CHECK(read_file(project.root() / "secret") == "mine\n");
    CHECK(project.is_untouched());

    // The run has not come to its end: that is tried again.
    fs::remove(project.root() / "secret");
    ended = project.resume();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(read_file(project.root() / "secret") == "other\n");
}

TEST_CASE("a missing branch to merge into is reported before anything starts")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    const auto ended = project.go({"--merge-into", "nosuch"});
    CHECK(ended.code == 3);
    CHECK_MESSAGE(contains(ended.err, "There is no branch 'nosuch'"), ended.err);
    CHECK(project.asked().empty());
    CHECK(project.newest_run().empty());
}

TEST_CASE("in a submodule the checkout follows, and not the git directory")
{
    GitProject source;
    source.committed_steps({"id: a, argv: [sh, -c, 'echo new >a; mkdir hooks; echo x >hooks/h']"});
    GitProject project;
    project.git({"-c", "protocol.file.allow=always", "submodule", "add", "-q",
                 source.root().string(), "sm"});
    const auto inner = project.root() / "sm";
    project.git_in(inner, {"config", "user.name", "A Person"});
    project.git_in(inner, {"config", "user.email", "person@example.org"});
    auto start = project.start(GitProject::words({"--merge-into", "main"}));
    start.folder = inner;
    Program program(start);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(read_file(inner / "a") == "new\n");
    CHECK_FALSE(fs::exists(project.root() / ".git/modules/sm/a"));
    CHECK_FALSE(fs::exists(project.root() / ".git/modules/sm/hooks/h"));
    CHECK(project.git_in(inner, {"status", "--porcelain", "-uno"}).empty());
}

TEST_CASE("a conflict that shows only in the end is over once it is resolved, tree or no tree")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y", "id: b, agent: x, action: y",
                             "id: c, agent: x, action: y, depends_on: [a]"});
    project.on("a", "echo A >f");
    project.on("b", "echo B >f");
    project.on("c", "echo $tries >c");
    const auto first = project.go();
    CHECK(first.code == 1);
    const auto tree = GitProject::place_of_conflict(first.err);
    auto ended = project.resume();
    CHECK(ended.code == 1);
    CHECK_MESSAGE(contains(ended.err, "has conflicts:"), ended.err);
    write_file(tree / "f", "AB\n");
    project.git_in(tree, {"commit", "-q", "-am", "resolved"});
    SUBCASE("with its tree") {}
    SUBCASE("without")
    {
        project.git({"worktree", "remove", "--force", tree.string()});
    }
    ended = project.resume();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("f") == "AB\n");
    CHECK(project.state_of_step("b") == "completed");
    const auto markers = project.records() / "workflows/markers" /
                         text_at(project.newest_run(), "run_id") / "step-b";
    CHECK(Project::names_in(markers) == Words{"DONE.json"});
}

TEST_CASE("a step in flight that has lost its worktree does not count as never started")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    project.on("a", "sleep 1000");
    {
        Program program(project.start(GitProject::words()));
        project.wait_until_asked("a");
        program.signal(SIGKILL);
        (void)program.wait();
    }
    REQUIRE(eventually([&] { return project.processes().empty(); }));
    for (const auto& tree : Project::names_in(project.records() / "worktrees"))
        project.git(
            {"worktree", "remove", "--force", (project.records() / "worktrees" / tree).string()});
    project.on("a", "echo a >a");
    auto ended = project.resume();
    CHECK(ended.code == 1);
    CHECK(project.asked() == "a");
    ended = project.resume({"--from-failed"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a a");
}

TEST_CASE("an interrupted step runs again as often as the configuration allows")
{
    for (const auto* const most : {"1", "2"}) {
        GitProject project;
        project.write(".tapps-agents/auto_execution_config.yaml",
                      std::string("auto_execution: {retry: {max_attempts: ") + most + "}}\n");
        project.committed_steps({"id: a, agent: x, action: y, idempotent: true"});
        project.on("a", "[ $tries -gt 1 ] && exit 0; sleep 1000");
        {
            Program program(project.start(GitProject::words()));
            project.wait_until_asked("a");
            program.signal(SIGKILL);
            (void)program.wait();
        }
        REQUIRE(eventually([&] { return project.processes().empty(); }));
        const bool again = std::string_view(most) == "2";
        CHECK(project.resume().code == (again ? 0 : 1));
        CHECK(project.asked() == (again ? "a a" : "a"));
    }
}

TEST_CASE("in a linked worktree steps begin from what is checked out there")
{
    GitProject project;
    project.committed_steps({"id: a, argv: [sh, -c, 'ls >list']"});
    const auto tree = project.worktree("feature");
    write_file(tree / "only-here", "");
    project.git_in(tree, {"add", "only-here"});
    project.git_in(tree, {"commit", "-q", "-m", "feature"});
    for (const Words& more : {Words{}, Words{"--base", "HEAD"}}) {
        auto start = project.start(GitProject::words(more));
        start.folder = tree;
        Program program(start);
        const auto ended = program.wait();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(contains(project.shown("list"), "only-here"));
    }
}

TEST_CASE("no step works in a bare repository")
{
    GitProject project;
    project.committed_steps({"id: a, argv: [sh, -c, 'echo a >a']"});
    const auto bare = project.root().parent_path() / "bare.git";
    project.git({"clone", "-q", "--bare", ".", bare.string()});
    auto start = project.start({"workflow", "run", (project.root() / "workflow.yaml").string()});
    start.folder = bare;
    Program program(start);
    const auto ended = program.wait();
    CHECK(ended.code == 3);
    CHECK_MESSAGE(contains(ended.err, "bare"), ended.err);
    CHECK_FALSE(fs::exists(bare / "a"));
}

TEST_CASE("a manual run is resumed as a manual run")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y"});
    {
        Program program(project.start(GitProject::words({"--manual"})));
        project.wait_for_state("a", "waiting_manual");
        program.signal(SIGKILL);
        (void)program.wait();
    }
    Program program(project.start({"workflow", "resume"}));
    REQUIRE(eventually([&] { return text_at(project.newest_run(), "state") == "running"; }));
    const auto step = project.newest_run().at("steps").at(0).as_object();
    write_file(fs::path(text_at(step, "worktree")) / "a", "by hand\n");
    CHECK(project.run({"workflow", "done", "a"}).code == 0);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked().empty());
    CHECK(project.shown("a") == "by hand\n");
}

TEST_SUITE_END();
