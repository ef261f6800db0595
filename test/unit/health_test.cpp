#include "autoexec/health.hpp"

#include "health/checked_folders.hpp"
#include "health/finding_list.hpp"
#include "protocol/layout.hpp"
#include "records/agent_presence.hpp"
#include "records/health_file.hpp"
#include "records/pauses.hpp"
#include "support/health_fixture.hpp"
#include "support/text.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/serialize.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>

using namespace autoexec;
using namespace std::chrono_literals;
using test::check_is;
using test::HealthFixture;

namespace {

constexpr auto healthy = HealthStatus::healthy;
constexpr auto degraded = HealthStatus::degraded;
constexpr auto unhealthy = HealthStatus::unhealthy;

constexpr char claude_agent[] =
    "  - name: a\n    type: background\n    commands: ['claude -p -- {command}']\n";
constexpr char script_agent[] =
    "  - name: b\n    type: background\n    commands: ['my-script {command}']\n";

HealthCheckResult result_of(HealthStatus status)
{
    HealthCheckResult result;
    result.name = "mine";
    result.status = status;
    return result;
}

class WithOneMore : public HealthChecker {
public:
    using HealthChecker::HealthChecker;

    [[nodiscard]] HealthCheckResult check_custom_component() const { return result_of(unhealthy); }
    [[nodiscard]] std::vector<HealthCheckResult> check_all() const override
    {
        auto results = HealthChecker::check_all();
        results.push_back(check_custom_component());
        return results;
    }
};

}  // namespace

TEST_CASE("the original's four checks come first, and each check has its name")
{
    HealthFixture f;
    std::string names;
    for (const auto& result : f.checker().check_all()) names += result.name + " ";
    CHECK(names ==
          "configuration file_system status_file_access command_file_access supervisor "
          "agent_programs agent_setup git disk_space inotify clock records claims_and_locks "
          "leftovers agents starts ");
}

TEST_CASE("the overall status is the worst one")
{
    CHECK(overall_status({}) == healthy);
    std::vector<HealthCheckResult> results = {result_of(healthy), result_of(degraded)};
    CHECK(overall_status(results) == degraded);
    results.insert(results.begin(), result_of(unhealthy));
    CHECK(overall_status(results) == unhealthy);
}

TEST_CASE("a project without problems is healthy")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(claude_agent);
    const auto results = f.checker().check_all();
    for (const auto& result : results) CHECK_MESSAGE(result.status == healthy, result.message);
    CHECK(f.checker().get_overall_status() == healthy);
}

TEST_CASE("results as JSON carry what the original's did, and the remedy")
{
    auto result = result_of(degraded);
    result.message = "Half of it.";
    result.remedy = "Do something.";
    result.details["n"] = 1;
    CHECK(boost::json::serialize(to_json(std::span(&result, 1))) ==
          R"({"overall_status":"degraded","checks":[{"name":"mine","status":"degraded",)"
          R"("message":"Half of it.","details":{"n":1},"remedy":"Do something."}]})");
}

TEST_CASE("checks can be added from outside, and one without a name gets the one it was added by")
{
    HealthFixture f;
    auto checker = f.checker();
    checker.add_check("database", [] { return HealthCheckResult(); });
    checker.add_check("other", [] { return result_of(unhealthy); });
    const auto results = checker.check_all();
    REQUIRE(results.size() == 18);
    CHECK(results[16].name == "database");
    CHECK(results[17].name == "mine");
    CHECK(checker.get_overall_status() == unhealthy);
}

TEST_CASE("a derived checker's own check counts in the overall status")
{
    HealthFixture f;
    auto options = f.options;
    options.probes = f.machine.probes();
    const WithOneMore checker(std::move(options));
    CHECK(checker.check_all().back().name == "mine");
    CHECK(checker.get_overall_status() == unhealthy);
}

