#include "agent/agents_file_reader.hpp"
#include "agent/template.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

using namespace autoexec;
using namespace autoexec::agent;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

AgentsFile parse(const std::string& text)
{
    auto reading = parse_agents(text, "agents.yaml");
    REQUIRE_MESSAGE(reading.errors.empty(), to_string(reading.errors));
    return std::move(reading.file);
}

std::vector<Diagnostic> errors_of(const std::string& text)
{
    const auto reading = parse_agents(text, "agents.yaml");
    CHECK_FALSE(reading.errors.empty());
    REQUIRE_FALSE(reading.errors.empty());
    return reading.errors;
}

std::string only_error(const std::string& text)
{
    const auto errors = errors_of(text);
    CHECK_MESSAGE(errors.size() == 1, to_string(errors));
    return errors.front().message;
}

// A valid agent and one more line.
std::string agent_with(const std::string& field)
{
    return "agents:\n"
           "  - name: worker\n"
           "    type: background\n"
           "    commands: [\"my-agent {command}\"]\n"
           "    " +
           field + "\n";
}

std::string entry(const std::string& name, const std::string& command, const std::string& more = {})
{
    return "  - {name: " + name + ", type: background, commands: [\"" + command + "\"]" + more +
           "}\n";
}

struct Project {
    test::TemporaryFolder temporary;
    const fs::path& root = temporary.path();
    fs::path file = root / ".cursor" / "background-agents.yaml";

    Project() { fs::create_directories(root / ".cursor"); }
};

}  // namespace

TEST_SUITE_BEGIN("agents_file");

TEST_CASE("a full file is read, field by field")
{
    const auto file = parse(R"(
agents:
  - name: Worker
    type: background
    description: Does it
    commands:
      - my-agent --file {command_file_path} "{command}"
      - notify {workflow_id}
    watch_paths: ["**/.cursor-skill-command.txt"]
    timeout_seconds: 90
    retry_count: 2
    environment: [A=1, "B=x=y", C=]
    clean_environment: true
    accept_argv: yes
    working_directory: ${PROJECT_ROOT}/sub
    max_parallel: 3
  - name: Second
    type: "background"
    enabled: false
    shell: true
    commands: ["echo {command} | tee log"]
    environment: {PORT: 8080, EMPTY: , MODE: "on"}
global:
  max_parallel_agents: 4
  timeout_seconds: 3600
  accept_legacy: true
  result_delivery: [file]
)");
    CHECK(file.warnings.empty());
    CHECK(file.max_parallel_agents == 4);
    CHECK(file.accept_legacy);
    REQUIRE(file.agents.size() == 2);

    const auto& worker = file.agents[0];
    CHECK(worker.name == "Worker");
    CHECK(worker.description == "Does it");
    CHECK(worker.enabled);
    REQUIRE(worker.commands.size() == 2);
    CHECK(worker.commands[1] == "notify {workflow_id}");
    REQUIRE(templates_of(worker).size() == 2);
    CHECK(templates_of(worker)[0].words.size() == 4);
    CHECK(worker.watch_paths.size() == 1);
    CHECK(worker.timeout == 90s);
    CHECK(worker.retry_count == 2);
    using Variables = std::vector<std::pair<std::string, std::string>>;
    CHECK(worker.environment == Variables{{"A", "1"}, {"B", "x=y"}, {"C", ""}});
    CHECK(worker.clean_environment);
    CHECK(worker.accept_argv);
    CHECK(worker.working_directory == "sub");
    CHECK(worker.max_parallel == 3);

    const auto& second = file.agents[1];
    CHECK(second.max_parallel == 0);
    CHECK_FALSE(second.enabled);
    CHECK(second.timeout == 3600s);
    CHECK_FALSE(second.retry_count);
    CHECK(second.environment == Variables{{"PORT", "8080"}, {"EMPTY", ""}, {"MODE", "on"}});
    CHECK(templates_of(second).at(0).words[2] ==
          CommandTemplate::Word{std::string("echo \"${1}\" | tee log")});
}

