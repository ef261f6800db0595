#include "protocol/workflow_journal.hpp"
#include "support/workflow_fixture.hpp"
#include "workflow/plan/placeholders.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace autoexec;
using namespace autoexec::test;
using Lines = std::vector<std::string>;
using workflow::Placeholder;

namespace {

/// `plan` writes results that another step uses.
WorkflowStep plan_step()
{
    auto plan = step("plan");
    plan.results = "plan.json";
    return plan;
}

struct ValuesFixture : WorkflowFixture {
    ValuesFixture() { replies["plan"].creates = {"plan.json"}; }

    /// What the agents were given, in order.
    const std::vector<protocol::CommandFile>& published() { return tree_at("").published; }

    void plan_writes(std::string_view text) { write_file(project / "plan.json", text); }
};

LoadedWorkflow parsed(const std::string& steps)
{
    return parse_workflow("id: w\nparams: {n: 3, text: a}\nsteps:\n" + steps, "w.yaml");
}

/// `line:column: message` of each error, and its hint.
Lines errors_of(const std::string& steps)
{
    Lines lines;
    for (const auto& error : parsed(steps).errors) {
        lines.push_back(std::to_string(error.line) + ":" + std::to_string(error.column) + ": " +
                        error.message);
        lines.push_back(error.hint);
    }
    return lines;
}

}  // namespace

TEST_CASE("placeholders are found where they are written, and everything else is text")
{
    const auto found = workflow::placeholders_in(
        "{params.a} {steps.x.y.results.z} ${steps.x.output} {run.id} ${worktree} {worktree} "
        "{run.other} {steps} {params.} {params.a.b} {{params.b}} {worktree ${params.c} "
        "${gate.feedback} {gate.feedback} {gate.other}");
    Lines names;
    for (const auto& one : found) names.push_back(one.name + one.path.text());
    CHECK(names == Lines{"a", "steps.x.y.results.z", "id", "", "b", "c", ""});
    CHECK(found.back().kind == Placeholder::Kind::feedback);
    CHECK(found[1].path.offset == 11);
    CHECK(found[3].kind == Placeholder::Kind::worktree);
    const auto unknown = [](const Placeholder&) { return std::nullopt; };
    CHECK(workflow::fill_placeholders("a {params.x} {run.id} {", unknown) ==
          "a {params.x} {run.id} {");
    const auto braces = [](const Placeholder&) { return std::optional<std::string>("{run.id}"); };
    CHECK(workflow::fill_placeholders("{run.id}{run.id}", braces) == "{run.id}{run.id}");
}

TEST_CASE_FIXTURE(ValuesFixture, "what a step wrote is one word, or one variable, whatever it is")
{
    const std::string hostile = "a b; rm -rf ~ $(id) `id`\n'\"{steps.plan.results.n} ../..";
    plan_writes(R"({"n": 7, "ok": true, "list": [1, "x"], "deep": {"text": )" +
                boost::json::serialize(boost::json::value(hostile)) + "}}");
    auto use = step("use");
    use.argv = {"show", "{steps.plan.results.deep.text}", "-n={steps.plan.results.n}",
                "{steps.plan.results.ok}", "{steps.plan.results.list}"};
    use.env = {{"TEXT", "<{steps.plan.results.deep.text}>"}};
    run(workflow_of({plan_step(), use}));
    REQUIRE(result.status == WorkflowStatus::completed);
    const auto& file = published().back();
    CHECK(file.argv == Lines{"show", hostile, "-n=7", "true", R"([1, "x"])"});
    CHECK(file.env.at("TEXT") == "<" + hostile + ">");
}

