#include "support/git_project.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

using namespace autoexec::test;

namespace {

/// Steps in worktrees of their own.
Ended run_in_worktrees(const WorkflowProject& project)
{
    return project.run({"workflow", "run", "workflow.yaml"});
}

Words trees_of(const Project& project)
{
    return Project::names_in(project.records() / "worktrees");
}

std::vector<boost::json::object> listed(const Project& project)
{
    return objects_of(project.run({"worktree", "list", "--json"}).out);
}

/// A project with a run that has completed, and something in its worktree that is not committed.
class UsedProject : public WorkflowProject {
public:
    UsedProject()
    {
        steps({"id: a, agent: x, action: y"});
        on("a", "echo committed >a");
        write(".gitignore", "*.log\n");
        commit("A workflow");
        REQUIRE(run_in_worktrees(*this).code == 0);
        REQUIRE(trees_of(*this).size() == 1);
        write_file(tree() / "a", "changed\n");
        write_file(tree() / "new", "new\n");
        write_file(tree() / "it.log", "log\n");
    }
    [[nodiscard]] fs::path tree() const
    {
        const auto names = trees_of(*this);
        REQUIRE(!names.empty());
        return records() / "worktrees" / names.front();
    }
};

}  // namespace

TEST_SUITE_BEGIN("worktree");

TEST_CASE("worktrees of runs that have completed are removed, and what was in them can be restored")
{
    const UsedProject project;
    const auto before = listed(project);
    REQUIRE(before.size() == 1);
    CHECK(text_at(before[0], "state") == "dirty");
    CHECK(text_at(before[0], "run_state") == "completed");
    CHECK(contains(project.run({"worktree", "list"}).out, "  dirty     workflow-w-"));

    const auto told = objects_of(project.run({"worktree", "gc", "--json"}).out);
    REQUIRE(told.size() == 1);
    CHECK(text_at(told[0], "removed") == "true");
    CHECK(trees_of(project).empty());
    const auto branch = text_at(told[0], "branch");
    CHECK(project.git({"show", branch + ":a"}) == "committed\n");
    const auto ref = text_at(told[0], "saved_as");
    CHECK(text_at(listed(project).at(0), "ref") == ref);

    for (const Words& words : {Words{ref, "again"}, Words{text_at(told[0], "name")}}) {
        Words call = {"worktree", "restore", "--json"};
        call.insert(call.end(), words.begin(), words.end());
        const auto ended = project.run(call);
        CHECK_MESSAGE(ended.code == 0, ended.err);
        const fs::path tree = text_at(objects_of(ended.out).at(0), "path");
        CHECK(read_file(tree / "a") == "changed\n");
        CHECK(read_file(tree / "new") == "new\n");
        CHECK(!fs::exists(tree / "it.log"));
        CHECK(!project.git_in(tree, {"status", "--porcelain"}).empty());
    }
    CHECK(project.run({"worktree", "restore", "nothing"}).code == 2);
}

TEST_CASE("a reader may end before it has read the whole list of worktrees")
{
    const UsedProject project;
    auto start = project.start({});
    // Descriptor 4 is a pipe without a reader.
    const std::string no_reader = "mkfifo pipe; exec 3<>pipe 4>pipe 3>&-; ";
    const auto code_of = [&](const std::string& words) {
        start.argv = {"/bin/sh", "-c", "rm -f pipe; " + no_reader + program_path + words + " >&4"};
        Program program(start);
        return program.wait().code;
    };
    CHECK(code_of(" worktree list") == 0);
    CHECK(code_of(" worktree gc --dry-run") == 0);
    CHECK(code_of(" worktree gc") == 4);
}

TEST_CASE("files that git ignores are saved on request")
{
    const UsedProject project;
    CHECK(project.run({"worktree", "gc", "--include-ignored"}).code == 0);
    const auto ref = text_at(listed(project).at(0), "ref");
    CHECK(project.run({"worktree", "restore", ref, "again"}).code == 0);
    CHECK(read_file(project.records() / "worktrees/again/it.log") == "log\n");
}

TEST_CASE("a dry run prints what would be removed, and changes nothing")
{
    const UsedProject project;
    const auto refs = project.git({"for-each-ref"});
    const auto name = trees_of(project).front();
    const auto ended = project.run({"worktree", "gc", "--dry-run"});
    CHECK(ended.code == 0);
    CHECK(ended.out == "would remove " + name + ", and save its uncommitted work\n");
    CHECK(trees_of(project) == Words{name});
    CHECK(read_file(project.tree() / "new") == "new\n");
    CHECK(project.git({"for-each-ref"}) == refs);
}

TEST_CASE("worktrees that are young or of the newest runs are kept on request")
{
    const UsedProject project;
    CHECK(project.run({"worktree", "gc", "--older-than", "1h"}).code == 0);
    CHECK(project.run({"worktree", "gc", "--keep", "1"}).code == 0);
    CHECK(trees_of(project).size() == 1);
    REQUIRE(run_in_worktrees(project).code == 0);
    CHECK(project.run({"worktree", "gc", "--keep", "1"}).code == 0);
    REQUIRE(trees_of(project).size() == 1);
    CHECK(!fs::exists(project.tree() / "new"));
    CHECK(project.run({"worktree", "gc", "--older-than", "1ms"}).code == 0);
    CHECK(trees_of(project).empty());
}