TEST_CASE("a problem of the file as a whole is reported in one sentence")
{
    CHECK(only_error("") == "Configuration must be a YAML object/dictionary");
    CHECK(only_error("- a\n") == "Configuration must be a YAML object/dictionary");
    CHECK(only_error("global: {}\n") == "Missing required top-level field: 'agents'");
    CHECK(only_error("agents: 7\n") == "Field 'agents' must be a list");
    CHECK(only_error("agents: []\n") == "Field 'agents' must contain at least one agent");
    CHECK(only_error("agents: [7]\n") == "Agent 1: Must be a YAML object/dictionary");
    CHECK(only_error("agents: [\n").starts_with("Invalid YAML syntax: "));
    CHECK(only_error(agent_with("") + "global: 7\n") == "Field 'global' must be a mapping");
    CHECK(only_error(agent_with("") + "global: {max_parallel_agents: -1}\n") ==
          "global: Field 'max_parallel_agents' must be a non-negative integer");
}

TEST_CASE("a role has an agent, or none")
{
    const auto file =
        parse("roles:\n  writer: worker\n  critic:\n  worker: worker\n" + agent_with(""));
    CHECK(file.warnings.empty());
    using Roles = std::map<std::string, std::string, std::less<>>;
    CHECK(file.roles == Roles{{"writer", "worker"}, {"critic", ""}, {"worker", "worker"}});
    CHECK(parse("roles:\n" + agent_with("")).roles.empty());
}

TEST_CASE("a role whose agent is not in the file is an error")
{
    CHECK(only_error(agent_with("") + "roles: [writer]\n") == "Field 'roles' must be a mapping");
    CHECK(only_error(agent_with("") + "roles: {writer: [worker]}\n") ==
          "roles: 'writer' must be the name of an agent");
    CHECK(only_error(agent_with("") + "roles: {writer: 7}\n") ==
          "roles: 'writer' must be the name of an agent");
    CHECK(only_error(agent_with("") + "roles: {\"\": worker}\n") == "roles: A role needs a name");
    const auto errors = errors_of(agent_with("") + "roles: {writer: wroker}\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors.front().message ==
          "roles: 'writer' names the agent 'wroker', which does not exist");
    CHECK(errors.front().hint == "Did you mean 'worker'?");
    CHECK(only_error("roles: {a: b}\nagents:\n"
                     "  - {name: a, type: background, commands: [\"x {command}\"]}\n"
                     "  - {name: b, type: background, commands: [\"x {command}\"]}\n") ==
          "roles: 'a' is the name of an agent");
}