TEST_CASE("an exception in a check is an unhealthy result, and the others still run")
{
    HealthFixture f;
    auto options = f.options;
    options.probes = f.machine.probes();
    options.probes.now = []() -> std::chrono::system_clock::time_point {
        throw std::runtime_error("no clock\xff");
    };
    HealthChecker checker(std::move(options));
    checker.add_check("seven", []() -> HealthCheckResult { throw 7; });
    check_is(checker.check_clock(), unhealthy, "no clock\xEF\xBF\xBD");
    const auto results = checker.check_all();
    CHECK(results.size() == 17);
    check_is(results.back(), unhealthy, "unknown type");
    CHECK(results.back().name == "seven");
}

TEST_CASE("an agents file that is missing degrades")
{
    HealthFixture f;
    check_is(f.checker().check_configuration(), degraded, "background-agents.yaml does not exist");
}

TEST_CASE("an invalid agents file is unhealthy, and the details list every error")
{
    HealthFixture f;
    f.write_agents("  - name: a\n    type: background\n    commands: 7\n    enabled: maybe\n");
    const auto result = f.checker().check_configuration();
    check_is(result, unhealthy, ".cursor/background-agents.yaml:4:");
    REQUIRE(result.details.contains("errors"));
    CHECK(result.details.at("errors").as_array().size() == 2);
}

TEST_CASE("an error in the settings is unhealthy, a warning degrades, both with their place")
{
    HealthFixture f;
    f.write_agents(claude_agent);
    const auto settings = f.root() / ".tapps-agents/auto_execution_config.yaml";
    test::write_file(settings,
                     "auto_execution:\n  version: \"1.0\"\n  retry:\n    max_attempts: 0\n"
                     "  polling:\n    interval_seconds: fast\n");
    auto result = f.checker().check_configuration();
    check_is(result, unhealthy, "auto_execution_config.yaml:4:");
    CHECK(result.details.at("errors").as_array().size() == 2);

    test::write_file(settings,
                     "auto_execution:\n  version: \"1.0\"\n  retry:\n    max_atempts: 1\n");
    result = f.checker().check_configuration();
    check_is(result, degraded, "auto_execution_config.yaml:4:");
    CHECK(result.details.at("warnings").as_array().size() == 1);
}

TEST_CASE("an application's own settings are checked by its own function")
{
    HealthFixture f;
    f.write_agents(claude_agent);
    Diagnostic mine;
    mine.message = "Field 'mine' must be true or false";
    mine.path = "mine.yaml";
    mine.line = 7;
    f.options.configuration = [mine] { return std::vector{mine}; };
    check_is(f.checker().check_configuration(), unhealthy, "mine.yaml:7: Field 'mine'");
}

TEST_CASE("warnings in the agents file, and no agent that accepts commands, are degraded")
{
    HealthFixture f;
    f.write_agents(std::string(claude_agent) + "    enabeld: true\n");
    const auto result = f.checker().check_configuration();
    check_is(result, degraded, "enabeld");
    CHECK(result.details.at("warnings").as_array().size() == 1);

    f.write_agents("  - name: a\n    type: background\n    commands: [make]\n");
    check_is(f.checker().check_configuration(), degraded, "No enabled agent accepts commands");

    f.write_agents(claude_agent);
    check_is(f.checker().check_configuration(), healthy, "1 agent, of which 1 accepts commands");
}

TEST_CASE("a project that is not there is unhealthy, one on a network degraded")
{
    HealthFixture f;
    check_is(f.checker().check_file_system(), healthy, "is writable");
    f.machine.disk.remote = true;
    check_is(f.checker().check_file_system(), degraded, "network");
    f.options.project_root = f.folder / "none";
    check_is(f.checker().check_file_system(), unhealthy, "No such file");
}

TEST_CASE("a file or a link in the place of the records' folder is unhealthy")
{
    HealthFixture f;
    SUBCASE("a file")
    {
        test::write_file(f.root() / ".tapps-agents", "");
    }
    SUBCASE("a link that leads out")
    {
        std::filesystem::create_directory(f.folder / "elsewhere");
        std::filesystem::create_symlink(f.folder / "elsewhere", f.root() / ".tapps-agents");
    }
    SUBCASE("a link that stays inside")
    {
        std::filesystem::create_directory(f.root() / "elsewhere");
        std::filesystem::create_symlink("elsewhere", f.root() / ".tapps-agents");
    }
    check_is(f.checker().check_file_system(), unhealthy, ".tapps-agents");
    check_is(f.checker().check_records(), unhealthy, ".tapps-agents/metrics");
}