TEST_CASE("the runs that are kept are counted, whether their worktrees are there or not")
{
    const UsedProject project;
    CHECK(project.run({"worktree", "gc"}).code == 0);
    REQUIRE(run_in_worktrees(project).code == 0);
    const auto older = trees_of(project);
    REQUIRE(run_in_worktrees(project).code == 0);
    // One that has none does not count.
    CHECK(project.run_workflow().code == 0);
    REQUIRE(trees_of(project).size() == 2);
    for (const auto& name : trees_of(project))
        if (Words{name} != older)
            project.git({"worktree", "remove", (project.records() / "worktrees" / name).string()});
    CHECK(project.run({"worktree", "gc", "--keep", "2"}).code == 0);
    CHECK(trees_of(project) == older);
    CHECK(project.run({"worktree", "gc", "--keep", "1"}).code == 0);
    CHECK(trees_of(project).empty());
}

TEST_CASE("a dry run tells what would stay, and why")
{
    const UsedProject project;
    const auto name = trees_of(project).front();
    project.git({"worktree", "lock", project.tree().string()});
    const auto ended = project.run({"worktree", "gc", "--dry-run"});
    CHECK(ended.code == 0);
    CHECK(ended.out.starts_with("would keep " + name + ": "));
    CHECK(contains(ended.out, "is locked. Unlock it: git worktree unlock"));
    const auto told = objects_of(project.run({"worktree", "gc", "--dry-run", "--json"}).out);
    REQUIRE(told.size() == 1);
    CHECK(contains(text_at(told[0], "problem"), "is locked"));
    CHECK(project.run({"worktree", "gc"}).code == 4);
    project.git({"worktree", "unlock", project.tree().string()});
    CHECK(project.run({"worktree", "gc"}).code == 0);
}

TEST_CASE("worktrees of a run that is being resumed are kept")
{
    const UsedProject project;
    const auto name = trees_of(project).front();
    const auto run_id = text_at(project.newest_run(), "run_id");
    const auto journal = project.records() / "workflow-state" / (run_id + ".jsonl");
    const int engine = ::open(journal.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(::flock(engine, LOCK_EX) == 0);
    const auto ended = project.run({"worktree", "gc"});
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "kept " + name + ": Its run is active."));
    CHECK(trees_of(project).size() == 1);
    ::close(engine);
    CHECK(project.run({"worktree", "gc"}).code == 0);
    CHECK(trees_of(project).empty());
}

TEST_CASE("the worktree of a conflict is removed with its run, whatever its name")
{
    GitProject project;
    const std::string id(90, 'w');
    project.workflow("id: " + id + R"(
steps:
  - {id: a, agent: x, action: y}
  - {id: b, agent: x, action: y}
)");
    project.on("a", "echo of a >shared");
    project.on("b", "echo of b >shared");
    project.commit("A workflow");
    CHECK(project.go().code == 1);
    REQUIRE(trees_of(project).size() == 3);
    for (const auto& tree : listed(project)) CHECK(text_at(tree, "run_state") == "failed");
    const auto run_id = text_at(project.newest_run(), "run_id");
    for (const auto& name : trees_of(project)) {
        const auto tree = project.records() / "worktrees" / name;
        if (!contains(read_file(tree / "shared"), "<<<<<<<")) continue;
        CHECK(!name.starts_with("workflow-" + run_id));
        write_file(tree / "shared", "of both\n");
        project.git_in(tree, {"commit", "-q", "-a", "-m", "Both"});
    }
    CHECK(project.resume().code == 0);
    CHECK(project.run({"worktree", "gc"}).code == 0);
    CHECK(trees_of(project).empty());
}

TEST_CASE("worktrees of runs that can go on stay, unless all are meant")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: y"});
    project.on("a", "echo >half; exit 1");
    project.commit("A workflow");
    CHECK(run_in_worktrees(project).code == 1);
    auto ended = project.run({"worktree", "gc"});
    CHECK(ended.code == 0);
    CHECK(ended.err == "Nothing to remove.\n");
    CHECK(project.run({"worktree", "gc", "--all"}).code == 2);
    CHECK(trees_of(project).size() == 1);
    ended = project.run({"worktree", "gc", "--all", "--older-than", "1ms"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, "; saved as refs/autoexec/salvage/"));
    CHECK(trees_of(project).empty());
}

TEST_CASE("worktrees of a run that is alive stay")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
    project.on("b", "while [ ! -e \"$stage/go\" ]; do sleep 0.01; done");
    project.commit("A workflow");
    Program program(project.start({"workflow", "run", "workflow.yaml"}));
    project.wait_until_asked("b");
    CHECK(project.run({"worktree", "gc", "--all", "--older-than", "1ms"}).code == 0);
    CHECK(trees_of(project).size() == 2);
    Words states;
    for (const auto& tree : listed(project)) states.push_back(text_at(tree, "state"));
    CHECK(joined(states) == "clean busy");
    write_file(project.stage() / "go", "");
    CHECK(program.wait().code == 0);
}

TEST_CASE("a worktree whose .git was replaced is not called clean")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: y"});
    project.commit("A workflow");
    CHECK(project.run({"workflow", "run", "workflow.yaml"}).code == 0);
    REQUIRE(trees_of(project).size() == 1);
    REQUIRE(listed(project).size() == 1);
    const fs::path tree = text_at(listed(project).front(), "path");
    CHECK(text_at(listed(project).front(), "state") == "clean");
    fs::remove(tree / ".git");
    CHECK(text_at(listed(project).front(), "state") == "replaced");
    CHECK(contains(project.run({"worktree", "list"}).out, " replaced "));
}

TEST_CASE("without a repository the verbs about worktrees say so")
{
    const Project project;
    fs::remove_all(project.root() / ".git");
    for (const Words& words :
         {Words{"worktree", "list"}, Words{"worktree", "gc"}, Words{"worktree", "restore", "it"},
          Words{"worktree", "drop", "it"}}) {
        const auto ended = project.run(words);
        CHECK(ended.code == 3);
        CHECK_MESSAGE(contains(ended.err, "is not in a git repository"), ended.err);
    }
}

TEST_SUITE_END();