TEST_CASE("problems of a field name agent and field")
{
    CHECK(only_error(agent_with("timeout_seconds: 0")) ==
          "Agent 1: Field 'timeout_seconds' must be a positive integer");
    CHECK(only_error(agent_with("timeout_seconds: true")) ==
          "Agent 1: Field 'timeout_seconds' must be a positive integer");
    CHECK(only_error(agent_with("timeout_seconds: 99999999999")) ==
          "Agent 1: Field 'timeout_seconds' must be at most 100000000");
    CHECK(only_error(agent_with("retry_count: -1")) ==
          "Agent 1: Field 'retry_count' must be a non-negative integer");
    CHECK(only_error(agent_with("retry_count: 1.5")) ==
          "Agent 1: Field 'retry_count' must be a non-negative integer");
    CHECK(only_error(agent_with("max_parallel: -1")) ==
          "Agent 1: Field 'max_parallel' must be an integer from 0 to 10000");
    CHECK(only_error(agent_with("max_parallel: 10001")) ==
          "Agent 1: Field 'max_parallel' must be at most 10000");
    CHECK(only_error(agent_with("enabled: maybe")) ==
          "Agent 1: Field 'enabled' must be true or false");
    CHECK(only_error(agent_with("description: [x]")) ==
          "Agent 1: Field 'description' must be text");
    CHECK(only_error(agent_with("watch_paths: x")) ==
          "Agent 1: Field 'watch_paths' must be a list");
    CHECK(only_error(agent_with("watch_paths: []")) ==
          "Agent 1: Field 'watch_paths' must contain at least one path");
    CHECK(only_error(agent_with("watch_paths: [7]")) ==
          "Agent 1: Field 'watch_paths[1]' must be text");
    CHECK(only_error(agent_with("watch_paths: [../x]")) ==
          "Agent 1: Bad watch path '../x': '..' would leave the project");
    CHECK(only_error(agent_with("environment: x")) ==
          "Agent 1: Field 'environment' must be a list of NAME=value, or a mapping");
    CHECK(only_error(agent_with("environment: [x]")) ==
          "Agent 1: Items of 'environment' must be NAME=value");
    CHECK(only_error(agent_with("environment: [1A=x]")) ==
          "Agent 1: '1A' is not a valid variable name");
    CHECK(only_error(agent_with("environment: [A=1, A=2]")) ==
          "Agent 1: The variable 'A' is set twice");
    CHECK(only_error(agent_with("environment: {A: [1]}")) ==
          "Agent 1: Field 'environment.A' must be text");
    CHECK(only_error(agent_with("working_directory: a/../../b")) ==
          "Agent 1: Field 'working_directory' must not leave the worktree by '..'");
    CHECK(only_error(agent_with("working_directory: ${HOME}/x")) ==
          "Agent 1: Field 'working_directory' must not contain variables");
    CHECK(only_error(agent_with("enabled: true\n    enabled: false")) ==
          "The key 'enabled' is there twice");
    CHECK(only_error("agents:\n" + entry("a", "x") + entry("a", "y")) ==
          "Agent 2: The name 'a' is already used by agent 1");
}

TEST_CASE("problems of required fields name them")
{
    const auto missing = errors_of("agents: [{enabled: true}]\n");
    REQUIRE(missing.size() == 3);
    CHECK(missing[0].message == "Agent 1: Missing required field: 'name'");
    CHECK(missing[1].message == "Agent 1: Missing required field: 'type'");
    CHECK(missing[2].message == "Agent 1: Missing required field: 'commands'");

    const std::string head = "agents: [{name: a, type: background, commands: ";
    CHECK(only_error(head + "x}]") == "Agent 1: Field 'commands' must be a list");
    CHECK(only_error(head + "[]}]") ==
          "Agent 1: Field 'commands' must contain at least one command");
    CHECK(only_error(head + "[true]}]") == "Agent 1: Field 'commands[1]' must be text");
    CHECK(only_error(head + "[{a: b}]}]") == "Agent 1: Field 'commands[1]' must be text");
    CHECK(only_error("agents: [{name: '', type: background, commands: [x]}]") ==
          "Agent 1: Field 'name' must not be empty");
    CHECK(only_error("agents: [{name: 7, type: background, commands: [x]}]") ==
          "Agent 1: Field 'name' must be text");
    CHECK(only_error("agents: [{name: a, type: cloud, commands: [x]}]") ==
          "Agent 1: Field 'type' must be 'background' (got: cloud)");
}

TEST_CASE("all errors are found at once, each with its place and a hint")
{
    const auto errors = errors_of(
        "agents:\n"
        "  - name: a\n"
        "    type: background\n"
        "    commands: [\"run {comand}\"]\n"
        "    timeout_seconds: \"60\"\n"
        "  - 7\n"
        "  - name: b\n"
        "    type: background\n"
        "    commands: [12]\n");
    REQUIRE(errors.size() == 4);
    CHECK(to_string(errors[0]) ==
          "agents.yaml:4:21: error: Agent 1: Command 1: Unknown placeholder '{comand}'\n"
          "    4 |     commands: [\"run {comand}\"]\n"
          "      |                     ^\n"
          "  hint: Did you mean '{command}'?\n");
    CHECK(errors[1].line == 5);
    CHECK(errors[1].hint == "This is text; remove the quotes.");
    CHECK(errors[2].message == "Agent 2: Must be a YAML object/dictionary");
    CHECK(errors[3].hint == "This is a number; put it in quotes.");
}