TEST_CASE("status files are counted in both places, and the malformed ones are named")
{
    HealthFixture f;
    const auto tree = f.add_worktree("tree");
    test::write_file(f.root() / ".cursor-skill-status.json", R"({"status": "completed"})");
    test::write_file(tree / ".cursor/.cursor-skill-status-7.json", R"({"status": "running"})");
    auto result = f.checker().check_status_file_access();
    check_is(result, healthy, "2 worktrees; 2 found");
    CHECK(result.details.at("status_files_found") == 2);

    test::write_file(tree / ".cursor-skill-status.json", "no JSON");
    check_is(f.checker().check_status_file_access(), degraded, "tree/.cursor-skill-status.json");
}

TEST_CASE("one missing worktree of two is degraded, two are unhealthy")
{
    HealthFixture f;
    const auto tree = f.add_worktree("tree");
    f.options.worktrees = {tree, f.folder / "second"};
    check_is(f.checker().check_status_file_access(), degraded, "second cannot be opened");
    check_is(f.checker().check_command_file_access(), degraded, "second cannot be opened");
    std::filesystem::remove(tree);
    check_is(f.checker().check_status_file_access(), unhealthy, "tree cannot be opened");
    const auto result = f.checker().check_command_file_access();
    check_is(result, unhealthy, "(1 more)");
    CHECK(result.details.at("problems").as_array().size() == 2);
}

TEST_CASE("a folder in the command file's place keeps commands out of that worktree")
{
    HealthFixture f;
    check_is(f.checker().check_command_file_access(), healthy, "1 worktree.");
    const auto tree = f.add_worktree("tree");
    std::filesystem::create_directory(tree / ".cursor-skill-command.txt");
    check_is(f.checker().check_command_file_access(), degraded, "is a folder");
    std::filesystem::create_directory(f.root() / ".cursor-skill-command.txt");
    check_is(f.checker().check_command_file_access(), unhealthy, "is a folder");
}

TEST_CASE("a program that is started but does not end degrades, none that starts is unhealthy")
{
    HealthFixture f;
    check_is(f.checker().check_supervisor(), healthy, "supervised");
    auto& run = f.machine.programs["true"];
    run.exit_code.reset();
    run.timed_out = true;
    check_is(f.checker().check_supervisor(), degraded, "in time");
    run = {};
    run.error = errc::supervisor_unavailable;
    run.problem = "autoexec-supervise was not found; looked for /x.";
    check_is(f.checker().check_supervisor(), unhealthy, "looked for /x");
    f.machine.programs["git"] = run;
    const auto message = f.checker().check_git().message;
    CHECK_MESSAGE(message.ends_with("looked for /x."), message);
}

TEST_CASE("one agent of two without its program degrades, both are unhealthy")
{
    HealthFixture f;
    f.write_agents(std::string(claude_agent) + script_agent);
    const auto without = f.checker().check_agent_programs();
    check_is(without, unhealthy, "'claude' was not found");
    CHECK(without.details.at("problems").as_array().size() == 2);

    f.install("claude");
    check_is(f.checker().check_agent_programs(), degraded, "Agent 'b' cannot run");
    f.install("my-script");
    const auto result = f.checker().check_agent_programs();
    check_is(result, healthy, "2 agents");
    CHECK(result.details.at("programs").at((f.folder / "bin/claude").string()) ==
          "2.1.0 (Claude Code)");
}

TEST_CASE("an agent that is not enabled needs no program")
{
    HealthFixture f;
    f.write_agents(std::string(claude_agent) + "    enabled: false\n");
    check_is(f.checker().check_agent_programs(), healthy, "No agents");
}

TEST_CASE("an agent's own PATH is searched, not the executor's")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(std::string(claude_agent) + "    environment: {PATH: /nowhere}\n");
    check_is(f.checker().check_agent_programs(), unhealthy, "looked in /nowhere");
}

