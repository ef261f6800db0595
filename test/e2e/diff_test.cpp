#include "support/git_project.hpp"
#include "support/terminal.hpp"

#include <boost/json/array.hpp>

using namespace autoexec::test;

namespace {

/// The id of the newest command.
std::string newest_execution(const Project& project)
{
    const auto lines = objects_of(project.run({"history", "--json", "-n", "1"}).out);
    REQUIRE(lines.size() == 1);
    return text_at(lines[0], "execution_id");
}

/// A project with a run of two steps that has completed.
class DiffedProject : public GitProject {
public:
    DiffedProject()
    {
        committed_steps(
            {"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
        on("a", "echo one >a; echo one >>file");
        on("b", "cat a >b; rm a");
        REQUIRE(go().code == 0);
    }
    [[nodiscard]] std::string run_id() const { return text_at(newest_run(), "run_id"); }
};

}  // namespace

TEST_SUITE_BEGIN("diff");

TEST_CASE("diff shows what a command has changed in its worktree, also when it is not committed")
{
    Project project;
    REQUIRE(project
                .run({"run", "--new-worktree", "w",
                      "echo new >new; echo three >file; git add new; git commit -qm mine new"})
                .code == 0);
    const auto id = newest_execution(project);
    const auto tree = project.records() / "worktrees/w";
    const auto before = project.git_in(tree, {"status", "--porcelain"});

    const auto ended = project.run({"diff", id});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "+++ b/new\n@@ -0,0 +1 @@\n+new\n"));
    CHECK(contains(ended.out, "-two\n+three\n"));
    CHECK(project.run({"diff", id.substr(id.size() - 8)}).out == ended.out);
    CHECK(project.git_in(tree, {"status", "--porcelain"}) == before);

    const auto stat = project.run({"diff", id, "--stat"});
    CHECK(contains(stat.out, " 2 files changed, 2 insertions(+), 1 deletion(-)\n"));
    CHECK(project.run({"diff", id, "--name-only"}).out == "file\nnew\n");
    CHECK(project.run({"diff", id, "--name-only", "--", "ne*"}).out == "new\n");

    const auto objects = objects_of(project.run({"diff", id, "--json"}).out);
    REQUIRE(objects.size() == 1);
    CHECK(text_at(objects[0], "execution_id") == id);
    CHECK(text_at(objects[0], "worktree") == tree.string());
    CHECK(text_at(objects[0], "base") + "\n" == project.git({"rev-parse", "main"}));
    CHECK(text_at(objects[0], "commit") + "\n" == project.git({"rev-parse", "workflow/w"}));
    const auto& files = objects[0].at("files").as_array();
    REQUIRE(files.size() == 2);
    CHECK(text_at(files[0].as_object(), "path") == "file");
    CHECK(text_at(files[0].as_object(), "state") == "changed");
    CHECK(text_at(files[0].as_object(), "added") == "1");
    CHECK(text_at(files[1].as_object(), "state") == "added");
}

TEST_CASE("diff shows the work of each of several commands in one worktree")
{
    Project project;
    const auto run = [&](const std::string& command) {
        (void)project.run({"run", "--retry", "0", "--new-worktree", "w", "--reuse", command});
        return newest_execution(project);
    };
    const auto first = run("echo 1 >first");
    const auto second = run("echo 2 >second; git add .; git commit -qm mine; echo 2 >more");
    const auto failed = run("echo 3 >third; exit 1");
    CHECK(project.run({"diff", first, "--name-only"}).out == "first\n");
    CHECK(project.run({"diff", second, "--name-only"}).out == "more\nsecond\n");
    CHECK(project.run({"diff", failed, "--name-only"}).out == "third\n");
    const auto last = run("echo 4 >last");
    CHECK(project.run({"diff", first, "--name-only"}).out == "first\n");
    CHECK(project.run({"diff", last, "--name-only"}).out == "last\nthird\n");
}