TEST_CASE_FIXTURE(ValuesFixture, "a value that is missing fails the step, and nothing is run")
{
    auto use = step("use");
    use.argv = {"show", "{steps.plan.results.title}"};
    SUBCASE("in the results")
    {
        plan_writes("{}");
        run(workflow_of({plan_step(), use}));
        CHECK(of("use").state == StepState::failed);
        CHECK(of("use").code == "value_missing");
        CHECK(of("use").reason ==
              "'steps.plan.results.title' has no value: the results have no 'title'");
    }
    SUBCASE("because the step has failed")
    {
        replies["plan"].status = ReportedStatus::failed;
        run(workflow_of({plan_step(), use}));
        CHECK(of("use").state == StepState::skipped);
        CHECK(of("use").reason == "It depends on 'plan', which failed");
    }
    CHECK(commands.size() == 1);
}

TEST_CASE_FIXTURE(ValuesFixture, "a step knows its run, its worktree and its round")
{
    auto write = step("write");
    write.command = "in {worktree} of {run.id} on {run.branch}.";
    write.argv.clear();
    write.gate = gate("write.round >= 2 and run.id != '' and worktree == params.here",
                      {GateTarget::Kind::again, {}});
    write.condition = "worktree == params.here and run.branch == ''";
    auto w = workflow_of({write});
    w.params["here"] = project.path().string();
    run(std::move(w));
    REQUIRE(result.status == WorkflowStatus::completed);
    REQUIRE(published().size() == 2);
    for (int round = 1; round <= 2; ++round) {
        const auto& file = published()[static_cast<std::size_t>(round - 1)];
        CHECK(file.command == "in " + project.path().string() + " of " + result.run_id + " on .");
        CHECK(file.env.at("AUTOEXEC_RUN_ID") == result.run_id);
        CHECK(file.env.at("AUTOEXEC_WORKFLOW_ID") == "w");
        CHECK(file.env.at("AUTOEXEC_STEP_ID") == "write");
        CHECK(file.env.at("AUTOEXEC_ROUND") == std::to_string(round));
    }
}

TEST_CASE_FIXTURE(ValuesFixture, "the variables of a step replace those of the workflow")
{
    auto a = step("a");
    a.env = {{"STEP", "step {params.n}"}, {"BOTH", "step"}, {"ALL", "step"}};
    a.working_directory = "sub/";
    auto w = workflow_of({a});
    w.params["n"] = 3;
    w.env = {{"BOTH", "workflow"}, {"FLOW", "{params.n}"}, {"ALL", "workflow"}};
    run_options.env = {{"ALL", "run {params.n}"}, {"RUN", "run"}};
    run(std::move(w));
    auto env = published().back().env;
    std::erase_if(env, [](const auto& one) { return one.first.starts_with("AUTOEXEC_"); });
    CHECK(env == std::map<std::string, std::string>{{"STEP", "step 3"},
                                                    {"BOTH", "step"},
                                                    {"FLOW", "3"},
                                                    {"ALL", "run {params.n}"},
                                                    {"RUN", "run"}});
    CHECK(published().back().working_directory == "sub/");
}

TEST_CASE_FIXTURE(ValuesFixture, "a shell gets the command as its script")
{
    auto a = step("a");
    a.argv.clear();
    a.command = "set -o pipefail; echo {params.text}";
    a.shell = {"bash", "-eu"};
    auto w = workflow_of({a});
    w.params["text"] = "x";
    run(std::move(w));
    CHECK(published().back().argv == Lines{"bash", "-eu", "-c", "set -o pipefail; echo x"});
}

TEST_CASE_FIXTURE(ValuesFixture, "a threshold may be a parameter")
{
    auto plan = plan_step();
    plan.threshold_params = {{"overall", "least"}};
    plan.gate = gate("scoring.passed", {GateTarget::Kind::fail, {}});
    auto w = workflow_of({plan});
    w.params["least"] = nullptr;
    plan_writes(R"({"overall": 7})");
    run_options.params = {{"least", 7}};
    CHECK(run(w).status == WorkflowStatus::completed);
    results = 0;
    run_options.params = {{"least", 7.5}};
    CHECK(run(w).status == WorkflowStatus::failed);
    results = 0;
    run_options.params = {{"least", "7"}};
    start(w);
    clock->run(ctx);
    CHECK(result.error.find("The parameter 'least' is text; a threshold requires a number") !=
          std::string::npos);
}