TEST_CASE("an unknown field is a warning with the name that was meant")
{
    const auto file = parse(agent_with("enabeld: false") + "globl: {}\n");
    CHECK(file.agents[0].enabled);
    REQUIRE(file.warnings.size() == 2);
    CHECK(file.warnings[0].message == "Unknown field 'globl'");
    CHECK(file.warnings[1].message == "Agent 1: Unknown field 'enabeld'");
    CHECK(file.warnings[1].hint == "Did you mean 'enabled'?");
    CHECK(file.warnings[1].line == 5);
}

TEST_CASE("the rule for a program's end is known by name, with what it may do after it")
{
    const auto plain = parse(agent_with("enabled: true")).agents.at(0);
    CHECK(plain.outcome == OutputRules{});
    CHECK(plain.linger == 5s);
    const auto agent = parse(agent_with("outcome: claude\n    linger_seconds: 0")).agents.at(0);
    CHECK(agent.outcome == output_rules("claude"));
    CHECK(agent.linger == 0s);
    CHECK(parse(agent_with("outcome: codex")).agents.at(0).outcome == output_rules("codex"));

    const auto errors = errors_of(agent_with("outcome: cluade"));
    CHECK(errors.front().line == 5);
    CHECK(errors.front().message ==
          "Agent 1: Field 'outcome' must be one of exit_code, claude, codex, gemini, "
          "opencode, qwen, cursor, amp, cline (got: cluade)");
    CHECK(errors.front().hint == "Did you mean 'claude'?");
    CHECK(only_error(agent_with("linger_seconds: -1")).find("linger_seconds") != std::string::npos);
    CHECK(only_error(agent_with("outcome: [claude]")).find("'outcome'") != std::string::npos);
}

TEST_CASE("rules for the output of a program can be described in the file")
{
    const auto rules = parse(agent_with("outcome:\n"
                                        "      program: Mine\n"
                                        "      events:\n"
                                        "        - when: {/type: end, /ok: true, /n: 3}\n"
                                        "          meaning: success\n"
                                        "          usage: {input: /u/in, total: sum}\n"
                                        "        - when: {/type: {begins_with: err}}\n"
                                        "          meaning: failure\n"
                                        "          message: [/text, /name]\n"))
                           .agents.at(0)
                           .outcome;
    CHECK(rules.program == "Mine");
    REQUIRE(rules.events.size() == 2);
    using Kind = EventCondition::Kind;
    CHECK(rules.events[0].when == std::vector<EventCondition>{{"/type", Kind::equals, "end"},
                                                              {"/ok", Kind::literal, "true"},
                                                              {"/n", Kind::literal, "3"}});
    CHECK(rules.events[0].meaning == EventMeaning::success);
    CHECK(rules.events[0].usage.value().total == UsageTotal::sum);
    CHECK(rules.events[1].when == std::vector<EventCondition>{{"/type", Kind::begins_with, "err"}});
    CHECK(rules.events[1].message == std::vector<std::string>{"/text", "/name"});
}

