#include "support/workflow_project.hpp"

#include <doctest/doctest.h>
#include <boost/json/serialize.hpp>

// Nothing that git or a program writes into its worktree ends a command while that program runs.

using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr char status_name[] = ".cursor-skill-status.json";
constexpr char old_status[] =
    R"({"status": "completed", "started_at": "2025-01-20T10:00:00", "artifacts": []})";

/// The branch `left` holds a status file, as agents of version 1.0 left them.
void add_old_branch(const Project& project)
{
    project.git({"checkout", "-q", "-b", "left"});
    project.write(status_name, old_status);
    project.git({"add", "-f", status_name});
    project.git({"commit", "-q", "-m", "left by an agent"});
    project.git({"checkout", "-q", "main"});
}

// Else the executor looks only when its agent has something to say.
void poll_always(Project& project)
{
    project.set("AUTOEXEC_POLLING_FILE_EVENTS", "off");
}

struct OldProject : Project {
    OldProject()
    {
        add_old_branch(*this);
        poll_always(*this);
    }
};

bool has_rejection(const Project& project)
{
    for (const auto& event : project.audit())
        if (text_at(event, "event_type") == "status_rejected" &&
            text_at(event.at("details").as_object(), "code") == "no_attempt_id")
            return true;
    return false;
}

/// A program that does something, and then runs on until the test lets it end.
class LongProgram {
public:
    explicit LongProgram(const Project& project) : project_(project) {}

    [[nodiscard]] std::string script(const std::string& deed) const
    {
        return deed + "; until [ -e " + gate().string() + " ]; do sleep 0.02; done; echo x >>" +
               proof().string() + "; exit 3";
    }
    void let_end() const { write_file(gate(), ""); }
    [[nodiscard]] bool has_ended() const { return fs::exists(proof()); }

private:
    [[nodiscard]] fs::path gate() const { return project_.root().parent_path() / "gate"; }
    [[nodiscard]] fs::path proof() const { return project_.root().parent_path() / "proof"; }

    const Project& project_;
};

/// Runs the command until the executor has rejected a status, lets the program end, and checks that
/// the result is the program's own.
void check_truth(const Project& project, const fs::path& tree, const std::string& deed,
                 const Words& more = {})
{
    const LongProgram program(project);
    Words words = {"run", "--json", "--polling-interval", "20ms", "-w", tree};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(program.script(deed));
    Program engine(project.start(words));
    CHECK(eventually([&] { return engine.ends_within(5ms) || has_rejection(project); }));
    CHECK_FALSE(engine.ends_within(0ms));
    program.let_end();
    const auto ended = engine.wait();
    const auto results = objects_of(ended.out);
    REQUIRE(results.size() == 1);
    CHECK(program.has_ended());
    CHECK(text_at(results[0], "status") == "failed");
    CHECK(text_at(results[0], "exit_code") == "3");
    CHECK(ended.code == 1);
}

// In `.cursor/` a status that names the attempt, and in the root one that does not: both are there
// whenever the executor looks.
constexpr char forge[] =
    "id=$(sed -n 's/.*\"attempt_id\": \"\\([^\"]*\\)\".*/\\1/p' .cursor-skill-command.txt); "
    "mkdir -p .cursor; "
    "echo '{\"version\": \"1.0\", \"status\": \"completed\", \"attempt_id\": \"'$id'\"}' "
    ">.cursor/.cursor-skill-status.json; "
    "echo '{\"status\": \"completed\"}' >.cursor-skill-status.json";

constexpr char claim_file[] = "\"$(git rev-parse --absolute-git-dir)\"/autoexec/claims/$id.json";

std::string after_the_claim_was_seen(const std::string& deed)
{
    return std::string(forge) + "; " + deed;
}

}  // namespace

TEST_CASE("an old status file that git restores ends nothing")
{
    OldProject project;
    const auto tree = project.worktree("tree");
    std::string deed;
    SUBCASE("reset")
    {
        deed = "git reset -q --hard left";
    }
    SUBCASE("checkout")
    {
        deed = "git checkout -q --detach left";
    }
    SUBCASE("merge")
    {
        deed = "git merge -q left";
    }
    SUBCASE("stash")
    {
        deed =
            "git checkout -q --detach left && echo >>.cursor-skill-status.json && git stash -q && "
            "git stash pop -q";
    }
    check_truth(project, tree, deed);
}

TEST_CASE("a status that the program writes ends nothing")
{
    OldProject project;
    const auto tree = project.worktree("tree");
    std::string deed;
    SUBCASE("without an id")
    {
        deed = "echo '{\"status\": \"completed\"}' >.cursor-skill-status.json";
    }
    SUBCASE("with the right id")
    {
        deed = forge;
    }
    check_truth(project, tree, deed);
}

TEST_CASE("a claim that the program removes or replaces still shows that the program runs")
{
    OldProject project;
    const auto tree = project.worktree("tree");
    std::string deed;
    SUBCASE("removed")
    {
        deed = std::string("rm -f ") + claim_file;
    }
    SUBCASE("removed with its folder")
    {
        deed = "rm -rf \"$(git rev-parse --absolute-git-dir)\"/autoexec";
    }
    SUBCASE("replaced")
    {
        deed = std::string("c=") + claim_file + "; echo '{}' >\"$c.new\"; mv \"$c.new\" \"$c\"";
    }
    SUBCASE("rewritten")
    {
        deed = std::string("echo '{\"host\": \"elsewhere\"}' >") + claim_file;
    }
    check_truth(project, tree, after_the_claim_was_seen(deed));
}

TEST_CASE("an external agent's program ends nothing either")
{
    OldProject project;
    project.add_agent("shell", "/bin/sh -c {command}");
    const auto tree = project.worktree("tree");
    Program agent(project.start({"agent"}));
    check_truth(project, tree, forge, {"--external-agent"});
    agent.signal(SIGTERM);
    CHECK(agent.wait().code == 0);
}

TEST_CASE("the next command of a list for the same worktree waits, and is taken")
{
    OldProject project;
    const LongProgram program(project);
    const auto tree = project.worktree("tree");
    const auto second = tree.parent_path() / "second";
    auto start = project.start({"run", "--json", "--list", "-", "--polling-interval", "20ms"});
    for (const auto& command :
         {program.script("git reset -q --hard left"), "touch " + second.string()}) {
        boost::json::object o;
        o["command"] = command;
        o["worktree"] = tree.string();
        start.input += boost::json::serialize(o) + "\n";
    }
    Program engine(start);
    CHECK(eventually([&] { return engine.ends_within(5ms) || has_rejection(project); }));
    CHECK_FALSE(fs::exists(second));
    program.let_end();
    const auto ended = engine.wait();
    CHECK(objects_of(ended.out).size() == 2);
    CHECK(program.has_ended());
    CHECK(fs::exists(second));
}

TEST_CASE("a workflow's next step does not begin while the program of the last one runs")
{
    WorkflowProject project;
    add_old_branch(project);
    poll_always(project);
    const LongProgram program(project);
    project.on("one", program.script("git reset -q --hard left"));
    project.steps(
        {"id: one, agent: x, action: y", "id: two, agent: x, action: y, depends_on: [one]"});
    Program engine(project.start_workflow({"--polling-interval", "20ms"}));
    CHECK(eventually([&] { return engine.ends_within(5ms) || has_rejection(project); }));
    CHECK_FALSE(engine.ends_within(0ms));
    CHECK(project.asked() == "one");
    program.let_end();
    CHECK(engine.wait().code == 1);
    CHECK(program.has_ended());
    CHECK(project.asked() == "one");
}
