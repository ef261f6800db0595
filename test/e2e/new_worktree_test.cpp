#include "support/project.hpp"

#include <boost/json/serialize.hpp>

using namespace autoexec::test;

TEST_SUITE_BEGIN("new worktree");

TEST_CASE("what a completed command leaves in its new worktree is committed to its branch")
{
    Project project;
    project.write(".gitignore", "*.log\n");
    project.commit("ignore");
    auto ended = project.run({"run", "--new-worktree", "w", "echo made >made; echo log >it.log"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "The work is on the branch workflow/w: git merge workflow/w\n"));
    CHECK(project.git({"show", "workflow/w:made"}) == "made\n");
    CHECK(project.git({"diff", "--name-only", "main", "workflow/w"}) == "made\n");
    const auto message = project.git({"log", "-1", "--format=%B", "workflow/w"});
    CHECK(message.starts_with("echo made >made; echo log >it.log\n\nExecution: "));
    CHECK(project.git_in(project.records() / "worktrees/w", {"status", "--porcelain"}).empty());

    ended = project.run({"run", "-q", "--new-worktree", "idle", "true"});
    CHECK_FALSE(contains(ended.err, "The work is on the branch"));
    CHECK(project.git({"rev-parse", "workflow/idle"}) == project.git({"rev-parse", "main"}));

    // As of a step, the changes of a command that has failed stay in its worktree.
    ended = project.run({"run", "--new-worktree", "failed", "echo half >half; exit 1"});
    CHECK(ended.code == 1);
    CHECK_FALSE(contains(ended.err, "The work is on the branch"));
    CHECK(project.git({"rev-parse", "workflow/failed"}) == project.git({"rev-parse", "main"}));
    CHECK(fs::exists(project.records() / "worktrees/failed/half"));
}

TEST_CASE("a command in a worktree that exists leaves commits to others")
{
    Project project;
    const auto tree = project.worktree("tree");
    const auto before = project.git({"rev-parse", "tree"});
    CHECK(project.run({"run", "-w", tree, "echo made >made"}).code == 0);
    CHECK(project.git({"rev-parse", "tree"}) == before);
}

TEST_CASE("a name in use is refused in one sentence, unless its worktree is to be reused")
{
    Project project;
    REQUIRE(project.run({"run", "--new-worktree", "w", "echo one >a"}).code == 0);
    auto ended = project.run({"run", "--json", "--new-worktree", "w", "echo two >a"});
    CHECK(ended.code == 4);
    CHECK(contains(text_at(objects_of(ended.out).at(0), "error"),
                   "worktrees/w already exists. Choose another name, or use --reuse to run the "
                   "command there."));
    ended = project.run({"run", "--new-worktree", "w", "--reuse", "cat a >b; echo two >a"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.git({"show", "workflow/w:a"}) == "two\n");
    CHECK(project.git({"show", "workflow/w:b"}) == "one\n");
    CHECK(project.git({"rev-list", "--count", "main..workflow/w"}) == "2\n");

    // Only its branch is left.
    project.git({"worktree", "remove", "--force", ".tapps-agents/worktrees/w"});
    ended = project.run({"run", "--new-worktree", "w", "true"});
    CHECK(ended.code == 4);
    CHECK(project.run({"run", "--new-worktree", "w", "--reuse", "grep two a"}).code == 0);
    CHECK(project.run({"run", "--new-worktree", "fresh", "--reuse", "true"}).code == 0);
}

TEST_CASE("a detached command commits before it has ended for those who wait")
{
    Project project;
    const auto submit = [&](Words words) {
        words.insert(words.begin(), {"run", "--detach"});
        return lines_of(project.run(words).out).at(0);
    };
    CHECK(project.run({"wait", submit({"--new-worktree", "w", "echo one >a"})}).code == 0);
    CHECK(project.git({"show", "workflow/w:a"}) == "one\n");
    CHECK(project.run({"wait", submit({"--new-worktree", "w", "echo two >a"})}).code != 0);
    CHECK(project.run({"wait", submit({"--new-worktree", "w", "--reuse", "echo two >a"})}).code ==
          0);
    CHECK(project.git({"show", "workflow/w:a"}) == "two\n");

    // The second one waits until the first has created the worktree, and then for its end.
    const auto first = submit({"--new-worktree", "both", "--reuse", "echo one >>a"});
    const auto second = submit({"--new-worktree", "both", "--reuse", "echo two >>a"});
    CHECK(project.run({"wait", first, second}).code == 0);
    CHECK(lines_of(project.git({"show", "workflow/both:a"})).size() == 2);
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("a command in a worktree that was created for it commits also after a kill or a failure")
{
    Project project;
    project.git({"worktree", "add", "-q", "-b", "workflow/tree",
                 (project.records() / "worktrees/tree").string()});
    // As an engine of the queue leaves it that is killed before the command has begun.
    const std::string id = "01920000-0000-7000-8000-00000000abcd";
    boost::json::object request{{"version", "1.0"},
                                {"id", id},
                                {"priority", 0},
                                {"command",
                                 {{"command", "echo made >made"},
                                  {"agent", "autoexec run"},
                                  {"worktree", (project.records() / "worktrees/tree").string()},
                                  {"created_worktree", "tree"}}}};
    const auto file = project.records() / "queue/started" / (id + ".json");
    write_file(file, boost::json::serialize(request));
    for (const auto* const folder : {"", "queue", "queue/started"})
        fs::permissions(project.records() / folder, fs::perms(0700));
    fs::permissions(file, fs::perms(0600));
    CHECK(project.run({"queue", "run"}).code == 0);
    CHECK(project.run({"wait", id}).code == 0);
    CHECK(project.git({"show", "workflow/tree:made"}) == "made\n");

    CHECK(project.run({"run", "--new-worktree", "w", "--retry", "0", "test -e more && mv more a"})
              .code == 1);
    write_file(project.records() / "worktrees/w/more", "more\n");
    const auto failed = objects_of(project.run({"history", "--json", "-n", "1"}).out).at(0);
    const auto again = project.run({"rerun", text_at(failed, "execution_id")});
    CHECK_MESSAGE(again.code == 0, again.err);
    CHECK(contains(again.err, "The work is on the branch workflow/w: git merge workflow/w\n"));
    CHECK(project.git({"show", "workflow/w:a"}) == "more\n");
}

TEST_SUITE_END();
