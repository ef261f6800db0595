#include "agent/template.hpp"

#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::agent;
using Words = std::vector<std::string>;

namespace {

const TemplateValues values{"build \"it\" $(now)", "/w/.cursor-skill-command.txt", "/w", "wf-1",
                            ""};

CommandTemplate compile(std::string_view text, bool shell = false)
{
    TemplateProblem problem;
    auto compiled = compile_template(text, shell, problem);
    REQUIRE_MESSAGE(compiled, problem.message);
    return *std::move(compiled);
}

TemplateProblem refusal(std::string_view text, bool shell = false)
{
    TemplateProblem problem;
    CHECK_FALSE(compile_template(text, shell, problem));
    return problem;
}

Words expanded(std::string_view text, bool shell = false)
{
    std::string problem;
    const auto argv = expand(compile(text, shell), values, problem);
    REQUIRE_MESSAGE(argv, problem);
    return *argv;
}

// What a real shell prints for a script.
std::string run_script(std::string_view script, const std::string& command)
{
    auto with = values;
    with.command = command;
    std::string problem;
    auto argv = expand(compile(script, true), with, problem);
    REQUIRE(argv);
    std::vector<char*> words;
    for (auto& word : *argv) words.push_back(word.data());
    words.push_back(nullptr);

    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    ::posix_spawn_file_actions_addclose(&actions, ends[0]);
    pid_t child = 0;
    REQUIRE(::posix_spawn(&child, words[0], &actions, nullptr, words.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    std::string output;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        output.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return output;
}

}  // namespace

TEST_SUITE_BEGIN("template");

TEST_CASE("a value is one argument, whatever is in it")
{
    CHECK(expanded("agent run {command}") == Words{"agent", "run", values.command});
    CHECK(expanded("agent run \"{command}\"") == Words{"agent", "run", values.command});
    CHECK(expanded("agent '{command}'") == Words{"agent", values.command});
    CHECK(expanded("agent --in={command_file_path} -C {worktree}/src") ==
          Words{"agent", "--in=/w/.cursor-skill-command.txt", "-C", "/w/src"});
    CHECK(expanded("agent {workflow_id}{workflow_id} \"\" {step_id}") ==
          Words{"agent", "wf-1wf-1", "", ""});
}

TEST_CASE("a value that looks like a placeholder is not expanded again")
{
    auto with = values;
    with.command = "{worktree}";
    std::string problem;
    CHECK(expand(compile("agent {command}"), with, problem) == Words{"agent", "{worktree}"});
}

TEST_CASE("a value that begins with a dash stays one word")
{
    auto with = values;
    with.command = "--help me";
    std::string problem;
    CHECK(expand(compile("agent -- {command}"), with, problem) ==
          Words{"agent", "--", "--help me"});
}

TEST_CASE("braces around anything but a lower-case word mean nothing")
{
    CHECK(expanded("agent {} {A} {a,b} {{}} '{ print }' ${HOME} {\"a\":1}") ==
          Words{"agent", "{}", "{A}", "{a,b}", "{{}}", "{ print }", "${HOME}", "{a:1}"});
    CHECK(expanded("agent {{command}}") == Words{"agent", "{" + values.command + "}"});
}

TEST_CASE("an unknown placeholder is an error that names the likely one")
{
    const auto near = refusal("agent {comand}");
    CHECK(near.message == "Unknown placeholder '{comand}'");
    CHECK(near.hint == "Did you mean '{command}'?");
    CHECK(near.where == "{comand}");
    CHECK(refusal("agent {file}")
              .hint.starts_with("Known placeholders: {command}, {command_file_path}"));
}

TEST_CASE("a placeholder without its closing brace is an error")
{
    for (const bool shell : {false, true}) {
        CAPTURE(shell);
        const auto open = refusal("agent --prompt={command", shell);
        CHECK(open.message == "Placeholder '{command' is not closed");
        CHECK(open.hint == "Write {command}.");
        CHECK(open.where == "{command");
        CHECK(refusal("agent \"{command \" x", shell).where == "{command");
        CHECK(refusal("agent {comand", shell).where == "{comand");
    }
    CHECK(expanded("agent {a,b ${command {") == Words{"agent", "{a,b", "${command", "{"});
}

TEST_CASE("templates that cannot do what they seem to do are refused")
{
    CHECK(refusal("").message == "A command is empty");
    CHECK(refusal(" \n", true).message == "A command is empty");
    CHECK(refusal(std::string_view("a\0b", 3)).message == "A command contains a NUL character");
    CHECK_FALSE(refusal("agent 'x").message.empty());
    CHECK(refusal("{command}").message.starts_with("The whole command would be"));
    CHECK(refusal("\"{command}\" x", true).message.starts_with("The whole command would be"));
    CHECK(refusal("agent ${command}").hint == "Write {command}.");
    CHECK(refusal("sh -c \"echo {command}\"").message.ends_with("a shell script"));
    CHECK(refusal("timeout 5 /bin/bash -ec 'x {worktree}'").message.ends_with("a shell script"));
    CHECK(refusal("sh -c -- 'echo {command}'").message.ends_with("a shell script"));
    CHECK(refusal("sh -c -{command}").message.ends_with("a shell script"));
    CHECK(expanded("sh -c {command}") == Words{"sh", "-c", values.command});
    CHECK(expanded("sh -c -- {command}") == Words{"sh", "-c", "--", values.command});
    CHECK(expanded("sh -c 'tool \"$1\"' x --in={command}").back() == "--in=" + values.command);
}

TEST_CASE("an argument that the kernel would refuse is refused, with the way out")
{
    auto with = values;
    with.command = std::string(128 * 1024, 'x');
    std::string problem;
    CHECK_FALSE(expand(compile("agent {command}"), with, problem));
    CHECK(problem.find("{command_file_path}") != std::string::npos);
    with.command.pop_back();
    CHECK(expand(compile("agent {command}"), with, problem));
    std::string many = "agent";
    for (int i = 0; i < 9; ++i) many += " {command}";
    CHECK_FALSE(expand(compile(many), with, problem));
    with.command = std::string("a\0b", 3);
    CHECK_FALSE(expand(compile("agent {command}"), with, problem));
}

TEST_CASE("a script is not changed, and values are passed as arguments")
{
    CHECK(expanded("a {command} | b \"{worktree}: {command}\"", true) ==
          Words{"/bin/sh", "-c", "a \"${1}\" | b \"${2}: ${1}\"", "autoexec", values.command,
                values.worktree});
    CHECK(expanded("echo {a,b} {file} ${command}", true)[2] == "echo {a,b} {file} ${command}");
    CHECK(expanded("echo \"$(cat {worktree})\"", true)[2] == "echo \"$(cat \"${1}\")\"");
    CHECK(expanded("echo \"`cat {worktree}`\"", true)[2] == "echo \"`cat \"${1}\"`\"");
    CHECK(expanded("echo \\\"{worktree}", true)[2] == "echo \\\"\"${1}\"");
    CHECK(expanded("x # don't\necho {worktree}", true)[2] == "x # don't\necho \"${1}\"");
}

TEST_CASE("quotes that nothing can be put into are refused in a script")
{
    CHECK(refusal("awk '{command}'", true).message.find("single quotes") != std::string::npos);
    CHECK(refusal("echo 'x", true).message == "A single quote is not closed");
    CHECK(refusal("echo \"x", true).message == "A double quote is not closed");
    CHECK(refusal("echo $(x", true).message == "A command substitution is not closed");
    CHECK(expanded("echo \"it's {worktree}\"", true)[2] == "echo \"it's ${1}\"");
}

TEST_CASE("a real shell sees each value as one word and runs none of it")
{
    for (const auto* script :
         {"printf '[%s]' {command}", "printf '[%s]' \"{command}\"",
          "printf \"[%s]\" \"$(printf %s {command})\"", "x={command}; printf '[%s]' \"$x\"",
          "(printf '[%s]' {command})", "if true; then printf '[%s]' \"\"{command}; fi"}) {
        for (const std::string value :
             {"plain", "two  words", "*", "$(echo no)`echo no`", "a\"b'c\\d", "; echo no", "--",
              "\xC3\xA9 {worktree}", "x\ny"}) {
            CAPTURE(script);
            CHECK(run_script(script, value) == "[" + value + "]");
        }
    }
}

TEST_SUITE_END();
