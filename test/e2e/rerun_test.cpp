#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

using namespace autoexec::test;

namespace {

/// An agent whose program notes its arguments and its input, and reports the session `s-1`.
struct SessionProject : Project {
    explicit SessionProject(const Words& more)
    {
        write("claude", R"sh(echo "$*" >> args
cat >> prompts
echo >> prompts
echo '{"type":"system","subtype":"init","session_id":"s-1","model":"m-1"}'
echo '{"type":"result","subtype":"success","is_error":false,"session_id":"s-1"}'
)sh");
        Words fields = {"outcome: claude", "stdin: \"{command}\"", "resume: --resume {session}"};
        fields.insert(fields.end(), more.begin(), more.end());
        add_agent("coder", "/bin/sh '" + (root() / "claude").string() + "' x {resume}", fields);
    }
};

std::string newest_id(const Project& project)
{
    const auto rows = objects_of(project.run({"history", "--json", "-n", "1"}).out);
    REQUIRE(rows.size() == 1);
    return text_at(rows[0], "execution_id");
}

std::size_t runs_of(const Project& project)
{
    return lines_of(read_file(project.root() / "ran")).size();
}

}  // namespace

TEST_SUITE_BEGIN("rerun");

TEST_CASE("a detached command runs again as it was")
{
    Project project;
    project.set("WORD", "here");
    const auto submitted =
        project.run({"run", "--detach", "--env", "WORD", "--expect", "ran", "echo $WORD >> ran"});
    REQUIRE_MESSAGE(submitted.code == 0, submitted.err);
    const auto id = lines_of(submitted.out).at(0);
    CHECK(project.run({"wait", id}).code == 0);

    const auto again = project.run({"rerun", id.substr(id.size() - 8), "--json"});
    CHECK_MESSAGE(again.code == 0, again.err);
    const auto result = objects_of(again.out).at(0);
    CHECK(text_at(result, "execution_id") != id);
    CHECK(text_at(result, "verified") == "all");

    const auto third = project.run({"rerun", id, "--detach"});
    REQUIRE_MESSAGE(third.code == 0, third.err);
    const auto new_id = lines_of(third.out).at(0);
    CHECK(project.run({"wait", new_id}).code == 0);
    CHECK(lines_of(read_file(project.root() / "ran")) == Words(3, "here"));
    const auto file = read_file(project.records() / "queue/ended" / (new_id + ".json"));
    const auto kept = boost::json::parse(file).as_object();
    CHECK(text_at(kept.at("request").as_object(), "rerun_of") == id);
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("a command that was cancelled in the queue can run later")
{
    Project project;
    CHECK(project.run({"pause"}).code == 0);
    const auto id =
        lines_of(project.run({"run", "--detach", "pwd > ran", "--new-worktree", "t"}).out).at(0);
    CHECK(project.run({"rerun", id}).code == 2);
    CHECK(project.run({"cancel", id}).code == 0);
    CHECK(project.run({"resume"}).code == 0);
    const auto again = project.run({"rerun", id});
    CHECK_MESSAGE(again.code == 0, again.err);
    CHECK(fs::exists(project.records() / "worktrees/t/ran"));
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("a command of the foreground runs again as it was")
{
    Project project;
    project.set("WORD", "here");
    const auto run = [&](const Words& options) {
        Words words{"run", "--env", "WORD", "--expect", "ran", "--retry", "0"};
        words.insert(words.end(), options.begin(), options.end());
        return words;
    };
    const std::string command = "echo $WORD >> ran; ! test -e fail";
    bool is_killed = false;
    SUBCASE("a text")
    {
        CHECK(project.run(run({command})).code == 0);
    }
    SUBCASE("a program")
    {
        CHECK(project.run(run({"--", "sh", "-c", command})).code == 0);
    }
    SUBCASE("of a list, in a new worktree")
    {
        const auto line = R"({"command": "sh -c 'echo $WORD >> ran; ! test -e fail'", )"
                          R"("new_worktree": "t"})";
        CHECK(project.run(run({"--list", "-"}), line).code == 0);
        fs::create_symlink(project.records() / "worktrees/t/ran", project.root() / "ran");
    }
    SUBCASE("killed meanwhile")
    {
        Program killed(project.start(run({command + "; exec sleep 1000"})));
        project.wait_for_running(1);
        REQUIRE(eventually([&] { return fs::exists(project.root() / "ran"); }));
        killed.signal(SIGKILL);
        killed.wait();
        // Records the end of the attempt.
        CHECK(project.run({"run", "true", "-w", project.worktree("other").string()}).code == 0);
        is_killed = true;
    }
    std::string id;
    for (const auto& row : objects_of(project.run({"history", "--json"}).out))
        if (contains(text_at(row, "command"), "WORD")) id = text_at(row, "execution_id");
    if (is_killed) {
        Program again(project.start({"rerun", id}));
        CHECK(eventually([&] { return runs_of(project) == 2; }));
        again.signal(SIGINT);
        again.wait();
    } else {
        const auto again = project.run({"rerun", id, "--json"});
        CHECK_MESSAGE(again.code == 0, again.err);
        CHECK_FALSE(contains(again.err, "recorded"));
        CHECK(text_at(objects_of(again.out).at(0), "verified") == "all");
        const auto detached = project.run({"rerun", id, "--detach"});
        CHECK(project.run({"wait", lines_of(detached.out).at(0)}).code == 0);
        CHECK(runs_of(project) == 3);
    }
    CHECK(lines_of(read_file(project.root() / "ran")) == Words(runs_of(project), "here"));
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("of a command of the foreground whose request is gone, the recorded text runs again")
{
    Project project;
    std::string id;
    SUBCASE("a text")
    {
        CHECK(project.run({"run", "echo \"a  b\" >> ran"}).code == 0);
    }
    SUBCASE("a program")
    {
        CHECK(project.run({"run", "--", "sh", "-c", "echo \"$1\" >> ran", "x", "a  b"}).code == 0);
    }
    REQUIRE(fs::remove_all(project.records() / "queue/kept") == 2);
    const auto again = project.run({"rerun", newest_id(project)});
    CHECK_MESSAGE(again.code == 0, again.err);
    CHECK(contains(again.err, "are still recorded, not its options"));
    CHECK(lines_of(read_file(project.root() / "ran")) == Words(2, "a  b"));
}

TEST_CASE("a command that contains a secret is not recorded, and not run again")
{
    Project project;
    const std::string command = "echo password=hunter2abc >> ran";
    SUBCASE("of the foreground")
    {
        CHECK(project.run({"run", command}).code == 0);
        CHECK_FALSE(fs::exists(project.records() / "queue"));
    }
    SUBCASE("detached")
    {
        const auto id = lines_of(project.run({"run", "--detach", command}).out).at(0);
        CHECK(project.run({"wait", id}).code == 0);
        const auto file = project.records() / "queue/ended" / (id + ".json");
        CHECK_FALSE(contains(read_file(file), "hunter2abc"));
        CHECK(eventually([&] { return project.processes().empty(); }));
    }
    const auto again = project.run({"rerun", newest_id(project)});
    CHECK(again.code == 2);
    CHECK(contains(again.err, "contains a secret, which is not recorded"));
    CHECK(runs_of(project) == 1);
}

TEST_CASE("what runs, and a step of a run, is not run again")
{
    Project project;
    Program run(project.start({"run", "until test -e go; do sleep 0.02; done"}));
    const auto id = project.wait_for_running(1).front();
    CHECK(contains(project.run({"rerun", id}).err, "has not ended"));
    project.write("go", "");
    CHECK(run.wait().code == 0);
    CHECK(project.run({"rerun", "none"}).code == 2);

    project.write("w.yaml",
                  "workflow:\n  id: w\n  name: W\n  version: 1.0.0\n  steps:\n"
                  "    - {id: a, command: echo >> ran}\n");
    CHECK(project.run({"workflow", "run", "w.yaml", "--in-place"}).code == 0);
    const auto step = project.run({"rerun", newest_id(project)});
    CHECK(step.code == 2);
    CHECK(contains(step.err, "to run that again: autoexec workflow resume w-"));
    CHECK(contains(step.err, "--from a"));
    CHECK(runs_of(project) == 1);
}

TEST_CASE("with --continue, the agent continues its session")
{
    SessionProject project({"retry_in: session"});
    std::string id;
    bool is_detached = false;
    SUBCASE("of a command of the foreground")
    {
        CHECK(project.run({"run", "--agent", "coder", "do it"}).code == 0);
        id = newest_id(project);
    }
    SUBCASE("of a detached one")
    {
        is_detached = true;
        id = lines_of(project.run({"run", "--detach", "--agent", "coder", "do it"}).out).at(0);
        CHECK(project.run({"wait", id}).code == 0);
    }
    Words words = {"rerun", id, "--continue"};
    if (is_detached) words.emplace_back("--detach");
    const auto again = project.run(words);
    REQUIRE_MESSAGE(again.code == 0, again.err);
    if (is_detached) CHECK(project.run({"wait", lines_of(again.out).at(0)}).code == 0);
    CHECK(lines_of(read_file(project.root() / "args")) == Words{"x", "x --resume s-1"});
    CHECK(lines_of(read_file(project.root() / "prompts")) == Words(2, "do it"));
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_CASE("without a session that can be continued, --continue is refused")
{
    SessionProject project({});
    CHECK(project.run({"run", "--agent", "coder", "do it"}).code == 0);
    const auto fresh = project.run({"rerun", newest_id(project), "--continue"});
    CHECK(fresh.code == 2);
    CHECK(contains(fresh.err, "it needs 'retry_in: session'"));
    CHECK(project.run({"run", "--agent", "shell", "true"}).code == 0);
    const auto none = project.run({"rerun", newest_id(project), "--continue"});
    CHECK(none.code == 2);
    CHECK(contains(none.err, "no session"));
    CHECK(lines_of(read_file(project.root() / "args")).size() == 1);
}

TEST_SUITE_END();