TEST_CASE("a script is run for its version only on request")
{
    HealthFixture f;
    f.install("my-script");
    f.write_agents(script_agent);
    check_is(f.checker().check_agent_programs(), healthy, "1 agent");
    CHECK(f.machine.runs.empty());

    f.options.deep = true;
    f.machine.programs["my-script"].exit_code = 2;  // knows no such option
    check_is(f.checker().check_agent_programs(), healthy, "1 agent");
    CHECK(f.machine.runs == std::vector<std::string>{"my-script --version"});

    f.machine.programs["my-script"].timed_out = true;
    check_is(f.checker().check_agent_programs(), degraded, "in time");
}

TEST_CASE("a program of another version than its rules is named")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(claude_agent);
    f.machine.programs["claude"].output = "2.1.332 (Claude Code)\n";
    CHECK(f.checker().check_agent_programs().message == "The programs of 1 agent were found.");
    f.machine.programs["claude"].output = "3.0.0 (Claude Code)\n";
    CHECK(f.checker().check_agent_programs().message ==
          "The programs of 1 agent were found. claude is '3.0.0 (Claude Code)'; its rules were "
          "compared with 2.1.332.");
}

TEST_CASE("an agent's program that gives no version degrades")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(claude_agent);
    auto& run = f.machine.programs["claude"];
    run.exit_code = 127;
    check_is(f.checker().check_agent_programs(), degraded, "exit code 127");
    run.exit_code.reset();
    check_is(f.checker().check_agent_programs(), degraded, "a signal");
    run.problem = "Exec format error";
    check_is(f.checker().check_agent_programs(), degraded, "Exec format error");
}

TEST_CASE("no more programs are run when their common time limit has passed")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(claude_agent);
    f.options.program_limit = 0ms;
    check_is(f.checker().check_agent_programs(), degraded, "in time");
    CHECK(f.machine.runs.empty());
}

TEST_CASE("git is judged by its version")
{
    struct Row {
        const char* output;
        HealthStatus status;
    };
    const Row rows[] = {
        {"git version 2.36.0\n", healthy},
        {"git version 2.39.5 (Apple Git-154)\n", healthy},
        {"git version 3.0\n", healthy},
        {"git version 2.35.9\n", degraded},
        {"git version 1.99\n", degraded},
        {"git version 99999999999999999999.1\n", degraded},
        {"git version 2\n", degraded},
        {"hello\n", degraded},
        {"", degraded},
    };
    HealthFixture f;
    for (const auto& [output, status] : rows) {
        CAPTURE(output);
        f.machine.programs["git"].output = output;
        CHECK(f.checker().check_git().status == status);
    }
}

TEST_CASE("without git a plain folder is degraded, and a repository unhealthy")
{
    HealthFixture f;
    auto& run = f.machine.programs["git"];
    run = {};
    run.problem = "Can't run git: No such file or directory.";
    check_is(f.checker().check_git(), degraded, "No such file");
    for (const auto* name : {"objects", "refs"})
        std::filesystem::create_directories(f.root() / ".git" / name);
    test::write_file(f.root() / ".git/HEAD", "ref: refs/heads/main\n");
    check_is(f.checker().check_git(), unhealthy, "No such file");
    CHECK(f.checker().check_git().remedy.starts_with("Install git"));
    run.error = errc::supervisor_unavailable;
    check_is(f.checker().check_git(), unhealthy, "No such file");
    CHECK(f.checker().check_git().remedy.starts_with("Install autoexec-supervise"));
}

TEST_CASE("free space and inodes are held against their floors")
{
    struct Row {
        std::uint64_t free;
        HealthStatus status;
    };
    const Row rows[] = {{0, unhealthy},   {999, unhealthy}, {1000, degraded},
                        {3999, degraded}, {4000, healthy},  {test::plenty, healthy}};
    for (const auto& [free, status] : rows) {
        CAPTURE(free);
        HealthFixture f;
        f.options.min_free_bytes = f.options.min_free_inodes = 1000;
        f.machine.disk.free_bytes = free;
        CHECK(f.checker().check_disk_space().status == status);
        f.machine.disk.free_bytes = test::plenty;
        f.machine.disk.free_inodes = free;
        CHECK(f.checker().check_disk_space().status == status);
        f.machine.disk.total_inodes = 0;  // not counted there
        CHECK(f.checker().check_disk_space().status == healthy);
    }
}

