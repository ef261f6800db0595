#include "support/project.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <csignal>

using namespace autoexec::test;

namespace {

constexpr auto own = ".tapps-agents/auto_execution_config.yaml";

bool has_event(const Project& project, std::string_view type)
{
    const auto events = project.audit();
    return std::any_of(events.begin(), events.end(),
                       [&](const auto& event) { return text_at(event, "event_type") == type; });
}

/// Changes a file as editors do: the program must never see half of it.
void replace(const Project& project, std::string_view text)
{
    project.write(".tapps-agents/new", text);
    fs::rename(project.root() / ".tapps-agents/new", project.root() / own);
}

}  // namespace

TEST_CASE("a typo stops a run before anything is done, and the right word is suggested")
{
    Project project;
    project.write(own, "auto_execution:\n  durability: proces\n");
    const auto ended = project.run({"run", "echo >made"});
    CHECK(ended.code == 3);
    CHECK(ended.out.empty());
    CHECK(ended.err ==
          ".tapps-agents/auto_execution_config.yaml:2:15: error: durability must be none, process "
          "or power\n"
          "    2 |   durability: proces\n"
          "      |               ^\n"
          "  hint: Did you mean 'process'?\n");
    CHECK_FALSE(fs::exists(project.root() / "made"));
    CHECK(project.audit().empty());
    CHECK(project.run({"agent"}).code == 3);
}

TEST_CASE("an unknown key is a warning, and an error with --strict")
{
    Project project;
    project.write(own, "auto_execution:\n  retyr: {}\n");
    CHECK(project.run({"run", "true"}).code == 0);
    CHECK(contains(project.run({"run", "true"}).err, "Did you mean 'retry'?"));
    CHECK(project.run({"config", "validate"}).code == 0);
    CHECK(project.run({"config", "validate", "--strict"}).code == 3);
    const auto found = objects_of(project.run({"config", "validate", "--json"}).out);
    REQUIRE(found.size() == 1);
    CHECK(text_at(found[0], "valid") == "true");
    const auto& first = found[0].at("diagnostics").as_array().at(0).as_object();
    CHECK(text_at(first, "line") == "2");
    CHECK(text_at(first, "hint") == "Did you mean 'retry'?");
}

TEST_CASE("an unknown variable is a warning of config validate, and an error with --strict")
{
    Project project;
    CHECK(project.run({"config", "validate", "--strict"}).code == 0);
    project.set("AUTOEXEC_SOMETHING_ELSE", "1");
    CHECK(project.run({"run", "-q", "true"}).err.empty());
    auto ended = project.run({"config", "validate"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "AUTOEXEC_SOMETHING_ELSE: warning: Unknown variable"));
    ended = project.run({"config", "validate", "--strict"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "AUTOEXEC_SOMETHING_ELSE: error: Unknown variable"));
}

TEST_CASE("each value tells where it came from")
{
    Project project;
    project.write(own, "auto_execution:\n  retry:\n    max_attempts: 5\n");
    project.write(".tapps-agents/config.yaml", "workflow:\n  polling_interval: 2\nmore: 1\n");
    project.set("AUTOEXEC_ON_BUSY", "wait");
    const auto shown = project.run({"config", "show", "--origin"});
    CHECK(shown.code == 0);
    const auto line = [&](std::string_view key) {
        for (const auto& each : lines_of(shown.out))
            if (each.starts_with(key)) return each;
        return std::string();
    };
    CHECK(line("retry.max_attempts ").ends_with(".tapps-agents/auto_execution_config.yaml:3"));
    CHECK(line("polling.interval_seconds ").ends_with(".tapps-agents/config.yaml:2"));
    CHECK(line("on_busy ").ends_with("environment AUTOEXEC_ON_BUSY"));
    CHECK(line("debug ").ends_with("default"));
    const auto json = objects_of(project.run({"config", "show", "--origin", "--json"}).out);
    REQUIRE(json.size() == 1);
    CHECK(text_at(json[0].at("retry.max_attempts").as_object(), "value") == "5");
}

TEST_CASE("the command line wins over what is configured")
{
    Project project;
    project.write(
        own, "auto_execution:\n  polling: {timeout_seconds: 1000}\n  retry: {max_attempts: 1}\n");
    const auto ended = project.run({"run", "--json", "--timeout", "300ms", "sleep 1000"});
    CHECK(ended.code == 1);
    const auto result = objects_of(ended.out);
    REQUIRE(result.size() == 1);
    CHECK(text_at(result[0], "status") == "timeout");
}

