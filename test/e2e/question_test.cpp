#include "support/asking_project.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// A program that speaks the Agent Client Protocol and asks for permission; a person who answers in
// another process.

using namespace autoexec::test;

namespace {

// The executor's own agent, or one in another process.
void with_either_agent(const Project& project, Words& words, std::optional<Program>& daemon)
{
    SUBCASE("of the agent within") {}
    SUBCASE("of another process")
    {
        daemon.emplace(project.start({"agent"}));
        words.insert(words.begin() + 1, {"--external-agent", "--polling-interval", "50ms"});
    }
}

}  // namespace

TEST_CASE("a command that asks for permission waits for a person's answer")
{
    AskingProject project;
    Words words = {"run", "-w", project.tree, "go"};
    std::optional<Program> daemon;
    with_either_agent(project, words, daemon);
    Program run(project.start(words));
    const auto id = project.wait_for_question();
    auto ended = project.run({"status"});
    CHECK(ended.out.starts_with("input"));
    CHECK(contains(ended.out, "waits for an answer: Run the tests"));
    CHECK(contains(ended.out, "autoexec answer " + id.substr(id.size() - 8)));
    CHECK_FALSE(contains(ended.err, "No agent process is running"));

    ended = project.run({"answer", id});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "  | Run the tests\n  | Kind: execute\n  | Command: make test\n"));
    CHECK(contains(ended.out, "\n  --option allow"));
    const auto allow = project.allowing(id);
    CHECK(contains(ended.err, "Answer with: autoexec answer " +
                                  allow[1].substr(allow[1].size() - 8) + " --question 1 "));
    ended = project.run({"answer", id, "--json"});
    const auto shown = objects_of(ended.out).at(0);
    CHECK(text_at(shown.at("waiting_for").as_object(), "kind") == "permission");

    ended = project.run({"answer", id, "--option", "allow"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "permission is given only with"));
    ended = project.run({"answer", id, "--question", "1", "--option", "allow"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "does not wait for question '1'"));
    ended = project.run({"answer", allow[1], "--question", "2", "--option", "allow"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "does not wait for question '2'"));
    ended = project.run({"answer", allow[1], "--question", "1", "--option", "always"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "has no option 'always'"));
    for (const auto& [text, why] : {std::pair<std::string, std::string>{"yes", "not by a text"},
                                    {"", "the answer is empty"},
                                    {std::string(100'000, 'x'), "at most 65536 are allowed"}}) {
        ended = project.run({"answer", allow[1], "--question", "1", text});
        CHECK(ended.code == 2);
        CHECK(contains(ended.err, why));
    }
    CHECK(project.run({"answer", "none", "--deny"}).code == 2);

    bool allows = true;
    SUBCASE("who allows it") {}
    SUBCASE("who denies it")
    {
        allows = false;
    }
    ended = project.run(allows ? allow : Words{"answer", id, "--deny"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, "got the answer"));
    const auto end = run.wait();
    CHECK_MESSAGE(end.code == 0, end.err);
    CHECK(fs::exists(project.tree / (allows ? "allowed" : "denied")));
    CHECK(contains(end.err, "waits for an answer: Run the tests"));
    CHECK(project.count("input_needed") == 1);
    CHECK(project.count("input_ended") == 1);
    ended = project.run({"answer", id, "--option", "allow"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "no execution matches"));
    if (daemon) {
        daemon->signal(SIGTERM);
        CHECK(daemon->wait().code == 0);
    }
}

TEST_CASE("a person whose text another one's replaced learns it")
{
    Project project;
    const auto tree = project.worktree("tree");
    Program run(
        project.start({"run", "--external-agent", "--polling-interval", "50ms", "-w", tree, "go"}));
    std::string id;
    REQUIRE(eventually([&] {
        for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
            if (entry.contains("attempt_id") && entry.at("attempt_id").is_string())
                id = text_at(entry, "attempt_id");
        return !id.empty();
    }));
    const auto report = [&](const std::string& members) {
        write_file(tree / "new", R"({"attempt_id": ")" + id + R"(", )" + members + "}");
        fs::rename(tree / "new", tree / ".cursor-skill-status.json");
    };
    report(R"("status": "running", "waiting_for": {"kind": "question", "id": "1", "text": "x"})");
    REQUIRE(eventually([&] { return project.run({"answer", id}).code == 0; }));

    std::string expected = "got the answer";
    run.signal(SIGSTOP);
    Program answer(project.start({"answer", id, "one"}));
    const auto file = project.records() / "running/answers" / id;
    REQUIRE(eventually([&] { return fs::exists(file); }));
    SUBCASE("not replaced") {}
    SUBCASE("replaced")
    {
        auto text = read_file(file);
        write_file(file, text.replace(text.find("\"one\""), 5, "\"two\""));
        expected = "got another answer before";
    }
    run.signal(SIGCONT);
    // Not before the executor has passed the answer on: it would be late.
    const auto passed_on = project.root() / ".git/worktrees/tree/autoexec/answers";
    REQUIRE(eventually([&] { return fs::exists(passed_on) && !fs::is_empty(passed_on); }));
    report(R"("status": "completed")");
    CHECK(contains(answer.wait().out, expected));
    CHECK(run.wait().code == 0);
}

TEST_CASE("a program that writes an answer in its worktree approves nothing")
{
    AskingProject project;
    project.set("BEFORE",
                "for folder in . .git-answers autoexec/answers .tapps-agents/running/answers "
                ".cursor; do mkdir -p $folder; echo \"{\\\"attempt_id\\\": "
                "\\\"$AUTOEXEC_ATTEMPT_ID\\\", \\\"question_id\\\": \\\"1\\\", \\\"option\\\": "
                "\\\"allow\\\"}\" >$folder/$AUTOEXEC_ATTEMPT_ID; done; touch written");
    Program run(project.start({"run", "-w", project.tree, "go"}));
    const auto id = project.wait_for_question();
    CHECK(fs::exists(project.tree / "written"));
    CHECK_FALSE(run.ends_within(std::chrono::milliseconds(1500)));
    CHECK(project.run({"answer", id, "--deny"}).code == 0);
    CHECK(run.wait().code == 0);
    CHECK_FALSE(fs::exists(project.tree / "allowed"));
    CHECK(fs::exists(project.tree / "denied"));
}

TEST_CASE("on a terminal, a question is a line above the table, and the state of its row")
{
    AskingProject project;
    auto start = project.start({"run", "-w", project.tree, "go"});
    start.terminal = true;
    Program run(start);
    const auto id = project.wait_for_question();
    const auto shown = id.substr(id.size() - 8);
    CHECK(eventually([&] { return contains(run.screen(), shown + " input"); }));
    CHECK(contains(run.screen(), "autoexec answer " + shown));
    CHECK(project.run(project.allowing(shown)).code == 0);
    CHECK(run.wait().code == 0);
}

TEST_CASE("without a person, a command that asks fails at once, or is denied after its time")
{
    AskingProject project;
    SUBCASE("at once")
    {
        const auto ended =
            project.run({"run", "--fail-on-input", "--json", "-w", project.tree, "go"});
        CHECK(ended.code == 6);
        const auto result = objects_of(ended.out).at(0);
        CHECK(text_at(result, "status") == "failed");
        CHECK(text_at(result, "error_code") == "input_needed");
        CHECK(contains(text_at(result, "error"), "Run the tests; Kind: execute"));
    }
    SUBCASE("after its time")
    {
        project.set("AUTOEXEC_TIMEOUTS_INPUT_SECONDS", "0.2");
        const auto ended = project.run({"run", "-w", project.tree, "go"});
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(fs::exists(project.tree / "denied"));
        CHECK(contains(ended.err, "warning: asking needed permission for 'Run the tests'"));
    }
    SUBCASE("a step of a workflow")
    {
        project.write("one.yaml", "id: one\nsteps:\n  - {id: a, agent: asking, action: x}\n");
        project.commit("all");
        const auto ended = project.run({"workflow", "run", "one.yaml", "--fail-on-input"});
        CHECK_MESSAGE(ended.code == 6, ended.err);
        CHECK(contains(ended.err, "waits for an answer"));
    }
    CHECK_FALSE(fs::exists(project.tree / "allowed"));
}

TEST_CASE("a question is answered in a workflow, and reported to the program at --notify")
{
    AskingProject project;
    SUBCASE("a step")
    {
        project.write("one.yaml", "id: one\nsteps:\n  - {id: a, agent: asking, action: x}\n");
        project.commit("all");
        Program run(project.start({"workflow", "run", "one.yaml"}));
        const auto id = project.wait_for_question();
        CHECK(project.run(project.allowing(id)).code == 0);
        const auto ended = run.wait();
        CHECK_MESSAGE(ended.code == 0, ended.err);
        CHECK(contains(ended.err, "a: waits for an answer: Run the tests"));
    }
    SUBCASE("--notify")
    {
        const auto told = project.root() / "told";
        project.write("hook", "#!/bin/sh\ncat >>'" + told.string() + "'\n");
        fs::permissions(project.root() / "hook", fs::perms::owner_all);
        Program run(project.start({"run", "--notify", "./hook", "-w", project.tree, "go"}));
        const auto id = project.wait_for_question();
        REQUIRE(eventually([&] { return contains(read_file(told), "\n"); }));
        CHECK(project.run(project.allowing(id)).code == 0);
        CHECK(run.wait().code == 0);
        const auto messages = objects_of(read_file(told));
        REQUIRE(messages.size() == 2);
        CHECK(text_at(messages[0], "event") == "input_needed");
        CHECK(text_at(messages[0], "execution_id") == id);
        CHECK(text_at(messages[0].at("waiting_for").as_object(), "kind") == "permission");
        CHECK(text_at(messages[1], "status") == "completed");
    }
}

TEST_CASE("a program that asks without end does not call the program at --notify each time")
{
    AskingProject project;
    const auto told = project.root() / "told";
    project.write("hook", "#!/bin/sh\ncat >>'" + told.string() + "'\n");
    fs::permissions(project.root() / "hook", fs::perms::owner_all);
    project.set("BEFORE", "for i in 1 2 3 4 5 6 7 8 9 10 11; do ask; done");
    project.set("AUTOEXEC_TIMEOUTS_INPUT_SECONDS", "0.2");
    CHECK(project.run({"run", "--notify", "./hook", "-w", project.tree, "go"}).code == 0);
    CHECK(project.count("input_needed") > 10);
    const auto messages = objects_of(read_file(told));
    CHECK(std::ranges::count_if(
              messages, [](const auto& message) { return message.contains("waiting_for"); }) == 10);
    CHECK(messages.size() == 11);
}

TEST_CASE("a command that waits for an answer can be cancelled, and its executor killed")
{
    AskingProject project;
    Program run(project.start({"run", "-w", project.tree, "go"}));
    const auto id = project.wait_for_question();
    SUBCASE("cancelled")
    {
        CHECK(project.run({"cancel", id}).code == 0);
        CHECK(run.wait().code == 130);
    }
    SUBCASE("killed")
    {
        run.signal(SIGKILL);
        CHECK(run.wait().code == -SIGKILL);
        CHECK(project.run({"answer", id, "--option", "allow"}).code == 2);
        project.set("AUTOEXEC_TIMEOUTS_INPUT_SECONDS", "0.2");
        CHECK(project.run({"run", "-w", project.tree, "go"}).code == 0);
    }
    CHECK_FALSE(fs::exists(project.tree / "allowed"));
}

TEST_CASE("a manual step is listed with the questions, and answered by the same command")
{
    Project project;
    project.write("one.yaml", "id: one\nsteps:\n  - {id: a, command: Sign the tag.}\n");
    project.commit("all");
    Program run(project.start({"workflow", "run", "--manual", "one.yaml"}));
    std::string line;
    REQUIRE(eventually([&] {
        line = project.run({"status"}).out;
        return contains(line, "waits for you; autoexec answer one-");
    }));
    CHECK(line.starts_with("input"));
    const auto at = line.find("autoexec answer ") + 16;
    const auto step = line.substr(at, line.find('\n') - at);
    const auto entry = objects_of(project.run({"status", "--json"}).out).at(0);
    CHECK(text_at(entry, "state") == "waiting_manual");
    CHECK(text_at(entry, "workflow_id") + "/" + text_at(entry, "step_id") == step);
    auto ended = project.run({"answer", step});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, step + " waits for you. Instructions: "));
    CHECK(project.run({"answer", step, "text"}).code == 2);
    CHECK(project.run({"answer", step, "--option", "maybe"}).code == 2);
    CHECK(project.run({"answer", step, "--question", "1", "--option", "done"}).code == 2);
    CHECK(project.run({"answer", step, "--option", "done", "text"}).code == 2);
    int code = 0;
    SUBCASE("as done")
    {
        CHECK(project.run({"answer", step, "--option", "done"}).code == 0);
    }
    SUBCASE("as failed")
    {
        code = 1;
        CHECK(project.run({"answer", step, "--deny", "no time"}).code == 0);
    }
    const auto end = run.wait();
    CHECK_MESSAGE(end.code == code, end.err);
    if (code != 0) CHECK(contains(end.out, "no time"));
    ended = project.run({"answer", step, "--option", "done"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "has ended"));
}