TEST_CASE("a disk that holds many worktrees is complained about once")
{
    HealthFixture f;
    (void)f.add_worktree("a");
    (void)f.add_worktree("b");
    f.machine.disk.free_bytes = 1;
    CHECK_FALSE(f.checker().check_disk_space().details.contains("problems"));
}

TEST_CASE("unknown free space is degraded")
{
    HealthFixture f;
    auto options = f.options;
    options.probes = f.machine.probes();
    options.probes.file_system = [](const auto&) {
        return std::optional<HealthProbes::FileSystem>();
    };
    check_is(HealthChecker(std::move(options)).check_disk_space(), degraded, "The free space");
}

TEST_CASE("limits for file events that do not do for the worktrees, or are not known, degrade")
{
    HealthFixture f;
    (void)f.add_worktree("a");  // so there are two, with three watches each
    f.machine.inotify = {{"max_user_watches", 6}, {"max_user_instances", 2}};
    check_is(f.checker().check_inotify(), healthy, "high enough");
    f.machine.inotify["max_user_watches"] = 5;
    check_is(f.checker().check_inotify(), degraded, "max_user_watches is 5; 6 are needed");
    f.machine.inotify = {{"max_user_watches", 6}, {"max_user_instances", 1}};
    check_is(f.checker().check_inotify(), degraded, "max_user_instances is 1");
    f.machine.inotify.clear();
    check_is(f.checker().check_inotify(), degraded, "cannot be read");
}

TEST_CASE("a clock that was never set is unhealthy")
{
    HealthFixture f;
    check_is(f.checker().check_clock(), healthy, "agrees");
    f.machine.now = std::chrono::sys_days{std::chrono::year{1970} / 1 / 1};
    check_is(f.checker().check_clock(), unhealthy, text::shown_time(f.machine.now));
}

TEST_CASE("a record from the future degrades, one from the last minute's future does not")
{
    HealthFixture f;  // where it is 2026-01-20T00:00:00
    const auto record = [&f](std::string_view time) {
        test::write_file(f.root() / ".tapps-agents/audit/execution_audit.log",
                         "2026-01-20 00:00:00 | INFO | {\"timestamp\": \"" + std::string(time) +
                             "\", \"event_type\": \"execution_started\"}\n");
    };
    record("2026-01-20T00:00:59+00:00");
    check_is(f.checker().check_clock(), healthy, "agrees");
    record("2026-01-20T00:02:00+00:00");
    check_is(f.checker().check_clock(), degraded, "2m00s in the future");
    record("no time");
    check_is(f.checker().check_clock(), healthy, "agrees");
}

TEST_CASE("a metric from the future degrades, too")
{
    HealthFixture f;
    test::write_file(
        f.root() / ".tapps-agents/metrics/executions_2026-01-21.jsonl",
        R"({"execution_id": "x", "workflow_id": null, "step_id": null, "command": "c", )"
        R"("status": "completed", "duration_ms": 1.0, "started_at": "2026-01-21T00:00:00+00:00", )"
        R"("retry_count": 0, "completed_at": "2026-01-21T00:00:00+00:00", "error_message": null})"
        "\n");
    check_is(f.checker().check_clock(), degraded, "1d00h in the future");
}

TEST_CASE("a file system whose clock is another than the system's degrades")
{
    HealthFixture f;
    f.machine.file_system_ahead = 5s;
    check_is(f.checker().check_clock(), healthy, "agrees");
    f.machine.file_system_ahead = 7s;
    check_is(f.checker().check_clock(), degraded, "7.0s ahead of");
    f.machine.file_system_ahead = -90s;
    check_is(f.checker().check_clock(), degraded, "1m30s behind");
}

TEST_CASE("many problems of one check are counted, and listed up to a bound")
{
    health::FindingList findings("mine");
    for (int i = 0; i < 150; ++i) findings.degraded("problem " + std::to_string(i), "remedy");
    findings.unhealthy("the worst \xFF", "now");
    const auto result = std::move(findings).finish("All is well.");
    CHECK(result.name == "mine");
    CHECK(result.status == unhealthy);
    CHECK(result.message == "the worst \xEF\xBF\xBD (150 more)");
    CHECK(result.remedy == "now");
    CHECK(result.details.at("problems").as_array().size() == 100);
}