TEST_CASE("a diff can be applied, and says when nothing was changed")
{
    Project project;
    REQUIRE(project
                .run({"run", "--new-worktree", "w",
                      "printf 'a\\033[2Jb\\n' >file; printf 'a\\000b' >binary"})
                .code == 0);
    project.git({"config", "diff.noprefix", "true"});
    write_file(project.root().parent_path() / "patch",
               project.run({"diff", newest_execution(project)}).out);
    project.git({"apply", (project.root().parent_path() / "patch").string()});
    CHECK(read_file(project.root() / "file") == "a\x1b[2Jb\n");
    CHECK(read_file(project.root() / "binary") == std::string("a\0b", 3));
    project.git({"checkout", "-q", "file"});

    REQUIRE(project.run({"run", "--new-worktree", "idle", "true"}).code == 0);
    const auto id = newest_execution(project);
    const auto nothing = project.run({"diff", id});
    CHECK(nothing.code == 0);
    CHECK(nothing.out.empty());
    CHECK(nothing.err == "execution " + id + ": no changes\n");
}

TEST_CASE("diff shows the work of a run and of each of its steps")
{
    DiffedProject project;
    const auto run = project.run({"diff", project.run_id(), "--name-only"});
    CHECK(run.code == 0);
    CHECK(run.out == "b\nfile\n");
    CHECK(project.run({"diff", project.run_id(), "a", "--name-only"}).out == "a\nfile\n");
    const auto b = project.run({"diff", project.run_id(), "b"});
    CHECK(contains(b.out, "rename from a\nrename to b\n"));
    const auto objects = objects_of(project.run({"diff", project.run_id(), "b", "--json"}).out);
    REQUIRE(objects.size() == 1);
    CHECK(text_at(objects[0], "step_id") == "b");
    const auto& file = objects[0].at("files").as_array().at(0).as_object();
    CHECK(text_at(file, "old_path") == "a");
    CHECK(text_at(file, "state") == "renamed");

    // The execution of a step is its work, not what its worktree contains now.
    const auto execution = text_at(objects[0], "execution_id");
    write_file(fs::path(text_at(objects[0], "worktree")) / "later", "later\n");
    CHECK(project.run({"diff", execution}).out == b.out);
}

TEST_CASE("diff shows the steps of a run that has not merged them")
{
    GitProject project;
    project.committed_steps(
        {"id: a, agent: x, action: y", "id: b, agent: x, action: y, depends_on: [a]"});
    project.on("a", "echo one >a");
    project.on("b", "echo half >b; exit 1");
    REQUIRE(project.go().code == 1);
    const auto run = text_at(project.newest_run(), "run_id");
    CHECK(contains(project.run({"diff", run, "b"}).out, "+half\n"));
    CHECK(project.run({"diff", run, "a", "--name-only"}).out == "a\n");
    const auto unknown = project.run({"diff", run, "c"});
    CHECK(unknown.code == 2);
    CHECK(contains(unknown.err, "has no step 'c'; its steps: a, b"));
}

TEST_CASE("diff runs no program that a repository configures")
{
    Project project;
    project.write(".gitattributes", "* diff=evil\n");
    project.commit("attributes");
    REQUIRE(project.run({"run", "--new-worktree", "w", "echo three >file"}).code == 0);
    const auto ran = project.root().parent_path() / "ran";
    for (const auto* const key :
         {"diff.evil.command", "diff.evil.textconv", "diff.external", "core.pager", "pager.diff"})
        project.git({"config", key, "touch " + ran.string() + ";cat"});
    const auto ended = project.run({"diff", newest_execution(project)});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "-two\n+three\n"));
    project.set("PAGER", "cat");
    Program program(on_terminal(project, {"diff", newest_execution(project)}));
    CHECK(program.wait().code == 0);
    CHECK(contains(program.screen(), "+three"));
    CHECK_FALSE(fs::exists(ran));
}