TEST_CASE("a rule that is wrong is named, with its place")
{
    const auto with = [](const std::string& event) {
        return agent_with("outcome:\n      events:\n        - " + event);
    };
    CHECK(only_error(with("{when: {type: x}}")) ==
          "Agent 1: outcome: Event 1: 'type' is not a JSON pointer");
    CHECK(only_error(with("{when: {/type: x}, meaning: sucess}")).find("(got: sucess)") !=
          std::string::npos);
    CHECK(only_error(with("{meaning: success}")) ==
          "Agent 1: outcome: Event 1: Missing required field: 'when'");
    CHECK(only_error(with("{when: {/type: x}, session: id}")).find("must be a JSON pointer") !=
          std::string::npos);
    CHECK(only_error(with("{when: {/type: x}, usage: {input: id}}"))
              .starts_with("Agent 1: outcome: Event 1: usage: Field 'input'"));
    CHECK(only_error(with("{when: {/type: x}, message: [/a, {b: c}]}")).find("'message'") !=
          std::string::npos);
    CHECK(only_error(with("{when: {/a~b: x}}")) ==
          "Agent 1: outcome: Event 1: '/a~b' is not a JSON pointer");
    CHECK(only_error(with("{when: {/a: x}, session: /a~}")).find("must be a JSON pointer") !=
          std::string::npos);
    CHECK(only_error(with("{when: {/a: x}, message: [text, /b~2]}")).find("'/b~2'") !=
          std::string::npos);
    CHECK(only_error(with("{when: {/a: x}, message: /b~2}")).find("'/b~2'") != std::string::npos);
    CHECK(only_error(with("{when: {/a: x}, show: 'Run {a}'}")) ==
          "Agent 1: outcome: Event 1: Field 'show': '{a}' is not a JSON pointer");
    CHECK(only_error(with("{when: {/a: x}, show: 'Run {shown}'}")).find("'{shown}'") !=
          std::string::npos);
    const auto open = errors_of(with("{when: {/a: x}, denied: '{/b}: {/c'}")).front();
    CHECK(open.message == "Agent 1: outcome: Event 1: Field 'denied': '{/c' is not closed");
    CHECK(open.line == 7);
    CHECK(open.column == 42);
    CHECK(only_error(agent_with("outcome: {}")) ==
          "Agent 1: outcome: Missing required field: 'events'");
    CHECK(only_error(agent_with("stdin: '{comand}'")).find("Unknown placeholder '{comand}'") !=
          std::string::npos);
}

TEST_CASE("a retry in the session needs the words for it")
{
    const auto agent = parse(agent_with("resume: --resume {session}\n    retry_in: session"));
    CHECK(agent.agents.at(0).resume == "--resume {session}");
    CHECK(agent.agents.at(0).retry_in_session);
    CHECK_FALSE(parse(agent_with("resume: --resume {session}")).agents.at(0).retry_in_session);
    CHECK(only_error(agent_with("retry_in: session")).find("needs a field 'resume'") !=
          std::string::npos);
    CHECK(agent.warnings.at(0).message.find("needs {resume} in one of") != std::string::npos);
    const std::string resumes = ", resume: '--resume {session}', retry_in: session";
    CHECK(parse("agents:\n" + entry("a", "tool {resume} {command}", resumes)).warnings.empty());
    CHECK(only_error(agent_with("retry_in: old")).find("(got: old)") != std::string::npos);
    CHECK(only_error(agent_with("resume: '--resume {sesion}'")).find("'{sesion}'") !=
          std::string::npos);
}

TEST_CASE(
    "an agent that is driven by a protocol has a mode and a model, and can continue a session")
{
    const std::string acp =
        "agents:\n  - name: a\n    type: background\n    commands: [tool --acp]\n"
        "    driver: acp\n    mode: default\n    model: large\n    retry_in: session\n";
    const auto file = parse(acp);
    CHECK(file.warnings.empty());
    CHECK(file.agents.at(0).mode == "default");
    CHECK(file.agents.at(0).model == "large");
    CHECK(file.agents.at(0).retry_in_session);
    CHECK(only_error(agent_with("mode: default")) == "Agent 1: Field 'mode' needs 'driver: acp'");
    CHECK(only_error(agent_with("model: large")) ==
          "Agent 1: Field 'model' needs {model} in one of the commands");
}

