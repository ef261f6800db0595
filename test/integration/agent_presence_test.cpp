#include "records/agent_presence.hpp"

#include "support/agent_fixture.hpp"
#include "support/descriptor_limit.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <algorithm>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

protocol::AgentRecord record_of(const std::string& id)
{
    protocol::AgentRecord r;
    r.agent_id = id;
    r.pid = 4711;
    r.host = "here";
    r.started_at = text::parse_iso("2026-01-20T00:00:00+00:00");
    r.agents = {"claude", "codex"};
    return r;
}

std::optional<records::AgentPresence> announce(const fs::path& project, const std::string& id)
{
    error_code ec;
    auto presence = records::AgentPresence::create(project, record_of(id), ec);
    CHECK_FALSE(ec);
    return presence;
}

std::size_t count_alive(const fs::path& project)
{
    const auto all = records::list_agents(project);
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& entry) { return entry.alive; }));
}

}  // namespace

TEST_CASE("an agent is alive as long as it holds its record")
{
    const TemporaryFolder project;
    CHECK(records::list_agents(project.path()).empty());
    auto one = announce(project.path(), "one");
    auto two = announce(project.path(), "two");
    CHECK(count_alive(project.path()) == 2);
    const auto found = records::list_agents(project.path()).front().record;
    CHECK(found.pid == 4711);
    CHECK(found.host == "here");
    CHECK(records::describe(found) == "process 4711 (claude, codex)");

    two.reset();  // as when it is killed: the file stays
    CHECK(records::list_agents(project.path()).size() == 2);
    CHECK(count_alive(project.path()) == 1);
    one->remove();
    one.reset();
    CHECK(count_alive(project.path()) == 0);
}

TEST_CASE("what a dead agent has left is removed by the next one, and by executors that recover")
{
    const TemporaryFolder project;
    (void)announce(project.path(), "dead");
    REQUIRE(records::list_agents(project.path()).size() == 1);
    SUBCASE("the next agent")
    {
        const auto alive = announce(project.path(), "alive");
        CHECK(records::list_agents(project.path()).size() == 1);
        CHECK(count_alive(project.path()) == 1);
    }
    SUBCASE("an executor")
    {
        records::sweep_agents(project.path());
        CHECK_FALSE(fs::exists(project / ".tapps-agents/running/agents"));
    }
}

TEST_CASE("records of live agents are never removed, and invalid files in their folder do no harm")
{
    const TemporaryFolder project;
    const auto alive = announce(project.path(), "alive");
    const auto folder = project / ".tapps-agents/running/agents";
    write_file(folder / "no.json", "[1, 2");
    write_file(folder / "other.json", R"({"agent_id": 7})");
    fs::create_directory(folder / "folder.json");
    fs::create_symlink("/etc/passwd", folder / "link.json");
    CHECK(::mkfifo((folder / "fifo.json").c_str(), 0600) == 0);
    for (int descriptors = 0; descriptors < 8; ++descriptors) {
        const FewDescriptorsLeft few(descriptors);
        records::sweep_agents(project.path());
    }
    records::sweep_agents(project.path());
    CHECK(count_alive(project.path()) == 1);
    CHECK(fs::exists("/etc/passwd"));
}

TEST_CASE("a record of agents is not written through a link")
{
    const TemporaryFolder project;
    const TemporaryFolder elsewhere;
    fs::create_directories(project / ".tapps-agents");
    fs::create_directory_symlink(elsewhere.path(), project / ".tapps-agents/running");
    error_code ec;
    CHECK_FALSE(records::AgentPresence::create(project.path(), record_of("one"), ec));
    CHECK(ec);
    CHECK(fs::is_empty(elsewhere.path()));
}

TEST_CASE_FIXTURE(AgentFixture, "an agent is listed while it runs")
{
    start();
    run_for(1s);
    const auto found = records::list_agents(project.path());
    REQUIRE(found.size() == 1);
    CHECK(found.front().alive);
    CHECK(found.front().record.agents == std::vector<std::string>{"dev"});

    stop();
    CHECK(records::list_agents(project.path()).empty());
    CHECK_FALSE(fs::exists(project / ".tapps-agents/running/agents"));
}

TEST_CASE_FIXTURE(AgentFixture, "an agent whose record was removed lists itself again")
{
    options.find_worktrees = true;
    start();
    run_for(1s);
    fs::remove_all(project / ".tapps-agents/running");
    CHECK(count_alive(project.path()) == 0);
    run_for(options.watch_paths_interval + 1s);
    CHECK(count_alive(project.path()) == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "an agent that serves only its own process is not listed")
{
    options.alone = true;
    start();
    run_for(1s);
    CHECK(records::list_agents(project.path()).empty());
}

TEST_CASE_FIXTURE(AgentFixture, "an agent that could not list itself does so later")
{
    options.find_worktrees = true;
    write_file(project / ".tapps-agents/running", "in the way");
    start();
    run_for(1s);
    CHECK(count_alive(project.path()) == 0);
    fs::remove(project / ".tapps-agents/running");
    run_for(options.watch_paths_interval + 1s);
    CHECK(count_alive(project.path()) == 1);
}