TEST_CASE("what an agent wrote is refused in a script, with its place")
{
    CHECK(errors_of("  - {id: plan, command: make, results: r.json}\n"
                    "  - id: use\n"
                    "    command: echo {steps.plan.results.x}\n") ==
          Lines{"6:19: Step 'use': 'steps.plan.results.x' cannot be part of a script",
                "An agent wrote it, and the shell would run it. Pass it in 'env' or as a word of "
                "'argv', or name the 'agent' that gets the command."});
    CHECK(errors_of("  - {id: use, command: \"echo {gate.feedback}\"}\n").front() ==
          "4:30: Step 'use': 'gate.feedback' cannot be part of a script");
    CHECK(errors_of("  - {id: use, agent: claude, command: \"Do it: {gate.feedback}\"}\n").empty());
    for (const auto* const who : {"shell: bash", "agent: shell"})
        CHECK(errors_of("  - {id: plan, command: make}\n"
                        "  - id: use\n    " +
                        std::string(who) + "\n    command: \"echo {steps.plan.output}\"\n")
                  .front() == "7:20: Step 'use': 'steps.plan.output' cannot be part of a script");
    CHECK(errors_of("  - {id: plan, command: make}\n"
                    "  - id: use\n"
                    "    command: echo {steps.plan.exit_code} {steps.plan.outcome}\n")
              .empty());
    CHECK(errors_of("  - {id: plan, command: make}\n"
                    "  - {id: use, agent: claude, command: \"Do this: {steps.plan.output}\"}\n")
              .empty());
    const auto in_argv = [](const std::string& words) {
        return errors_of("  - {id: plan, command: make}\n  - id: use\n    argv: [" + words + "]\n");
    };
    for (const auto* const words :
         {"sh, -c, \"{steps.plan.output}\"",
          "/bin/bash, -eo, pipefail, -c, \"{steps.plan.output}\"",
          "env, A=b, zsh, -lc, \"x {steps.plan.output}\", zsh", "sh, \"{steps.plan.output}\", x",
          "timeout, 5, dash, -e, -c, -u, \"{steps.plan.output}\"",
          "bash, --rcfile, f, -ic, \"{steps.plan.output}\"",
          "/opt/bash-5.2, -c, \"{steps.plan.output}\"", "rbash, -c, \"{steps.plan.output}\"",
          "env, -u, A, -S, \"bash x {steps.plan.output}\"",
          "/usr/bin/env, \"--split-string={steps.plan.output}\""}) {
        CAPTURE(words);
        const auto errors = in_argv(words);
        REQUIRE(errors.size() == 2);
        CHECK(errors[0].ends_with("Step 'use': 'steps.plan.output' cannot be part of a script"));
        CHECK(errors[1].find("behind the script") != std::string::npos);
    }
    for (const auto* const words :
         {"sh, -c, 'make \"$1\"', sh, \"{steps.plan.output}\"", "sh, x.sh, \"{steps.plan.output}\"",
          "pygmentize, -l, bash, \"{steps.plan.output}\"", "sh, -c, \"{steps.plan.outcome}\"",
          "./sh-2.py, \"{steps.plan.output}\"", "env, sort, -S, \"{steps.plan.output}\""}) {
        CAPTURE(words);
        CHECK(in_argv(words).empty());
    }
    CHECK(
        in_argv("\"{steps.plan.output}\", x")
            .front()
            .ends_with("Step 'use': 'steps.plan.output' cannot be part of the name of a program"));
    CHECK(workflow::has_agent_text("x {steps.a.b.results.c}", false));
    CHECK(workflow::has_agent_text("{steps.a.output}", false));
    CHECK(workflow::has_agent_text("{gate.feedback}", false));
    CHECK_FALSE(workflow::has_agent_text(
        "{steps.a.outcome} {params.results} ${steps.a.output} {item}", false));
}

