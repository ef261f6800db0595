#include "support/workflow_project.hpp"

using namespace autoexec::test;

namespace {

const std::string unclaimed = "No agent has claimed the command in ";

Words in_place_without_agent(const Words& more)
{
    Words words = {"workflow", "run", "workflow.yaml", "--in-place", "--external-agent"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

}  // namespace

TEST_CASE("a command that no agent claims prints how to start an agent")
{
    WorkflowProject project;
    project.steps({"id: a, agent: scripted, action: a"});
    const auto tree = project.worktree("tree");
    const auto other = project.worktree("other");
    // All at once, since each of them needs 10 s.
    Program run(project.start({"run", "--external-agent", "-w", tree, "-w", other, "true"}));
    Program quiet(project.start({"run", "-q", "--external-agent", "--project", project.root(), "-w",
                                 project.worktree("third"), "true"}));
    Program workflow(project.start(in_place_without_agent({})));
    for (auto* const program : {&run, &quiet, &workflow}) {
        CHECK_MESSAGE(eventually([&] { return contains(program->err(), unclaimed); }),
                      (program->out() + program->err()));
        CHECK(contains(program->err(), "start one in another terminal: autoexec agent."));
    }
    // Once, not for each of the commands.
    const auto said = run.err();
    CHECK(said.find(unclaimed) == said.rfind(unclaimed));
    for (auto* const program : {&run, &quiet, &workflow}) {
        program->signal(SIGINT);
        CHECK(program->wait().code == 130);
    }
}

TEST_CASE("status and health say whether an agent is alive")
{
    Project project;
    project.add_agent("worker", "/bin/echo {command}");
    const auto agents_check = [&] {
        const auto health = objects_of(project.run({"health", "--json"}).out).front();
        for (const auto& check : health.at("checks").as_array())
            if (text_at(check.as_object(), "name") == "agents") return check.as_object();
        FAIL("there is no such check");
        return boost::json::object();
    };
    const auto status = [&] { return project.run({"status"}).err; };
    CHECK(contains(status(), "No agent process is running (start one with 'autoexec agent'"));
    CHECK(contains(text_at(agents_check(), "message"), "No agent process is running"));
    CHECK_FALSE(fs::exists(project.records()));

    Program agent(project.start({"agent"}));
    Program second(project.start({"agent"}));
    const auto line = "Agent running: process " + std::to_string(agent.pid()) + " (worker), since ";
    REQUIRE(eventually([&] { return contains(status(), line); }));
    CHECK(contains(text_at(agents_check(), "message"), std::to_string(agent.pid())));
    CHECK(text_at(agents_check(), "status") == "healthy");
    CHECK(project.run({"status", "--json"}).out.empty());
    CHECK(project.git({"status", "--porcelain"}) == "?? .cursor/\n");

    // One that is killed is dead at once, whatever it leaves.
    agent.signal(SIGKILL);
    CHECK(agent.wait().code == -SIGKILL);
    CHECK_FALSE(contains(status(), line));
    CHECK(text_at(agents_check(), "status") == "degraded");
    CHECK(contains(status(), "process " + std::to_string(second.pid())));
    second.signal(SIGTERM);
    CHECK(second.wait().code == 0);
    CHECK(contains(status(), "No agent process is running"));
    CHECK(project.run({"run", "true"}).code == 0);
    CHECK(text_at(agents_check(), "status") == "healthy");
}