TEST_CASE("an agent whose commands have a place for a model names the usual one")
{
    const auto file =
        parse("agents:\n" + entry("a", "tool --model {model} {command}", ", model: large"));
    CHECK(file.warnings.empty());
    CHECK(file.agents.at(0).model == "large");
    CHECK(agent::takes_model(file.agents.at(0)));
    CHECK_FALSE(agent::takes_model(parse(agent_with("")).agents.at(0)));
    CHECK(only_error("agents:\n" + entry("a", "tool --model {model} {command}")) ==
          "Agent 1: {model} needs a field 'model'");
    CHECK(only_error("agents:\n" + entry("a", "tool {model} {command}", ", model: --yolo")) ==
          "Agent 1: Field 'model' is not the name of a model");
}

TEST_CASE("options of the program are words that replace a placeholder")
{
    const std::string options = ", new_session: '--id {attempt_id}', budget: '--max {max_cost}'";
    const auto agent = parse("agents:\n" + entry("a", "tool {budget} {resume} {command}", options));
    CHECK(agent.warnings.empty());
    CHECK(agent.agents.at(0).new_session == "--id {attempt_id}");
    CHECK(agent.agents.at(0).budget == "--max {max_cost}");
    const auto without = parse("agents:\n" + entry("a", "tool {command}", options));
    REQUIRE(without.warnings.size() == 2);
    CHECK(without.warnings[1].message ==
          "Agent 1: Field 'budget' needs {budget} in one of the commands");
    CHECK(only_error(agent_with("budget: '--max {cost}'")).find("'{cost}'") != std::string::npos);
    CHECK(only_error("agents:\n" + entry("a", "tool {resume} {command}", ", shell: true")) ==
          "Agent 1: Command 1: '{resume}' is several words, which a script cannot have");
}