TEST_CASE("one problem is the message alone, and the first of equal ones is")
{
    health::FindingList one("mine");
    one.degraded("a", "b");
    CHECK(std::move(one).finish("All is well.").details.empty());
    health::FindingList two("mine");
    two.degraded("first", "b");
    two.degraded("second", "d");
    two.worsen();
    const auto result = std::move(two).finish("All is well.");
    CHECK(result.status == unhealthy);
    CHECK(result.message == "first (1 more)");
    CHECK(result.remedy == "b");
}

TEST_CASE("an agent of which commands are held back degrades the health")
{
    HealthFixture f;
    const auto now = f.machine.now;
    CHECK_FALSE(records::change_agent_health(f.root(), now, [&](protocol::AgentHealthMap& agents) {
        auto& health = agents["claude"];
        health.state = protocol::AgentHealth::State::open;
        health.code = "auth";
        health.message = "No key.";
        health.since = now;
        health.until = now + 60s;
        agents["codex"].failures = 1;
        agents["codex"].since = now;
    }));
    const auto result = f.checker().check_agents();
    check_is(result, degraded, "Commands are held back: agent claude is not signed in");
    CHECK(test::contains(result.message, "No key."));
    CHECK(test::contains(result.remedy, "autoexec agents reset claude"));
    REQUIRE(result.details.at("held_back").as_array().size() == 1);
    CHECK(result.details.at("held_back").at(0).at("state") == "open");
    test::write_file(f.root() / ".tapps-agents/health/agents.json", "no JSON");
    check_is(f.checker().check_agents(), degraded, "The state of the agents in");
}

TEST_CASE("paused starts degrade the health")
{
    HealthFixture f;
    check_is(f.checker().check_starts(), healthy, "No start is paused");
    const auto change = [&](const std::function<void(protocol::StartPauses&)>& how) {
        CHECK_FALSE(records::change_pauses(f.root(), how));
    };
    change([](protocol::StartPauses& pauses) {
        pauses.all = {std::chrono::system_clock::time_point(1769904000s), "me@here"};
        pauses.agents["my coder"] = {std::nullopt, "you@there"};
        pauses.workflows["night"] = {};
    });
    auto result = f.checker().check_starts();
    check_is(result, degraded, "Starts are paused since 20");
    CHECK(test::contains(result.message, "by me@here."));
    CHECK(result.remedy == "To end the pause: autoexec resume");
    const auto& paused = result.details.at("paused").as_array();
    REQUIRE(paused.size() == 3);
    CHECK(paused[0].at("agent").is_null());
    CHECK(paused[0].at("by") == "me@here");
    CHECK(paused[1].at("agent") == "my coder");
    CHECK(paused[1].at("since").is_null());
    CHECK(paused[2].at("workflow") == "night");
    change([](protocol::StartPauses& pauses) {
        pauses.all.reset();
        pauses.workflows.clear();
    });
    result = f.checker().check_starts();
    check_is(result, degraded, "Starts of agent my coder are paused by you@there.");
    CHECK(result.remedy == "To end the pause: autoexec resume --agent 'my coder'");
    test::write_file(f.root() / layout::paused, "no JSON");
    result = f.checker().check_starts();
    check_is(result, degraded, "Which starts are paused cannot be read");
    CHECK(result.details.at("paused").as_array().empty());
}

TEST_CASE("slots that cannot be locked degrade the health")
{
    HealthFixture f;
    const auto slots = f.root() / layout::slots;
    test::write_file(slots / "commands.lock", "");
    test::write_file(slots / "other", "");
    check_is(f.checker().check_starts(), healthy, "No start is paused");
    std::string named;
    SUBCASE("a folder in place of a file")
    {
        std::filesystem::create_directory(slots / "agent.coder.lock");
        named = "agent.coder.lock";
    }
    SUBCASE("a link in place of a file")
    {
        std::filesystem::create_symlink(slots / "other", slots / "agent.coder.lock");
        named = "agent.coder.lock";
    }
    SUBCASE("a FIFO in place of a file")
    {
        REQUIRE(::mkfifo((slots / "agent.coder.lock").c_str(), 0600) == 0);
        named = "agent.coder.lock";
    }
    SUBCASE("a link in place of the folder")
    {
        std::filesystem::rename(slots, f.root() / "elsewhere");
        std::filesystem::create_directory_symlink(f.root() / "elsewhere", slots);
        named = ".tapps-agents/slots'";
    }
    const auto result = f.checker().check_starts();
    check_is(result, degraded, "The limit of commands at once holds for each process alone");
    CHECK_MESSAGE(test::contains(result.message, named), result.message);
}