TEST_CASE("values that cannot exist are reported with their place")
{
    CHECK(errors_of("  - id: use\n    argv: [echo, \"a {steps.plam.output}\"]\n"
                    "  - {id: plan, command: make}\n") ==
          Lines{"5:21: Step 'use': There is no step 'plam'", "Did you mean 'plan'?"});
    CHECK(errors_of("  - id: use\n    env: {A: \"{steps.use.output}\"}\n    command: make\n")
              .front() == "5:15: Step 'use': The step has not run when its command is made");
    CHECK(errors_of("  - id: use\n    command: make {params.m}\n").front() ==
          "5:19: Step 'use': There is no parameter 'm'");
    CHECK(errors_of(
              "  - id: use\n    agent: a\n    action: b\n    params: {x: \"{steps.use.colour}\"}"
              "\n")
              .front() == "7:18: Step 'use': A step has no 'colour'");
    CHECK(errors_of("  - {id: a, argv: [x, \"{steps.b.output}\"]}\n"
                    "  - {id: b, argv: [x, \"{steps.a.output}\"]}\n")
              .front()
              .find("These steps wait for each other") != std::string::npos);
}

TEST_CASE("variables, shells and thresholds are checked when the file is read")
{
    CHECK(
        errors_of("  - id: a\n    command: make\n    env: {1A: x, AUTOEXEC_ROUND: 3, B: [1]}\n") ==
        Lines{"6:15: Step 'a': '1A' is not the name of a variable",
              "Letters, digits and '_', no digit first.",
              "6:34: Step 'a': The variable 'AUTOEXEC_ROUND' cannot be set",
              "Names that begin with AUTOEXEC_ are those of autoexec itself.",
              "6:40: Step 'a': Field 'env.B' must be text", "This is a list."});
    CHECK(errors_of("  - {id: a, argv: [make], shell: sh}\n").front() ==
          "4:34: Step 'a': A 'shell' needs a 'command', which it runs as a script");
    CHECK(errors_of("  - {id: a, command: make, shell: sh, agent: claude}\n").front() ==
          "4:35: Step 'a': The step has an 'agent', too");
    CHECK(errors_of("  - {id: a, command: make, working_directory: ../x}\n").front() ==
          "4:47: Step 'a': '../x' is not a path within the worktree");
    CHECK(errors_of("  - id: a\n    command: make\n    results: r.json\n"
                    "    gate: {condition: scoring.passed}\n"
                    "    scoring: {thresholds: {x_min: \"{params.text}\"}}\n")
              .front() ==
          "8:35: Step 'a': The parameter 'text' is text; a threshold requires a number");
    const auto common = parse_workflow(
        "id: w\nenv: {A: \"{steps.a.output}\"}\nsteps:\n  - {id: a, command: make}\n", "w.yaml");
    REQUIRE(common.errors.size() == 1);
    CHECK(common.errors.front().message ==
          "A variable of all steps cannot have the value of a step");
    CHECK(common.errors.front().line == 2);
    CHECK(common.errors.front().column == 11);
}

TEST_CASE("a file's variables, shell, folder and threshold are read")
{
    const auto loaded = parse_workflow(
        "id: w\nparams: {least: 7}\nenv: {A: 1, B: yes}\nsteps:\n"
        "  - id: a\n    command: make\n    shell: [bash, -e]\n    working_directory: sub\n"
        "    env: {C: \"{params.least}\"}\n    results: r.json\n"
        "    scoring: {thresholds: {x_min: \"{params.least}\", y_min: 2}}\n"
        "    gate: {condition: scoring.passed}\n",
        "w.yaml");
    REQUIRE(loaded.workflow);
    const auto& w = *loaded.workflow;
    CHECK(w.env == std::map<std::string, std::string>{{"A", "1"}, {"B", "yes"}});
    const auto& a = w.steps.front();
    CHECK(a.shell == Lines{"bash", "-e"});
    CHECK(a.working_directory == "sub");
    CHECK(a.env.at("C") == "{params.least}");
    CHECK(a.threshold_params.at("x") == "least");
    CHECK(a.thresholds.at("y") == 2);
}