TEST_CASE("an agent that is driven by a protocol has rules for permissions")
{
    const auto agent = [](const std::string& fields) {
        return "agents:\n  - name: a\n    type: background\n    commands: [tool --acp]\n" + fields;
    };
    const std::string acp = "    driver: acp\n";
    const auto file = parse(agent(acp + R"(    permissions:
      - {kind: edit, path: "secret/**", allow: false}
      - {kind: execute, command: make, allow: true}
      - {kind: execute, allow: ask}
)"));
    const auto& read = file.agents.at(0);
    CHECK(file.warnings.empty());
    CHECK(read.driver == AgentDriver::acp);
    CHECK(read.outcome.name == "acp");
    CHECK(agent::accepts_commands(read));
    REQUIRE(read.permissions.size() == 3);
    CHECK(read.permissions[0] == PermissionRule{"edit", "secret/**", "", Permission::deny});
    CHECK(read.permissions[1] == PermissionRule{"execute", "", "make", Permission::allow});
    CHECK(read.permissions[2] == PermissionRule{"execute", "", "", Permission::ask});
    CHECK(parse(agent_with("driver: cli")).agents.at(0).driver == AgentDriver::cli);

    const auto rule = [&](const std::string& text) {
        return errors_of(agent(acp + "    permissions:\n      - " + text + "\n"));
    };
    CHECK(only_error(agent_with("driver: mcp")) ==
          "Agent 1: Field 'driver' must be cli or acp (got: mcp)");
    CHECK(only_error(agent_with("permissions: [{allow: true}]")) ==
          "Agent 1: Field 'permissions' needs 'driver: acp'");
    CHECK(only_error(agent(acp + "    stdin: '{command}'\n")) ==
          "Agent 1: Field 'stdin' cannot be combined with 'driver: acp'");
    CHECK(only_error(agent(acp + "    outcome: claude\n")) ==
          "Agent 1: Field 'outcome' cannot be combined with 'driver: acp'");
    const auto kind = rule("{kind: edt, allow: true}").front();
    CHECK(
        kind.message.starts_with("Agent 1: Permission 1: Field 'kind' must be one of read, edit"));
    CHECK(kind.hint == "Did you mean 'edit'?");
    CHECK(kind.line == 7);
    CHECK(kind.column == 16);
    CHECK(rule("{path: ../x, allow: true}").front().message ==
          "Agent 1: Permission 1: Bad path '../x': '..' would leave the project");
    CHECK(rule("{kind: edit}").front().message ==
          "Agent 1: Permission 1: Missing required field: 'allow'");
    CHECK(rule("{kind: edit, allow: maybe}").front().message ==
          "Agent 1: Permission 1: Field 'allow' must be true, false or ask");
    CHECK(rule("edit").front().message == "Agent 1: Permission 1: Must be a mapping");
    CHECK(parse(agent(acp + "    permissions: [{knd: edit, allow: true}]\n"))
              .warnings.at(0)
              .message == "Agent 1: Permission 1: Unknown field 'knd'");
}

TEST_CASE("an agent that reads the command from its input accepts commands")
{
    const auto file = parse(
        "agents:\n  - {name: a, type: background, commands: [tool], "
        "stdin: '{command}'}\n");
    CHECK(agent::accepts_commands(file.agents.at(0)));
}

TEST_CASE("an operator of the shell in a command without one is a warning")
{
    const std::string text = "agents:\n" + entry("a", "make && make test");
    CHECK(parse(text).warnings.at(0).message.starts_with("'&&' is passed to the program"));
    CHECK(parse("agents:\n" + entry("a", "make && make test", ", shell: true")).warnings.empty());
}

TEST_CASE("only an enabled agent whose commands have a placeholder takes command files")
{
    const auto file =
        parse("agents:\n" + entry("a", "run {command}") + entry("b", "run {command_file_path}") +
              entry("c", "run all") + entry("d", "run {worktree}") +
              entry("e", "run {command}", ", enabled: false"));
    CHECK(accepts_commands(file.agents[0]));
    CHECK(accepts_commands(file.agents[1]));
    CHECK_FALSE(accepts_commands(file.agents[2]));
    CHECK_FALSE(accepts_commands(file.agents[3]));
    CHECK_FALSE(accepts_commands(file.agents[4]));
}

TEST_CASE("the only agent that accepts commands needs no name")
{
    const auto file = parse("agents:\n" + entry("a", "run all") + entry("b", "run {command}"));
    std::string problem;
    CHECK(select_agent(file, "", problem) == &file.agents[1]);
    CHECK(select_agent(file, "b", problem) == &file.agents[1]);
    CHECK(problem.empty());
}

TEST_CASE("the agents that may take over are agents of the file that accept commands")
{
    const auto file =
        parse("agents:\n" + entry("a", "run {command}", ", fallback: [b, lister], retry_count: 4") +
              entry("b", "run {command}") + entry("lister", "run all"));
    CommandRequest request("build", "/tree");
    complete_request(file, file.agents[0], request);
    CHECK(request.fallback == std::vector<std::string>{"b"});
    CHECK(request.max_attempts == 5);
    request.fallback = {"other"};  // of the application
    complete_request(file, file.agents[0], request);
    CHECK(request.fallback == std::vector<std::string>{"other"});
}

TEST_CASE("a fallback must be another agent of the file")
{
    CHECK(only_error(agent_with("fallback: [worker]")) == "Agent 1: It is its own fallback");
    const auto errors = errors_of("agents:\n" + entry("builder", "run {command}") +
                                  entry("tester", "run {command}", ", fallback: [bilder]"));
    CHECK(errors.front().message ==
          "Agent 2: 'fallback' names the agent 'bilder', which does not exist");
    CHECK(errors.front().hint == "Did you mean 'builder'?");
    CHECK(only_error(agent_with("fallback: worker"))
              .starts_with("Agent 1: Field 'fallback' must be"));
    CHECK(
        only_error(agent_with("fallback: [[a]]")).starts_with("Agent 1: Field 'fallback[1]' must"));
}

TEST_CASE("the reason why no agent was selected is one sentence")
{
    const auto file =
        parse("agents:\n" + entry("builder", "run {command}") + entry("tester", "run {command}") +
              entry("lister", "run all") + entry("resting", "run {command}", ", enabled: false"));
    std::string problem;
    CHECK(select_agent(file, "", problem) == nullptr);
    CHECK(problem ==
          "several agents match; choose one with --agent ('builder', 'tester'), or "
          "set agents.default");
    CHECK(select_agent(file, "bilder", problem) == nullptr);
    CHECK(problem ==
          "The agent 'bilder' does not exist. Did you mean 'builder'? Available: 'builder', "
          "'tester'.");
    CHECK(select_agent(file, "resting", problem) == nullptr);
    CHECK(problem == "The agent 'resting' is disabled.");
    CHECK(select_agent(file, "lister", problem) == nullptr);
    CHECK(problem.starts_with("The agent 'lister' accepts no commands"));

    CHECK(select_agent(parse("agents:\n" + entry("a", "run")), "", problem) == nullptr);
    CHECK(problem.starts_with("No enabled agent accepts commands"));
}

TEST_CASE_FIXTURE(Project, "a missing file is distinguished from an invalid one")
{
    auto reading = load_agents(root);
    CHECK(reading.missing);
    CHECK(reading.errors.at(0).message == "The agents file does not exist");
    CHECK(load_agents(root / "nowhere").missing);

    std::ofstream(file) << "agents: []\n";
    reading = load_agents(root);
    CHECK_FALSE(reading.missing);
    CHECK(reading.errors.at(0).path == file.string());

    std::ofstream(file) << "agents:\n" << entry("a", "run {command}");
    CHECK(load_agents(root).errors.empty());
}

TEST_CASE_FIXTURE(Project, "what is no regular file in its place is not read")
{
    SUBCASE("a folder")
    {
        fs::create_directories(file);
    }
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    }
    SUBCASE("a link to a good file")
    {
        std::ofstream(root / "other.yaml") << "agents:\n" << entry("a", "run {command}");
        fs::create_symlink(root / "other.yaml", file);
    }
    const auto reading = load_agents(root);
    CHECK_FALSE(reading.errors.empty());
    CHECK_FALSE(reading.missing);
    CHECK(reading.errors.at(0).message.starts_with("Configuration path is not a file: "));
}