TEST_CASE("on a terminal, diff uses the pager and colours, and no control character of a file")
{
    Project project;
    REQUIRE(project.run({"run", "--new-worktree", "w", "printf 'a\\033]0;title\\007b\\n' >file"})
                .code == 0);
    const auto id = newest_execution(project);
    const auto paged = project.root().parent_path() / "paged";
    project.set("PAGER", "tee " + paged.string());
    Program program(on_terminal(project, {"diff", id}));
    CHECK(program.wait().code == 0);
    CHECK(contains(program.screen(), "\x1b[32m+a\\x1b]0;title\\x07b\x1b[m"));
    CHECK(contains(read_file(paged), "\x1b[31m-two\x1b[m\n"));

    project.set("NO_COLOR", "1");
    project.set("PAGER", "no-such-pager");
    Program plain(on_terminal(project, {"diff", id}));
    CHECK(plain.wait().code == 0);
    CHECK(contains(plain.screen(), "+a\\x1b]0;title"));
    CHECK_FALSE(contains(plain.screen(), "\x1b[32m"));
    CHECK(contains(project.run({"diff", id, "--color", "always"}).out, "\x1b[31m-two\x1b[m\n"));
}

TEST_CASE("diff explains what it cannot compare")
{
    DiffedProject project;
    auto ended = project.run({"diff", "none"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "no execution and no run matches 'none'"));
    CHECK(project.run({"diff"}).code == 2);
    CHECK(project.run({"diff", project.run_id(), "--stat", "--name-only"}).code == 2);

    REQUIRE(project.run({"run", "--new-worktree", "w", "true"}).code == 0);
    const auto id = newest_execution(project);
    project.git({"worktree", "remove", "--force", ".tapps-agents/worktrees/w"});
    ended = project.run({"diff", id});
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "is not a worktree of this repository, or was removed"));
    ended = project.run({"open", id, "--print"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "does not exist any more"));
}

TEST_CASE("open starts the editor in the worktree, or prints its path")
{
    DiffedProject project;
    const auto run = project.run_id();
    const auto tree = fs::path(lines_of(project.run({"open", run, "b", "--print"}).out).at(0));
    CHECK(fs::exists(tree / "b"));
    const auto objects = objects_of(project.run({"open", run, "b", "--json"}).out);
    REQUIRE(objects.size() == 1);
    CHECK(text_at(objects[0], "worktree") == tree.string());
    CHECK(text_at(objects[0], "branch").starts_with("workflow/"));

    const auto without = project.run({"open", run, "b"});
    CHECK(without.code == 2);
    CHECK(contains(without.err, "set VISUAL or EDITOR"));
    const auto opened = project.root().parent_path() / "opened";
    project.set("EDITOR", "false");
    CHECK(project.run({"open", run, "b"}).code == 1);
    project.set("VISUAL", "printf '%s\\n' >" + opened.string());
    CHECK(project.run({"open", run, "b"}).code == 0);
    CHECK(read_file(opened) == tree.string() + "\n");
    project.set("VISUAL", "no-such-editor");
    CHECK(contains(project.run({"open", run, "b"}).err, "cannot run the editor 'no-such-editor'"));

    // A journal that came with a repository.
    const auto journal = project.records() / "workflow-state" / (run + ".jsonl");
    auto text = read_file(journal);
    const auto place = "\"" + tree.string() + "\"";
    for (auto at = text.find(place); at != text.npos; at = text.find(place))
        text.replace(at, place.size(), "\"-evil\"");
    write_file(journal, text);
    fs::create_directories(project.root() / "-evil");
    project.set("VISUAL", "printf '%s\\n' >" + opened.string());
    CHECK(project.run({"open", run, "b"}).code == 0);
    CHECK(read_file(opened) == (project.root() / "-evil").string() + "\n");

    const auto whole = project.run({"open", run, "--print"});
    CHECK(whole.code == 2);
    CHECK(contains(whole.err, "is on the branch workflow/" + run + "; name a step"));
}

TEST_SUITE_END();