TEST_CASE("the agents of a project are listed, and dead ones reported")
{
    HealthFixture f;
    check_is(f.checker().check_agents(), healthy, "No agent process is running");
    const auto announce = [&](const std::string& id, int pid) {
        protocol::AgentRecord record;
        record.agent_id = id;
        record.pid = pid;
        record.agents = {"coder"};
        error_code ec;
        auto presence = records::AgentPresence::create(f.root(), record, ec);
        REQUIRE(presence);
        return presence;
    };
    const auto one = announce("one", 4711);
    auto result = f.checker().check_agents();
    check_is(result, healthy, "An agent is running: process 4711 (coder).");
    CHECK(result.details.at("running").at(0).at("agent_id") == "one");
    auto two = announce("two", 4712);
    check_is(f.checker().check_agents(), healthy, "Agents are running: ");
    two.reset();  // its file stays
    result = f.checker().check_agents();
    check_is(result, degraded, "An agent has died: process 4712 (coder).");
    CHECK(result.details.at("running").as_array().size() == 1);
}

TEST_CASE("a record of an attempt that cannot be read is left over")
{
    HealthFixture f;
    test::write_file(f.root() / ".tapps-agents/running/text.json", "no JSON");
    auto result = f.checker().check_leftovers();
    check_is(result, degraded, "running/text.json is not a valid record of an attempt");
    CHECK(result.remedy == "No action is needed: the next autoexec run removes it.");
    test::write_file(f.root() / ".tapps-agents/running/text.json", "{}");
    CHECK(f.checker().check_leftovers().remedy ==
          "Remove it, unless a later version of autoexec created it.");
}

TEST_CASE("of many status files of agents only some are read")
{
    HealthFixture f;
    for (int i = 0; i < 9; ++i)
        test::write_file(f.root() / (".cursor/.cursor-skill-status-" + std::to_string(i) + ".json"),
                         "no JSON");
    test::write_file(f.root() / ".cursor/.cursor-skill-status-x.txt", "of no agent");
    const auto result = f.checker().check_status_file_access();
    check_is(result, degraded, "(4 more)");
    CHECK(result.details.at("status_files_found") == 5);
}

TEST_CASE("a check states what it has measured")
{
    HealthFixture f;
    f.machine.inotify["max_user_watches"] = 4711;
    CHECK(f.checker().check_inotify().details.at("max_user_watches") == 4711);
    f.machine.disk.free_bytes = test::plenty + 3;
    CHECK(f.checker().check_disk_space().details.at("free_bytes") == test::plenty + 3);
    f.machine.file_system_ahead = 2s;
    const auto clock = f.checker().check_clock();
    CHECK(clock.details.at("now") == "2026-01-20T00:00:00+00:00");
    CHECK(clock.details.at("file_system_seconds_ahead") == 2.0);
    CHECK_FALSE(clock.details.contains("newest_record"));
    const auto found = f.checker().check_claims_and_locks();
    CHECK(found.details.at("claims") == 0);
    CHECK(found.details.at("in_flight") == 0);
}

TEST_CASE("a failed program is reported with the reason, as a sentence")
{
    HealthFixture f;
    auto& run = f.machine.programs["git"];
    const auto message = [&] { return f.checker().check_git().message; };
    run.exit_code = 127;
    CHECK(message() == "git cannot be run: exit code 127.");
    run.exit_code.reset();
    CHECK(message() == "git cannot be run: it was ended by a signal.");
    run.error = make_error_code(boost::system::errc::permission_denied);
    CHECK(message() == "git cannot be run: Permission denied.");
    run.problem = "It is not a program...";
    CHECK(message() == "git cannot be run: It is not a program.");
    run.timed_out = true;
    CHECK(message() == "git cannot be run: it did not answer in time.");
}

