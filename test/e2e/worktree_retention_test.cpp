#include "support/git_project.hpp"

using namespace autoexec::test;

namespace {

/// Two steps, one after the other, each with a worktree of its own.
class Steps : public GitProject {
public:
    Steps()
    {
        write(".gitignore", ".tapps-agents/*.yaml\n");
        committed_steps(
            {"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
        on("a", "date +%N >a");
        on("b", "date +%N >b");
    }
    void configure(std::string_view text) const
    {
        write(".tapps-agents/auto_execution_config.yaml",
              "auto_execution:\n  worktrees:\n    " + std::string(text) + "\n");
    }
    [[nodiscard]] Words trees() const { return names_in(records() / "worktrees"); }
    [[nodiscard]] Words branches() const
    {
        return lines_of(
            git({"for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/workflow"}));
    }
    Ended gc(const Words& more = {}) const
    {
        Words words = {"worktree", "gc"};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
};

}  // namespace

TEST_SUITE_BEGIN("worktree_retention");

TEST_CASE("settings say which worktrees stay, and options of the call win over them")
{
    const Steps project;
    REQUIRE(project.go().code == 0);
    REQUIRE(project.go().code == 0);
    REQUIRE(project.trees().size() == 4);
    project.configure("older_than: 1h");
    CHECK(project.gc().err == "Nothing to remove.\n");
    project.configure("older_than: 1w");
    CHECK(project.gc().code == 0);
    CHECK(project.trees().size() == 4);
    project.configure("keep: 1");
    CHECK(project.gc().code == 0);
    CHECK(project.trees().size() == 2);
    project.configure("{keep: 5, older_than: 2d}");
    CHECK(project.gc({"--keep", "0"}).code == 0);
    CHECK(project.gc({"--older-than", "0"}).code == 0);
    CHECK(project.trees().size() == 2);
    CHECK(project.gc({"--keep", "0", "--older-than", "0"}).code == 0);
    CHECK(project.trees().empty());
}

TEST_CASE("nothing is removed as long as the configuration is wrong")
{
    const Steps project;
    REQUIRE(project.go().code == 0);
    project.configure("older_than: 7days");
    const auto ended = project.gc();
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "worktrees.older_than must be a duration"));
    CHECK(project.trees().size() == 2);
}

TEST_CASE("the original's settings for cleaning up remove nothing")
{
    const Steps project;
    project.write(".tapps-agents/config.yaml",
                  "workflow:\n  branch_cleanup:\n    enabled: true\n    retention_days: 0\n"
                  "    delete_branches_on_cleanup: true\n    auto_cleanup_on_completion: true\n");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK_MESSAGE(!contains(ended.err, "branch_cleanup"), ended.err);
    CHECK(project.trees().size() == 2);
    CHECK(project.branches().size() == 3);
}

TEST_CASE("worktrees go after a run that has completed, if that is configured")
{
    const Steps project;
    project.configure("{auto_gc: true, keep: 1}");
    auto ended = project.go();
    CHECK(ended.code == 0);
    CHECK(!contains(ended.err, "Removed"));
    CHECK(project.trees().size() == 2);
    const auto first = project.trees();
    write_file(project.records() / "worktrees" / first.front() / "more", "more\n");
    ended = project.go({"--json"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err,
                   "Removed 2 worktrees of completed runs; saved the work in 1 "
                   "(see autoexec worktree list).\n"));
    CHECK(text_at(objects_of(ended.out).back(), "event") == "result");
    CHECK(project.trees().size() == 2);
    CHECK(project.trees() != first);
    CHECK(project.branches().size() == 6);

    project.configure("{auto_gc: true, delete_branches: true}");
    project.on("b", "exit 1");
    CHECK(project.go().code == 1);
    CHECK(project.trees().size() == 4);
    project.on("b", "echo >b");
    ended = project.resume({"--from-failed", "-q"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(!contains(ended.err, "Removed"));
    CHECK(project.trees().empty());
    // The runs' own are nowhere else.
    CHECK(project.branches().size() == 3);
}

TEST_CASE("what must stay free is configured")
{
    Steps project;
    project.set("AUTOEXEC_WORKTREES_FREE_SPACE_FLOOR", "562949953421312");
    const auto ended = project.go({"--json"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.out, "a new worktree needs 536870912 MiB"));
    CHECK(project.trees().empty());
    project.set("AUTOEXEC_WORKTREES_FREE_SPACE_FLOOR", "0");
    CHECK(project.go().code == 0);
    write_file(project.records() / "worktrees" / project.trees().front() / "a", "changed\n");
    CHECK(project.gc().code == 0);
    const auto saved = objects_of(project.run({"worktree", "list", "--json"}).out);
    REQUIRE(saved.size() == 1);
    project.set("AUTOEXEC_WORKTREES_FREE_SPACE_FLOOR", "562949953421312");
    CHECK(project.run({"worktree", "restore", text_at(saved[0], "ref")}).code == 4);
}

TEST_CASE(
    "branches of steps go when another one has their work, and that of the run when yours has")
{
    const Steps project;
    REQUIRE(project.go().code == 0);
    const auto own = project.branch();
    REQUIRE(project.branches().size() == 3);
    auto ended = project.gc({"--branches", "--dry-run"});
    CHECK(ended.code == 0);
    CHECK(lines_of(ended.out).size() == 4);
    CHECK(contains(ended.out, "would delete branch workflow/workflow-w-"));
    CHECK(contains(ended.out, ": " + own + " has its work\n"));
    CHECK(project.branches().size() == 3);

    ended = project.gc({"--branches"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.branches() == Words{own});
    CHECK(project.trees().empty());
    CHECK(project.gc({"--branches"}).err == "Nothing to remove.\n");
    project.git({"merge", "-q", own});
    const auto told = objects_of(project.gc({"--branches", "--json"}).out);
    REQUIRE(told.size() == 1);
    CHECK(text_at(told[0], "branch") == own);
    CHECK(text_at(told[0], "removed") == "true");
    CHECK(text_at(told[0], "held_by") == "main");
    CHECK(project.branches().empty());
    // Its steps' work is in yours.
    ended = project.resume({text_at(project.newest_run(), "run_id"), "--from", "b"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.listed() == ".gitignore a b file workflow.yaml");
}

TEST_CASE("branches whose worktrees went earlier are found, and those that are needed stay")
{
    const Steps project;
    REQUIRE(project.go().code == 0);
    REQUIRE(project.go().code == 0);
    const auto trees = project.trees();
    REQUIRE(trees.size() == 4);
    CHECK(project.gc({"--keep", "1"}).code == 0);
    CHECK(project.branches().size() == 6);
    CHECK(project.gc({"--branches", "--keep", "2"}).code == 0);
    CHECK(project.gc({"--branches", "--older-than", "1h"}).code == 0);
    CHECK(project.branches().size() == 6);
    // Those of the newer run still have their worktrees.
    CHECK(project.gc({"--branches", "--keep", "1"}).code == 0);
    CHECK(project.branches().size() == 4);
    CHECK(project.trees().size() == 2);

    CHECK(project.gc().code == 0);
    project.configure("delete_branches: true");
    CHECK(project.gc({"--no-branches"}).err == "Nothing to remove.\n");
    auto branches = project.branches();
    std::erase_if(branches, [](const auto& name) { return !contains(name, "-step-"); });
    REQUIRE(branches.size() == 2);
    const auto elsewhere = project.root().parent_path() / "elsewhere";
    project.git({"worktree", "add", "-q", elsewhere.string(), branches[0]});
    project.git({"update-ref", "refs/heads/" + branches[1],
                 project.git({"commit-tree", branches[1] + "^{tree}", "-p", branches[1], "-m", "x"})
                     .substr(0, 40)});
    const auto ended = project.gc();
    CHECK(ended.code == 0);
    CAPTURE(ended.err);
    CHECK(contains(ended.err, "kept branch " + branches[0] + ": It is checked out in "));
    CHECK(contains(ended.err, "kept branch " + branches[1] +
                                  ": It has commits that are on no other branch.\n"));
    CHECK(project.branches().size() == 4);
}

TEST_CASE("a run that can be resumed still can when its worktrees and branches are removed")
{
    const Steps project;
    project.on("b", "exit 1");
    REQUIRE(project.go().code == 1);
    CHECK(project.gc({"--branches"}).err == "Nothing to remove.\n");
    const auto ended = project.gc({"--branches", "--all", "--older-than", "0"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.trees().empty());
    // What a has made is nowhere else.
    CHECK(project.branches() == Words{project.branch()});
    project.on("b", "echo >b");
    const auto again = project.resume({"--from-failed"});
    CHECK_MESSAGE(again.code == 0, again.err);
    CHECK(project.asked() == "a b b");
    CHECK(project.listed() == ".gitignore a b file workflow.yaml");
}

TEST_CASE("the branch of a run whose steps took turns in one worktree stays")
{
    GitProject project;
    project.workflow(R"(
id: w
worktree: workflow
steps:
  - {id: a, agent: x, action: y}
)");
    project.on("a", "echo >a");
    project.commit("A workflow");
    REQUIRE(project.go().code == 0);
    const auto own = project.branch();
    project.git({"merge", "-q", own});
    CHECK(project.run({"worktree", "gc", "--branches"}).code == 0);
    CHECK(Project::names_in(project.records() / "worktrees").empty());
    CHECK(!project.rev(own).empty());
}

TEST_CASE("saved work is dropped only on request, and its commit is printed")
{
    const Steps project;
    REQUIRE(project.go().code == 0);
    for (const auto& name : project.trees())
        write_file(project.records() / "worktrees" / name / "more", name);
    CHECK(project.gc().code == 0);
    const auto saved = [&] { return objects_of(project.run({"worktree", "list", "--json"}).out); };
    const auto before = saved();
    REQUIRE(before.size() == 2);
    CHECK(project.run({"worktree", "drop"}).code == 2);
    CHECK(project.run({"worktree", "drop", "nothing"}).code == 2);
    // Not by the worktree alone: there may be more of it some day.
    CHECK(project.run({"worktree", "drop", text_at(before[0], "tree")}).code == 2);
    CHECK(project.run({"worktree", "drop", text_at(before[0], "ref"), "nothing"}).code == 2);
    CHECK(project.run({"worktree", "drop", "x", "--older-than", "1d"}).code == 2);
    CHECK(project.run({"worktree", "drop", "--older-than", "30d"}).err == "Nothing to drop.\n");
    CHECK(saved().size() == 2);

    const auto ref = text_at(before[0], "ref");
    const auto commit = text_at(before[0], "commit");
    auto ended = project.run({"worktree", "drop", ref, "--dry-run"});
    CHECK(ended.out == "would drop " + ref + " (was " + commit + ")\n");
    CHECK(saved().size() == 2);
    ended = project.run({"worktree", "drop", ref.substr(ref.rfind('/') + 1), ref});
    CHECK(ended.code == 0);
    CHECK(ended.out == "dropped " + ref + " (was " + commit + ")\n");
    CHECK(contains(ended.err, "git branch NAME COMMIT"));
    REQUIRE(saved().size() == 1);
    CHECK(text_at(saved()[0], "ref") == text_at(before[1], "ref"));
    project.git({"branch", "back", commit});
    CHECK(project.git({"show", "back:more"}) == text_at(before[0], "tree"));

    const auto told =
        objects_of(project.run({"worktree", "drop", "--older-than", "1ms", "--json"}).out);
    REQUIRE(told.size() == 1);
    CHECK(text_at(told[0], "dropped") == "true");
    CHECK(text_at(told[0], "commit") == text_at(before[1], "commit"));
    CHECK(saved().empty());
}

TEST_CASE("gc with an age removes the worktrees of commands that completed, and saves their work")
{
    Project project;
    for (const auto* name : {"done", "failed"})
        project.run(
            {"run", "-q", "--new-worktree", name, "echo work >made; basename $PWD | grep done"});
    const auto has = [&](const std::string& name) {
        return fs::exists(project.records() / "worktrees" / name);
    };
    write_file(project.records() / "worktrees/done/later", "more\n");
    CHECK(project.run({"worktree", "gc"}).code == 0);
    CHECK(has("done"));
    const auto ended = project.run({"worktree", "gc", "--older-than", "1ms"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "saved as refs/"));
    CHECK_FALSE(has("done"));
    CHECK(has("failed"));
    CHECK(contains(project.git({"branch", "--list", "workflow/done"}), "workflow/done"));
    CHECK(project.run({"worktree", "restore", "done", "saved"}).code == 0);
    CHECK(read_file(project.records() / "worktrees/saved/later") == "more\n");
    CHECK(project.git({"show", "workflow/done:made"}) == "work\n");
}

TEST_SUITE_END();