TEST_CASE_FIXTURE(Project, "a file over the limit is refused by its size")
{
    std::ofstream(file) << std::string(1024 * 1024 + 1, '#');
    CHECK(load_agents(root).errors.at(0).message.find("larger than 1048576 bytes") !=
          std::string::npos);
}

TEST_CASE("files of existing projects are valid, except for unknown placeholders")
{
    const char* data = std::getenv("AUTOEXEC_CONFORMANCE_DATA");
    if (!data) {
        MESSAGE("skipped: AUTOEXEC_CONFORMANCE_DATA is not set");
        return;
    }
    int files = 0;
    for (const auto& found : fs::directory_iterator(fs::path(data) / "agents")) {
        ++files;
        std::stringstream text;
        text << std::ifstream(found.path()).rdbuf();
        const auto reading = parse_agents(text.str(), found.path().filename().string());
        if (reading.errors.empty())
            for (const auto& warning : reading.file.warnings)
                CHECK_MESSAGE(warning.message.find("Unknown field '") != std::string::npos,
                              to_string(warning));
        for (const auto& error : reading.errors) {
            CHECK_MESSAGE(error.message.find("Unknown placeholder '{") != std::string::npos,
                          to_string(error));
            CHECK(error.line > 0);
        }
    }
    CHECK(files > 0);
}

TEST_SUITE_END();