TEST_CASE("the version of a program is one line without control characters")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(claude_agent);
    const auto version = [&](std::string output) {
        f.machine.programs["claude"].output = std::move(output);
        const auto result = f.checker().check_agent_programs();
        return std::string(
            result.details.at("programs").at((f.folder / "bin/claude").string()).as_string());
    };
    CHECK(version("\n\n1.0\nmore\n") == "1.0");
    CHECK(version("1.0\a\xFF") == "1.0\\x07\xEF\xBF\xBD");
    CHECK(version(std::string(1000, '1')).size() == 200);
    CHECK(version("").empty());
}

TEST_CASE("a program of several agents is run once")
{
    HealthFixture f;
    f.install("claude");
    f.write_agents(std::string(claude_agent) +
                   "  - name: c\n    type: background\n    commands: ['claude -c -- {command}']\n");
    check_is(f.checker().check_agent_programs(), healthy, "The programs of 2 agents were found.");
    CHECK(f.machine.runs == std::vector<std::string>{"claude --version"});
}

TEST_CASE("without PATH the folders of the system are searched")
{
    HealthFixture f;
    f.machine.variables["PATH"] = "";
    f.write_agents("  - name: a\n    type: background\n    commands: ['sh -c -- {command}']\n");
    check_is(f.checker().check_agent_programs(), healthy, "1 agent");
    f.write_agents("  - name: a\n    type: background\n    commands: ['no-such -- {command}']\n");
    check_is(f.checker().check_agent_programs(), unhealthy, "looked in /bin, /usr/bin");
}

TEST_CASE("a relative worktree counts from the project")
{
    HealthFixture f;
    f.options.worktrees = {"../beside", "."};
    check_is(f.checker().check_command_file_access(), degraded,
             (f.folder / "beside").string() + " cannot be opened");
    std::filesystem::create_directory(f.folder / "beside");
    check_is(f.checker().check_command_file_access(), healthy, "in 2 worktrees");
}

TEST_CASE("a valid configuration is summed up, in the right number")
{
    HealthFixture f;
    f.write_agents(claude_agent);
    auto result = f.checker().check_configuration();
    check_is(result, healthy, "The settings are valid; 1 agent, of which 1 accepts commands.");
    CHECK(result.details.at("agents_that_take_commands") == 1);
    f.write_agents(std::string(claude_agent) + script_agent);
    check_is(f.checker().check_configuration(), healthy, "2 agents, of which 2 accept commands.");
    CHECK(f.checker().check_configuration().details.at("agents") == 2);
}

TEST_CASE("little space is reported with the amounts and the file system")
{
    HealthFixture f;
    f.options.min_free_bytes = 100 << 20;
    f.machine.disk.free_bytes = 5 << 20;
    const auto result = f.checker().check_disk_space();
    CHECK(result.message ==
          "Space of " + f.root().string() + ": 5 MiB left; the minimum is 100 MiB.");
    f.machine.disk.free_bytes = test::plenty;
    f.options.min_free_inodes = 7;
    f.machine.disk.free_inodes = 3;
    CHECK(f.checker().check_disk_space().message ==
          "Inodes of " + f.root().string() + ": 3 left; the minimum is 7.");
}

TEST_CASE("a trial write leaves nothing, whichever way it is done")
{
    test::TemporaryFolder folder;
    const int fd = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const auto before = std::chrono::system_clock::now();
    for (const auto& trial : {health::try_to_write(fd), health::try_to_create(fd)}) {
        CHECK_FALSE(trial.error);
        // Kernels stamp files with the time of their last tick.
        CHECK(trial.time > before - 1s);
        CHECK(trial.time < std::chrono::system_clock::now() + 1s);
    }
    CHECK(std::filesystem::is_empty(folder.path()));
    ::close(fd);

    const int proc = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(health::try_to_write(proc).error);
    CHECK(health::try_to_create(proc).error);
    ::close(proc);
}