TEST_CASE("settings apply where the command line has no option")
{
    Project project;
    project.write(own,
                  "auto_execution:\n  polling: {timeout_seconds: 0.4, interval_seconds: 0.1}\n"
                  "  features: {audit_logging: false}\n");
    const auto result = objects_of(project.run({"run", "--json", "sleep 100"}).out);
    REQUIRE(result.size() == 1);
    CHECK(text_at(result[0], "status") == "timeout");
    CHECK_FALSE(fs::exists(project.root() / ".tapps-agents/audit"));
}

TEST_CASE("debugging lasts, and its log holds no secrets")
{
    Project project;
    CHECK(contains(project.run({"debug", "status"}).out, "The debug log is off (default)"));
    CHECK(project.run({"debug", "on"}).code == 0);
    CHECK(contains(project.run({"debug"}).out, "The debug log is on"));
    const std::string secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB";
    CHECK(project.run({"run", "echo " + secret}).code == 0);
    const auto log = project.root() / ".tapps-agents/logs/autoexec.log";
    const auto text = read_file(log);
    CHECK(contains(text, "execution_completed"));
    CHECK_FALSE(contains(text, secret));
    struct stat info {};
    REQUIRE(::stat(log.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(project.run({"debug", "off"}).code == 0);
    CHECK(project.run({"run", "true"}).code == 0);
    CHECK(read_file(log) == text);
}

TEST_CASE("a run takes a new configuration for what begins later, and refuses a broken one")
{
    Project project;
    project.write(own, "auto_execution:\n  polling: {interval_seconds: 0.1}\n");
    const auto a = project.worktree("a");
    const auto b = project.worktree("b");
    Program run(project.start({"run", "--json", "-j", "1", "-w", a, "-w", b,
                               "test ! -e ../first && touch ../first && until test -e ../go; do "
                               "sleep 0.05; done || sleep 100"}));
    REQUIRE(eventually([&] { return fs::exists(a / "../first"); }));

    replace(project, "auto_execution:\n  polling: [\n");
    REQUIRE(eventually([&] { return has_event(project, "config_rejected"); }));
    CHECK(contains(run.err(), "The previous configuration stays in effect."));
    CHECK(contains(run.err(), "Invalid YAML syntax"));

    replace(project, "auto_execution:\n  polling: {interval_seconds: 0.1, timeout_seconds: 0.5}\n");
    REQUIRE(eventually([&] { return has_event(project, "config_reloaded"); }));
    CHECK(contains(run.err(), "Configuration reloaded: polling.timeout_seconds."));
    project.write("../go", "");
    const auto ended = run.wait();
    CHECK(ended.code == 1);
    const auto results = objects_of(ended.out);
    REQUIRE(results.size() == 2);
    CHECK(text_at(results[0], "status") == "completed");  // longer than the new time-out
    CHECK(text_at(results[1], "status") == "timeout");
}

TEST_CASE("an agent reads its configuration again when it gets a hang-up signal")
{
    Project project;
    project.write(
        ".cursor/background-agents.yaml",
        "agents:\n  - {name: dev, type: background, commands: ['/bin/sh -c {command}']}\n");
    Program agent(project.start({"agent"}));
    REQUIRE(eventually([&] { return contains(agent.err(), "looking for commands"); }));
    agent.signal(SIGHUP);
    REQUIRE(eventually([&] { return has_event(project, "config_reloaded"); }));
    agent.signal(SIGTERM);
    CHECK(agent.wait().code == 0);
}

TEST_CASE("migrating shows the difference first, and keeps the old file")
{
    Project project;
    const std::string old = "auto_execution:\n  enabled: true  # yes\n";
    CHECK(contains(project.run({"config", "migrate"}).out, "Nothing to migrate"));
    project.write(own, old);
    const auto shown = project.run({"config", "migrate", "--dry-run"});
    CHECK(shown.code == 0);
    CHECK(contains(shown.out, "+  version: \"1.1\""));
    CHECK(project.run({"config", "migrate"}).code == 2);  // nobody can be asked
    std::filesystem::permissions(project.root() / own, std::filesystem::perms(0640));
    CHECK(read_file(project.root() / own) == old);
    CHECK(project.run({"config", "migrate", "--yes"}).code == 0);
    CHECK(read_file(project.root() / own) == old + "  version: \"1.1\"\n");
    CHECK((std::filesystem::status(project.root() / own).permissions()) ==
          std::filesystem::perms(0640));
    CHECK(read_file(project.root() / (std::string(own) + ".bak")) == old);
    CHECK(contains(project.run({"config", "migrate"}).out, "is up to date"));
}

TEST_CASE("the reference and the schema need no project")
{
    Project project;
    CHECK(project.run({"config", "reference"}).out.starts_with("# Configuration\n"));
    boost::system::error_code ec;
    const auto schema = boost::json::parse(project.run({"config", "schema"}).out, ec);
    CHECK_FALSE(ec);
    CHECK(schema.at("properties").as_object().contains("auto_execution"));
}

TEST_CASE("config set changes one value of the file, if the whole stays valid")
{
    Project project;
    const auto text =
        "# ours\nauto_execution:\n  version: \"1.1\"\n  retry:\n    max_attempts: 3  # enough\n";
    project.write(own, text);
    CHECK(project.run({"config", "get", "retry.max_attempts"}).out == "3\n");
    const auto changed = project.run({"config", "set", "retry.max_attempts", "5"});
    CHECK(changed.code == 0);
    CHECK(changed.err.empty());
    CHECK(read_file(project.root() / own) ==
          "# ours\nauto_execution:\n  version: \"1.1\"\n  retry:\n    max_attempts: 5  # enough\n");
    CHECK(project.run({"config", "get", "retry.max_attempts"}).out == "5\n");
    const auto as_json =
        objects_of(project.run({"config", "get", "--json", "retry.max_attempts"}).out).at(0);
    CHECK(as_json.at("value") == 5);
    CHECK(contains(text_at(as_json, "origin"), "auto_execution_config.yaml:5"));

    const auto refused = project.run({"config", "set", "retry.max_attempts", "many"});
    CHECK(refused.code == 3);
    CHECK(
        contains(refused.err, "auto_execution_config.yaml:5:19: error: retry.max_attempts must "));
    CHECK(contains(refused.err, "was not changed"));
    const auto contradiction = project.run({"config", "set", "polling.timeout_seconds", "0.5"});
    CHECK(contradiction.code == 3);
    CHECK(project.run({"config", "get", "retry.max_attempts"}).out == "5\n");

    CHECK(contains(project.run({"config", "set", "retry.max_atempts", "5"}).err,
                   "Did you mean 'retry.max_attempts'?"));
    CHECK(project.run({"config", "get", "retry"}).code == 2);
    CHECK(project.run({"config", "unset", "retry.max_attempts"}).code == 0);
    CHECK(read_file(project.root() / own) ==
          "# ours\nauto_execution:\n  version: \"1.1\"\n    # enough\n");
    CHECK(contains(project.run({"config", "unset", "retry.max_attempts"}).err, "does not set"));
}

TEST_CASE("config set creates the file, also that of the user")
{
    Project project;
    CHECK(project.run({"config", "set", "durability", "none"}).code == 0);
    CHECK(project.run({"config", "get", "durability"}).out == "none\n");
    CHECK(project.run({"config", "set", "--user", "limits.max_parallel", "3"}).code == 0);
    CHECK(project.run({"config", "get", "limits.max_parallel"}).out == "3\n");
    project.set("AUTOEXEC_LIMITS_MAX_PARALLEL", "4");
    const auto hidden = project.run({"config", "set", "limits.max_parallel", "5"});
    CHECK(hidden.code == 0);
    CHECK(contains(hidden.err, "environment AUTOEXEC_LIMITS_MAX_PARALLEL takes precedence"));
}

TEST_CASE("config edit writes what the editor leaves, if it is valid")
{
    Project project;
    project.unset("VISUAL");
    project.set("EDITOR", "sed -i -e '$a\\  debug: true'");
    CHECK(project.run({"config", "edit"}).code == 0);
    CHECK(project.run({"config", "get", "debug"}).out == "true\n");
    const auto before = read_file(project.root() / own);
    project.set("EDITOR", "sed -i -e 's/true/maybe/'");
    const auto refused = project.run({"config", "edit"});
    CHECK(refused.code == 3);
    CHECK(contains(refused.err, "was not changed\nYour text is "));
    CHECK(read_file(project.root() / own) == before);
    const auto kept = refused.err.substr(refused.err.rfind(" is ") + 4);
    const fs::path copy = kept.substr(0, kept.find('\n'));
    CHECK(contains(read_file(copy), "debug: maybe"));
    fs::remove(copy);
    project.set("EDITOR", "true");
    CHECK(contains(project.run({"config", "edit"}).err, "Nothing has changed"));
    project.set("EDITOR", "false");
    const auto failed = project.run({"config", "edit"}).err;
    CHECK(contains(failed, "the editor 'false' ended with exit code 1"));
    CHECK_FALSE(contains(failed, "Your text"));
    project.set("EDITOR", R"(edit() { echo '# mine' >> "$1"; exit 3; }; edit)");
    const auto left = project.run({"config", "edit"}).err;
    const auto begin = left.find("Your text is ") + 13;
    const fs::path mine = left.substr(begin, left.find('\n', begin) - begin);
    CHECK(contains(read_file(mine), "# mine"));
    fs::remove(mine);
    project.set("EDITOR", "/no/such/editor");
    CHECK(contains(project.run({"config", "edit"}).err, "check VISUAL and EDITOR"));
    CHECK(read_file(project.root() / own) == before);
}
