#include "support/workflow_project.hpp"

#include <algorithm>

using namespace autoexec::test;

namespace {

/// A project with an agent `main`, whose key is wrong as long as there is no file `key`.
struct KeyProject : Project {
    explicit KeyProject(const Words& more = {})
    {
        write("agent.sh", "[ -f '" + (root() / "key").string() +
                              "' ] || exit 41\necho '{\"type\": \"end\"}'\n");
        Words fields{
            "outcome: {program: Main, events: [{when: {/type: end}, meaning: success}], "
            "exit_codes: {41: auth}}"};
        fields.insert(fields.end(), more.begin(), more.end());
        add_agent("main", "/bin/sh '" + (root() / "agent.sh").string() + "' {command}", fields);
    }

    [[nodiscard]] std::size_t starts() const
    {
        std::size_t count = 0;
        for (const auto& event : audit())
            count += text_at(event, "event_type") == "execution_started";
        return count;
    }
    [[nodiscard]] std::size_t count_events(std::string_view type) const
    {
        std::size_t count = 0;
        for (const auto& event : audit()) count += text_at(event, "event_type") == type;
        return count;
    }
};

std::string list_of(int count)
{
    std::string lines;
    for (int i = 0; i < count; ++i) lines += R"({"command": "task )" + std::to_string(i) + "\"}\n";
    return lines;
}

}  // namespace

TEST_CASE("an expired key costs three runs of the program")
{
    KeyProject project;
    const auto ended =
        project.run({"run", "--json", "--agent", "main", "--list", "-"}, list_of(20));
    CHECK(ended.code == 1);
    const auto results = objects_of(ended.out);
    REQUIRE(results.size() == 20);
    std::map<std::string, int> codes;
    for (const auto& result : results) ++codes[text_at(result, "error_code")];
    CHECK(codes == std::map<std::string, int>{{"auth", 3}, {"agent_unavailable", 17}});
    CHECK(project.starts() == 3);
    CHECK(project.count_events("breaker_opened") == 1);

    // Another process knows it, too.
    const auto later = project.run({"run", "--agent", "main", "one more"});
    CHECK(later.code == 1);
    CHECK(contains(later.out, "Not started: agent main is not signed in: no commands until "));
    CHECK(contains(later.out, "autoexec agents reset main"));
    CHECK(project.starts() == 3);
    CHECK(contains(project.run({"status"}).err, "Held back: agent main is not signed in"));
    const auto agents = objects_of(project.run({"agents", "list", "--json"}).out);
    REQUIRE(agents.size() == 1);
    CHECK(text_at(agents[0], "state") == "open");
    CHECK(contains(text_at(agents[0], "held_back"), "agent main is not signed in"));
    const auto health = project.run({"health"});
    CHECK(contains(health.out, "Commands are held back: agent main is not signed in"));

    project.write("key", "");
    const auto reset = project.run({"agents", "reset"});
    CHECK(reset.code == 0);
    CHECK(contains(reset.out, "main              was open"));
    CHECK(project.run({"run", "--agent", "main", "again"}).code == 0);
    CHECK_FALSE(contains(project.run({"status"}).err, "Held back"));
    CHECK(contains(project.run({"agents", "reset", "main"}).err, "main: no failures are recorded"));
}

TEST_CASE("the fallback of an agent runs its commands while its key is wrong")
{
    KeyProject project({"fallback: [spare]"});
    project.add_agent("spare", "/bin/echo {command}");
    const auto ended = project.run({"run", "--json", "--agent", "main", "--list", "-"}, list_of(5));
    const auto results = objects_of(ended.out);
    REQUIRE(results.size() == 5);
    int completed = 0;
    for (const auto& result : results) completed += text_at(result, "status") == "completed";
    CHECK(completed == 2);
    CHECK(project.count_events("fallback_chosen") == 2);
    const auto rows = objects_of(project.run({"history", "--json", "-n", "1"}).out);
    REQUIRE(rows.size() == 1);
    CHECK(text_at(rows[0], "agent") == "spare");
    CHECK(contains(project.run({"run", "--agent", "main", "now"}).err,
                   "agent spare takes over: agent main is not signed in"));
}

TEST_CASE("a command waits until the time that a rate limit names")
{
    Project project;
    const auto mark = (project.root() / "limited").string();
    project.write("agent.sh", "if [ -f '" + mark +
                                  "' ]; then echo '{\"type\": \"end\"}'; else\n: > '" + mark +
                                  "'; echo '{\"type\": \"limit\", \"after\": 3}'; fi\n");
    project.add_agent(
        "main", "/bin/sh '" + (project.root() / "agent.sh").string() + "' {command}",
        {"outcome: {program: Main, events: [{when: {/type: end}, meaning: success}, {when: {/type: "
         "limit}, meaning: failure, error_code: rate_limited, message: Slow down., retry_after: "
         "/after}]}"});
    CHECK(project.run({"run", "--agent", "main", "first"}).code == 1);
    const auto ended = project.run({"run", "--agent", "main", "second", "-w", project.worktree("a"),
                                    "-w", project.worktree("b")});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "paused: agent main is rate limited: no commands until "));
    const auto at = ended.err.find("paused:");
    CHECK(ended.err.find("paused:", at + 1) == std::string::npos);  // both wait for the same
    const auto audit = project.audit();
    CHECK(std::ranges::any_of(
        audit, [](const auto& event) { return text_at(event, "event_type") == "agent_paused"; }));
}

TEST_CASE("a step whose agent is down is run when the run is resumed")
{
    KeyProject project;
    for (int i = 0; i < 3; ++i) (void)project.run({"run", "--agent", "main", "task"});
    REQUIRE(project.starts() == 3);
    project.write("w.yaml",
                  "id: w\nworktree: in_place\nsteps:\n  - {id: one, agent: main, command: task}\n");
    const auto ended = project.run({"workflow", "run", "w.yaml"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "agent main is not signed in"));
    CHECK(project.starts() == 3);
    project.write("key", "");
    (void)project.run({"agents", "reset", "main"});
    const auto resumed = project.run({"workflow", "resume"});
    CHECK_MESSAGE(resumed.code == 0, resumed.err);
    CHECK(project.starts() == 4);
}