TEST_CASE("what a person says to a running command is its next turn")
{
    Project project;
    project.write("talk", R"(#!/bin/sh
read -r line; echo '{"id":1,"result":{"protocolVersion":1}}'
read -r line; echo '{"id":2,"result":{"sessionId":"s"}}'
read -r line
while [ ! -e go ]; do sleep 0.05; done
echo '{"id":3,"result":{"stopReason":"end_turn"}}'
read -r line && case $line in *"And more."*) touch more ;; esac
echo '{"id":4,"result":{"stopReason":"end_turn"}}'
while read -r line; do :; done
)");
    fs::permissions(project.root() / "talk", fs::perms::owner_all);
    project.add_agent("talking", (project.root() / "talk").string(), {"driver: acp"});
    const auto tree = project.worktree("tree");
    Words words = {"run", "-w", tree, "go"};
    std::optional<Program> daemon;
    with_either_agent(project, words, daemon);
    Program run(project.start(words));
    std::string id;
    Ended ended;
    REQUIRE(eventually([&] {
        for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
            id = text_at(entry, "execution_id");
        if (!id.empty()) ended = project.run({"say", id, "And more."});
        return !id.empty() && ended.code == 0;
    }));
    CHECK(contains(ended.out, "gets it as its next turn"));
    CHECK(project.run({"say", id, " "}).code == 2);
    CHECK(project.run({"say", "none", "more"}).code == 2);
    write_file(tree / "go", "");
    CHECK(run.wait().code == 0);
    CHECK(fs::exists(tree / "more"));
    if (daemon) {
        daemon->signal(SIGTERM);
        CHECK(daemon->wait().code == 0);
    }
}

TEST_CASE("a prompt for a program that takes none is refused")
{
    Project project;
    project.add_agent("plain", "sh -c 'while [ ! -e go ]; do sleep 0.05; done' -- {command}");
    const auto tree = project.worktree("tree");
    Program run(project.start({"run", "-w", tree, "go"}));
    std::string id;
    REQUIRE(eventually([&] {
        for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
            id = text_at(entry, "execution_id");
        return !id.empty();
    }));
    const auto ended = project.run({"say", id, "more"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "takes no prompt: its agent has no 'driver: acp'"));
    write_file(tree / "go", "");
    CHECK(run.wait().code == 0);
}
