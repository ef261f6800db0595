#include "autoexec/workflow.hpp"
#include "support/temporary_folder.hpp"
#include "workflow/definition/short_form.hpp"
#include "workflow/plan/plan.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <boost/json/serialize.hpp>

#include <string>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace json = boost::json;
using Kind = GateTarget::Kind;
using Texts = std::vector<std::string>;

namespace {

Workflow parse(const std::string& text, const WorkflowReadOptions& options = {})
{
    auto loaded = parse_workflow(text, "workflow.yaml", options);
    REQUIRE_MESSAGE(loaded.workflow, to_string(loaded.errors));
    return *std::move(loaded.workflow);
}

std::string errors_of(const std::string& text, const WorkflowReadOptions& options)
{
    const auto loaded = parse_workflow(text, "workflow.yaml", options);
    CHECK(loaded.workflow.has_value() == loaded.errors.empty());
    std::string all;
    for (const auto& d : loaded.errors)
        all += fmt::format("{}:{}: {}{}{}\n", d.line, d.column, d.message,
                           d.hint.empty() ? "" : " / ", d.hint);
    return all;
}

// A step of which these lines are of interest.
WorkflowStep step_with(const std::string& lines)
{
    const auto workflow = parse("id: w\nsteps:\n  - id: a\n    command: make\n    " + lines + "\n");
    return workflow.steps.front();
}

std::string error_of_file(const fs::path& path)
{
    const auto loaded = load_workflow(path);
    CHECK_FALSE(loaded.workflow);
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors.front().path == path.string());
    CHECK(loaded.errors.front().line == 0);
    return loaded.errors.front().message;
}

constexpr auto small = "id: w\nsteps:\n  - {id: a, command: make}\n";

}  // namespace

TEST_SUITE_BEGIN("workflow reader");

TEST_CASE("a full workflow is read, field by field")
{
    const auto w = parse(R"(
workflow:
  id: release
  name: Release
  description: Builds and ships.
  version: "2.1"
  schema_version: "2.0"
  type: Brownfield
  auto_detect: true
  settings:
    quality_gates: false
    max_parallel: 3
    max_rounds: 5
    max_retries: 10
    loopback: {max_attempts: 2, retry_backoff: 1.5}
  metadata:
    auto_execution: {retry: {max_attempts: 5}}
    owner: ops
  params:
    target: null
    jobs: 4
    fast: no
    label: "4"
  budget: {max_cost: 2.5, max_tokens: 2e6}
  concurrency: {group: "deploy {params.label}", on_busy: cancel_running}
  steps:
    - {id: a, command: make}
)");
    CHECK(w.id == "release");
    CHECK(w.name == "Release");
    CHECK(w.description == "Builds and ships.");
    CHECK(w.version == "2.1");
    CHECK(w.type == "brownfield");
    CHECK(w.max_parallel == 3);
    CHECK(w.max_rounds == 5);
    CHECK(w.max_retries == 10);
    CHECK(w.concurrency.group == "deploy {params.label}");
    CHECK(w.concurrency.cancel_running);
    CHECK(w.max_cost == 2.5);
    CHECK(w.max_tokens == 2'000'000);
    CHECK(json::serialize(w.settings) ==
          R"({"quality_gates":false,"max_parallel":3,"max_rounds":5,"max_retries":10,)"
          R"("loopback":{"max_attempts":2,"retry_backoff":1.5E0}})");
    CHECK(json::serialize(w.metadata) ==
          R"({"auto_execution":{"retry":{"max_attempts":5}},"owner":"ops"})");
    CHECK(json::serialize(w.params) == R"({"target":null,"jobs":4,"fast":false,"label":"4"})");
    CHECK(w.path == "workflow.yaml");
}

TEST_CASE("absent keys of a workflow have defaults")
{
    const auto w = parse(small);
    CHECK(w.name.empty());
    CHECK(w.version == "1.0.0");
    CHECK(w.type == "greenfield");
    CHECK(w.max_parallel == 0);
    CHECK(w.max_rounds == 3);
    CHECK_FALSE(w.max_retries);
    CHECK(w.concurrency.group.empty());
    CHECK(w.max_cost == 0);
    CHECK(w.max_tokens == 0);

    const auto& step = w.steps.front();
    const auto grouped = parse("concurrency: deploy\n" + std::string(small)).concurrency;
    CHECK(grouped.group == "deploy");
    CHECK_FALSE(grouped.cancel_running);

    CHECK(step.need == StepNeed::required);
    CHECK_FALSE(step.gate);
    CHECK_FALSE(step.retry);
    CHECK_FALSE(step.timeout);
    CHECK_FALSE(step.require_artifacts);
    CHECK_FALSE(step.continue_on_error);
    CHECK(step.context_tier == 2);
}

TEST_CASE("a full step is read, field by field")
{
    const auto w = parse(R"(
id: w
steps:
  - {id: plan, command: plan, creates: spec.md}
  - id: review
    name: Look at it
    agent: reviewer
    action: review_code
    params: {depth: 2, strict: true, paths: [src, {name: "3"}], none: ~}
    requires: [spec.md, docs/]
    creates: [review.json]
    depends_on: [plan]
    optional_steps: plan
    condition: steps.plan.attempts < 3
    optional: true
    next: ship
    gate:
      condition: scoring.passed
      on_fail: plan
      max_rounds: 7
    timeout: 1.5m
    idempotent: true
    repeats: yes
    require_artifacts: false
    env_refs: [HOME, TOKEN]
    worktree: trees/review
    results: review.json
    scoring: {thresholds: {overall_min: 70, test_coverage_min: 0.5}}
    context_tier: tier3
    consults: ["expert-*"]
    notes: Be strict.
    metadata: {skip_on_fail: true, error_recoverable: true, colour: red}
  - {id: ship, argv: [make, -j, 4, yes, 1.0, "it"]}
)");
    const auto& step = w.steps[1];
    CHECK(step.name == "Look at it");
    CHECK(step.agent == "reviewer");
    CHECK(step.action == "review_code");
    CHECK(json::serialize(step.params) ==
          R"({"depth":2,"strict":true,"paths":["src",{"name":"3"}],"none":null})");
    CHECK(step.needs == Texts{"spec.md", "docs/"});
    CHECK(step.creates == Texts{"review.json"});
    CHECK(step.depends_on == Texts{"plan"});
    CHECK(step.optional_steps == Texts{"plan"});
    CHECK(step.condition == "steps.plan.attempts < 3");
    CHECK(step.need == StepNeed::optional);
    CHECK(step.next == "ship");
    REQUIRE(step.gate);
    CHECK(step.gate->condition == "scoring.passed");
    CHECK(step.gate->on_pass == GateTarget{Kind::next, {}});
    CHECK(step.gate->on_fail == GateTarget{Kind::step, "plan"});
    CHECK(step.gate->max_rounds == 7);
    CHECK(step.timeout == 90s);
    CHECK(step.idempotent);
    CHECK(step.repeats);
    CHECK(step.require_artifacts == false);
    CHECK(step.env_refs == Texts{"HOME", "TOKEN"});
    CHECK(step.worktree == "trees/review");
    CHECK(step.results == "review.json");
    CHECK(step.thresholds.size() == 2);
    CHECK(step.thresholds.at("overall") == 70);
    CHECK(step.thresholds.at("test_coverage") == 0.5);
    CHECK(step.context_tier == 3);
    CHECK(step.consults == Texts{"expert-*"});
    CHECK(step.notes == "Be strict.");
    CHECK(step.skip_on_fail);
    CHECK(step.continue_on_error);
    CHECK(step.metadata.at("colour") == "red");
    CHECK(w.steps[0].creates == Texts{"spec.md"});
    CHECK(w.steps[2].argv == Texts{"make", "-j", "4", "yes", "1.0", "it"});
}

TEST_CASE("the words of gates are no step ids")
{
    const auto target = [](const std::string& word) {
        const auto step = step_with("gate: {on_fail: " + word + "}");
        return step.gate->on_fail;
    };
    CHECK(target("next") == GateTarget{Kind::next, {}});
    CHECK(target("retry") == GateTarget{Kind::again, {}});
    CHECK(target("end") == GateTarget{Kind::end, {}});
    CHECK(target("fail") == GateTarget{Kind::fail, {}});
    CHECK(step_with("gate: {}").gate->on_fail == GateTarget{Kind::fail, {}});
}

TEST_CASE("a condition is a word, a constant or an expression")
{
    CHECK(step_with("condition: mandatory").need == StepNeed::required);
    CHECK(step_with("condition: Optional").need == StepNeed::optional);
    CHECK(step_with("condition: mandatory").condition.empty());
    CHECK(step_with("condition: yes").condition == "true");
    CHECK(step_with("condition: False").condition == "false");
    CHECK(step_with("condition: exists(\"docs\")").condition == "exists(\"docs\")");
    CHECK(step_with("optional: true").need == StepNeed::optional);
    CHECK(step_with("optional: false").need == StepNeed::required);
}

TEST_CASE("a conditional step can be optional, too")
{
    const auto w = parse(
        "id: w\nsteps:\n"
        "  - {id: a, command: make, next: b}\n"
        "  - {id: b, command: make, condition: conditional, optional: true}\n");
    CHECK(w.steps[1].need == StepNeed::conditional);
    CHECK(w.steps[1].continue_on_error);
}

TEST_CASE("on_error of a step takes precedence over its metadata")
{
    CHECK(step_with("on_error: continue").continue_on_error);
    CHECK_FALSE(step_with("on_error: fail").continue_on_error);
    CHECK(step_with("metadata: {error_recoverable: true}").continue_on_error);
    CHECK_FALSE(
        step_with("on_error: fail\n    metadata: {error_recoverable: true}").continue_on_error);
}

TEST_CASE("a retry without a number of attempts is none")
{
    const auto retry = [](const std::string& fields) {
        const auto step = step_with("metadata: {retry: {" + fields + "}}");
        REQUIRE(step.retry);
        return *step.retry;
    };
    CHECK(retry("initial_backoff_seconds: 2").max_attempts == 1);
    CHECK(retry("enabled: false, max_attempts: 5").max_attempts == 1);
    const auto full = retry(
        "max_attempts: 4, initial_backoff_seconds: 0.5, backoff_multiplier: 3, "
        "max_delay_seconds: 20");
    CHECK(full.max_attempts == 4);
    CHECK(full.initial_delay == 500ms);
    CHECK(full.backoff_multiplier == 3);
    CHECK(full.max_delay == 20s);
}

TEST_CASE("`retry` has its own keys, and times with units")
{
    const auto retry = [](const std::string& fields) {
        const auto step = step_with("retry: {" + fields + "}");
        REQUIRE(step.retry);
        return *step.retry;
    };
    using Words = std::vector<std::string>;
    CHECK(retry("on: timeout") == RetryPolicy{3, 1s, 2.0, 60s, {"timeout"}});
    CHECK(retry("max_attempts: 5, initial_delay: 10s, multiplier: 1.5, max_delay: 5m") ==
          RetryPolicy{5, 10s, 1.5, 5min, {}});
    CHECK(retry("initial_delay: 0, on: [exit_2, temporary]").on == Words{"exit_2", "temporary"});
    CHECK(retry("initial_delay: 0").initial_delay == 0s);
    const auto w = parse("id: w\nretry: {max_attempts: 2}\nsteps:\n  - {id: a, command: make}\n");
    REQUIRE(w.retry);
    CHECK(w.retry->max_attempts == 2);
    CHECK_FALSE(w.steps.front().retry);
}

TEST_CASE("scores that are switched off ask for nothing")
{
    CHECK(step_with("scoring: {enabled: false, thresholds: {overall_min: 70}}").thresholds.empty());
}

TEST_CASE("a timeout is a number of seconds, or has its unit")
{
    CHECK(step_with("timeout: 90").timeout == 90s);
    CHECK(step_with("timeout: 0.5").timeout == 500ms);
    CHECK(step_with("timeout: \"2h\"").timeout == 2h);
    CHECK(step_with("timeout: 250ms").timeout == 250ms);
}

TEST_CASE("steps have the context tier of the workflow, unless they have their own")
{
    const auto w = parse(
        "id: w\nsettings: {context_tier_default: TIER1}\nsteps:\n"
        "  - {id: a, command: make}\n"
        "  - {id: b, command: make, context_tier: \"3\"}\n");
    CHECK(w.steps[0].context_tier == 1);
    CHECK(w.steps[1].context_tier == 3);
}

TEST_CASE("a description replaces missing notes")
{
    CHECK(step_with("description: Why.").notes == "Why.");
    CHECK(step_with("description: Why.\n    notes: How.").notes == "How.");
}

TEST_CASE("null is nothing")
{
    const auto step =
        step_with("requires: ~\n    next: null\n    gate: ~\n    condition: null\n    timeout: ~");
    CHECK(step.needs.empty());
    CHECK_FALSE(step.gate);
    CHECK_FALSE(step.timeout);
    CHECK(step.condition.empty());
}

TEST_CASE("the original's loopback attempts limit the rounds of gates, unless max_rounds is given")
{
    const auto rounds = [](const std::string& settings) {
        return parse("settings: {" + settings + "}\n" + small).max_rounds;
    };
    CHECK(rounds("loopback: {max_attempts: 7}") == 7);
    CHECK(rounds("max_rounds: 2, loopback: {max_attempts: 7}") == 2);
}

TEST_CASE("automatic execution is true, false, or settings")
{
    const auto metadata = [](const std::string& value) {
        return parse("metadata: {auto_execution: " + value + "}\n" + small).metadata;
    };
    CHECK(metadata("yes").at("auto_execution") == true);
    CHECK(metadata("false").at("auto_execution") == false);
    CHECK(metadata("{}").at("auto_execution").is_object());
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("workflow short form");

TEST_CASE("an id is made of a name, unless the name could be one")
{
    using workflow::id_of_name;
    CHECK(id_of_name("Check prerequisites") == "check-prerequisites");
    CHECK(id_of_name("  Build & ship (2.0)! ") == "build-ship-2.0");
    CHECK(id_of_name("quality_analysis") == "quality_analysis");
    CHECK(id_of_name("Build") == "Build");
    CHECK(id_of_name("a--b") == "a--b");
    CHECK(id_of_name("-rf") == "rf");
    CHECK(id_of_name("Größe") == "gr-e");
    CHECK(id_of_name("→ !").empty());
    CHECK(id_of_name("").empty());
}

TEST_CASE("only one word that ends so asks whether a step is met")
{
    using workflow::what_is_met;
    CHECK(what_is_met("prerequisites_met") == "prerequisites");
    CHECK(what_is_met("code-review_met") == "code-review");
    CHECK_FALSE(what_is_met("params.quota_met"));
    CHECK_FALSE(what_is_met("not build_met"));
    CHECK_FALSE(what_is_met("_met"));
    CHECK_FALSE(what_is_met("meta"));
    CHECK_FALSE(what_is_met(""));
}

TEST_CASE("the guide's example runs one step after the other")
{
    const auto w = parse(R"(
id: conditional
name: A workflow with parameters, an error that doesn't stop it, and a condition
metadata: {auto_execution: true}
steps:
  - step: Check prerequisites
    agent: analyst
    action: check-prerequisites
    params: {check_file: prerequisites.md}
  - step: Analyse code
    agent: reviewer
    action: review-code
    params: {target_file: src/main.py}
    on_error: continue
  - step: Build
    agent: implementer
    action: implement-feature
    condition: prerequisites_met
    params: {target_file: src/app.py}
)");
    REQUIRE(w.steps.size() == 3);
    CHECK(w.steps[0].id == "check-prerequisites");
    CHECK(w.steps[0].name == "Check prerequisites");
    CHECK(w.steps[0].next == "analyse-code");
    CHECK(w.steps[1].next == "Build");
    CHECK(w.steps[1].continue_on_error);
    CHECK(w.steps[2].next.empty());
    CHECK(w.steps[2].condition == "steps.check-prerequisites.outcome == \"completed\"");
}

TEST_CASE("a name beside an id is only shown, and makes no order")
{
    const auto w = parse(
        "id: w\nsteps:\n"
        "  - {id: a, command: make}\n"
        "  - {id: b, step: The second, command: make}\n");
    CHECK(w.steps[1].id == "b");
    CHECK(w.steps[1].name == "The second");
    CHECK(w.steps[0].next.empty());
}

TEST_CASE("steps by name are not put in order if they have an order of their own")
{
    const auto next_of_first = [](const std::string& first, const std::string& second,
                                  const std::string& third = "{step: z, command: make}") {
        const auto w = parse("id: w\nsteps:\n  - {step: a, command: make, creates: [x]" + first +
                             "}\n  - {step: b, command: make" + second + "}\n  - " + third + "\n");
        return w.steps.front().next;
    };
    CHECK(next_of_first("", "") == "b");
    CHECK(next_of_first("", ", optional_steps: [a]") == "b");
    CHECK(next_of_first("", ", requires: [x]").empty());
    CHECK(next_of_first("", ", depends_on: [a]").empty());
    CHECK(next_of_first(", next: z", "") == "z");
    CHECK(next_of_first(", results: x, gate: {condition: ok}", "").empty());
    CHECK(next_of_first("", "", "{id: z, command: make, next: b}").empty());
    CHECK(next_of_first("", "",
                        "{id: z, command: make, results: r, "
                        "gate: {condition: ok, on_fail: b}}")
              .empty());
}

TEST_CASE("of steps that a condition may mean, ids come before actions and near before far")
{
    workflow::StepsBefore before;
    const auto add = [&](const std::string& id, const std::string& action) {
        WorkflowStep step;
        step.id = id;
        step.action = action;
        before.add(step);
    };
    CHECK(before.find("tests") == nullptr);
    add("one", "Check_Tests");
    REQUIRE(before.find("tests"));
    CHECK(*before.find("tests") == "one");
    add("two", "check-tests");
    CHECK(*before.find("tests") == "two");
    add("three", "tests");
    CHECK(*before.find("tests") == "three");
    add("check_tests", "make");
    CHECK(*before.find("tests") == "check_tests");
    add("Tests", "make");
    CHECK(*before.find("tests") == "Tests");
    CHECK(before.find("test") == nullptr);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("workflow worktree and parameters");

TEST_CASE("what no step creates must be in the worktree")
{
    TemporaryFolder folder;
    write_file(folder / "src/main.c", "");
    fs::create_symlink("src", folder / "inside");
    fs::create_symlink("/etc", folder / "outside");
    WorkflowReadOptions options;
    options.worktree = folder.path();
    const auto errors = [&](const std::string& needs) {
        return errors_of(
            "id: w\nsteps:\n"
            "  - {id: plan, command: make, creates: [spec.md]}\n"
            "  - id: build\n    command: make\n    requires: " +
                needs + "\n",
            options);
    };
    CHECK(errors("[src/, ./src/main.c, inside, inside/main.c, spec.md]").empty());
    CHECK(errors("[src, lib/]") ==
          "6:21: Step 'build': No step creates 'lib/', and it is not in the worktree\n");
    CHECK(errors("sepc.md") ==
          "6:15: Step 'build': No step creates 'sepc.md', and it is not in the worktree / "
          "Did you mean 'spec.md'?\n");
    CHECK(errors("[plan]") ==
          "6:16: Step 'build': No step creates 'plan', and it is not in the worktree / "
          "'plan' is a step: use 'depends_on'.\n");
    CHECK(errors("[outside/passwd]") ==
          "6:16: Step 'build': No step creates 'outside/passwd', and it is not in the worktree\n");
    CHECK(errors("[src/main.c/x]") ==
          "6:16: Step 'build': No step creates 'src/main.c/x', and it is not in the worktree\n");
}

TEST_CASE("the artifacts of a step with a worktree of its own are searched for nowhere else")
{
    TemporaryFolder folder;
    WorkflowReadOptions options;
    options.worktree = folder.path();
    CHECK(errors_of("id: w\nsteps:\n"
                    "  - {id: a, command: make, requires: [lib], worktree: ../other}\n",
                    options)
              .empty());
}

TEST_CASE("a worktree that is not there is an error of its own")
{
    WorkflowReadOptions options;
    options.worktree = "/nowhere/at/all";
    CHECK(errors_of(small, options) ==
          "0:0: The worktree '/nowhere/at/all' cannot be opened: No such file or directory\n");
}

TEST_CASE("parameters that are given must be declared, and of the type of their default")
{
    const std::string text =
        "id: w\nparams:\n  target: null\n  jobs: 4\n  fast: false\n"
        "  label: x\nsteps:\n  - {id: a, command: make}\n";
    const auto errors = [&](json::object given) {
        WorkflowReadOptions options;
        options.params = std::move(given);
        return errors_of(text, options);
    };
    CHECK(errors({{"target", "all"}}).empty());
    CHECK(errors({{"target", 3}, {"jobs", 2.5}, {"fast", true}, {"label", ""}, {"prompt", "Hi"}})
              .empty());
    CHECK(errors({}) == "3:3: The parameter 'target' must be given / It has no default.\n");
    CHECK(errors({{"target", nullptr}}) ==
          "3:3: The parameter 'target' must be given / It has no default.\n");
    CHECK(errors({{"target", json::array{}}}) ==
          "3:3: The parameter 'target' must be a single value / The given value is a list.\n");
    CHECK(errors({{"target", "all"}, {"jobs", "4"}, {"fast", nullptr}}) ==
          "4:3: The parameter 'jobs' must be a number / The given value is text.\n"
          "5:3: The parameter 'fast' must be true or false / The given value is null.\n");
    CHECK(errors({{"target", "all"}, {"job", 4}, {"colour", "red"}}) ==
          "0:0: There is no parameter 'job' / Did you mean 'jobs'?\n"
          "0:0: There is no parameter 'colour' / There are target, jobs, fast, label.\n");
}

TEST_CASE("a workflow without parameters takes a prompt, and nothing else")
{
    WorkflowReadOptions options;
    options.params = json::object{{"prompt", "Hi"}};
    CHECK(errors_of(small, options).empty());
    options.params = json::object{{"target", 1}};
    CHECK(errors_of(small, options) ==
          "0:0: There is no parameter 'target' / The workflow declares none.\n");
}

TEST_CASE("worktree and parameters can be chosen by what the workflow declares")
{
    WorkflowReadOptions options;
    int calls = 0;
    options.prepare = [&](const Workflow& workflow, WorkflowReadOptions& more) {
        ++calls;
        CHECK(workflow.params.contains("jobs"));
        more.worktree = "/nowhere/at/all";
        more.params = json::object{{"jobs", "4"}};
    };
    const std::string text = "id: w\nparams: {jobs: 4}\nsteps:\n  - {id: a, command: make}\n";
    CHECK(errors_of(text, options) ==
          "0:0: The worktree '/nowhere/at/all' cannot be opened: No such file or directory\n"
          "2:10: The parameter 'jobs' must be a number / The given value is text.\n");
    CHECK(calls == 1);
    CHECK_FALSE(errors_of("id: w\nparams: {jobs: 4}\n", options).empty());
    CHECK(calls == 1);
}

TEST_CASE("a workflow is read with its plan")
{
    const auto loaded = parse_workflow(small, "w.yaml");
    REQUIRE(loaded.workflow);
    REQUIRE(loaded.plan);
    CHECK(loaded.plan->steps.size() == loaded.workflow->steps.size());
}

TEST_CASE("parameters and worktree are not checked if they are not given")
{
    (void)parse(
        "id: w\nparams: {target: null}\nsteps:\n"
        "  - {id: a, command: make, requires: [nowhere]}\n");
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("workflow file");

TEST_CASE("a file is read with its path and its hash")
{
    TemporaryFolder folder;
    write_file(folder / "w.yaml", small);
    const auto loaded = load_workflow(folder / "w.yaml");
    REQUIRE(loaded.workflow);
    CHECK(loaded.workflow->path == (folder / "w.yaml").string());
    CHECK(loaded.workflow->hash == parse(small).hash);
    CHECK(loaded.workflow->hash.size() == 64);
    CHECK(parse(std::string(small) + "# more\n").hash != loaded.workflow->hash);
}

TEST_CASE("the hash is SHA-256")
{
    CHECK(parse("{id: w, steps: [{id: a, command: make}]}").hash ==
          "6a17e4d1d87c39ef967213bff329c46bce5e485d4af0cddc6b1c2b485e965eef");
}

TEST_CASE("a link that a person names is followed")
{
    TemporaryFolder folder;
    write_file(folder / "real/w.yaml", small);
    fs::create_symlink("real/w.yaml", folder / "link.yaml");
    fs::create_directory_symlink("real", folder / "folder");
    CHECK(load_workflow(folder / "link.yaml").workflow);
    CHECK(load_workflow(folder / "folder/w.yaml").workflow);
}

TEST_CASE("anything but a regular file is refused without blocking")
{
    TemporaryFolder folder;
    REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    fs::create_symlink("fifo", folder / "link");
    fs::create_symlink("loop", folder / "loop");
    CHECK(error_of_file(folder / "fifo") == "The workflow file cannot be read: it is a FIFO");
    CHECK(error_of_file(folder / "link") == "The workflow file cannot be read: it is a FIFO");
    CHECK(error_of_file(folder.path()) == "The workflow file cannot be read: it is a directory");
    CHECK(error_of_file("/") == "The workflow file cannot be read: it is a directory");
    CHECK(error_of_file("/dev/zero") == "The workflow file cannot be read: it is a device");
    CHECK(error_of_file(folder / "none") ==
          "The workflow file cannot be read: No such file or directory");
    CHECK(error_of_file(folder / "loop") ==
          "The workflow file cannot be read: Too many levels of symbolic links");
}

TEST_CASE("a file may have 1 MiB, and not a byte more")
{
    TemporaryFolder folder;
    std::string text = small;
    text += "# " + std::string(1024 * 1024 - text.size() - 3, 'x') + "\n";
    write_file(folder / "w.yaml", text);
    CHECK(load_workflow(folder / "w.yaml").workflow);
    write_file(folder / "w.yaml", text + "\n");
    CHECK(error_of_file(folder / "w.yaml") ==
          "The workflow file cannot be read: it is larger than 1048576 bytes");
}

TEST_CASE("a key that is not known is an error, wherever it is, unless the reading is lenient")
{
    const std::string steps = "steps:\n  - {id: a, command: make}\n";
    const std::string step = "id: w\nsteps:\n  - id: a\n    command: make\n    ";
    const std::string texts[] = {
        "id: w\nneeds: x\n" + steps,
        "id: w\nsettings: {max_paralel: 1}\n" + steps,
        "id: w\nsettings: {loopback: {max: 1}}\n" + steps,
        "workflow:\n  id: w\n  steps: [{id: a, command: make}]\nname: x\n",
        "workflow:\n  id: w\n  steps: [{id: a, command: make}]\nother: x\n",
        step + "manuel: true\n",
        step + "if: false\n",
        step + "gate: {when: false}\n",
        step + "scoring: {min: 3}\n",
        step + "scoring: {thresholds: {overall: 3}}\n",
        step + "metadata: {retry: {attempts: 3}}\n"};
    WorkflowReadOptions lenient;
    lenient.lenient = true;
    for (const auto& text : texts) {
        CAPTURE(text);
        const auto loaded = parse_workflow(text, "w.yaml");
        CHECK_FALSE(loaded.workflow);
        REQUIRE(loaded.errors.size() == 1);
        CHECK(loaded.errors.front().line > 0);
        CHECK(loaded.errors.front().column > 0);
        CHECK(loaded.warnings.empty());
        const auto other = parse_workflow(text, "w.yaml", lenient);
        CHECK(other.workflow);
        CHECK(other.errors.empty());
        CHECK(other.warnings.size() == 1);
    }
}

TEST_CASE("a manual step says who is asked, until when, and what happens then")
{
    const auto manual_of = [](const std::string& value) {
        const auto w = parse("id: w\nsteps:\n  - id: a\n    manual: " + value + "\n");
        return w.steps.front().manual;
    };
    CHECK_FALSE(
        parse("id: w\nsteps:\n  - {id: a, command: make, manual: false}\n").steps.front().manual);
    auto manual = manual_of("true");
    REQUIRE(manual);
    CHECK(manual->by.empty());
    CHECK_FALSE(manual->until);
    CHECK_FALSE(manual->approved_at_deadline);
    manual = manual_of("{by: Ada, until: 2d, on_deadline: approve}");
    REQUIRE(manual);
    CHECK(manual->by == "Ada");
    CHECK(manual->until == 48h);
    CHECK(manual->approved_at_deadline);
    CHECK(manual_of("{until: 90, on_deadline: fail}")->until == 90s);
}

TEST_CASE("what is wrong with a manual step is reported where it is")
{
    const auto report = [](const std::string& line) {
        const auto loaded =
            parse_workflow("id: w\nsteps:\n  - id: a\n    " + line + "\n", "w.yaml");
        std::string text;
        for (const auto* const all : {&loaded.errors, &loaded.warnings})
            for (const auto& one : *all)
                text += fmt::format("{}:{}: {} {}\n", one.line, one.column, one.message, one.hint);
        return text;
    };
    CHECK(report("manual: maybe") ==
          "4:13: Step 'a': Field 'manual' must be true, false, or a mapping of 'by', 'until' and "
          "'on_deadline' This is text.\n");
    CHECK(report("manual: {until: soon}") ==
          "4:21: Step 'a': manual: Field 'until' must be a positive number of seconds, or as '90s' "
          "Units are ms, s, m, h, d and w; the maximum is 100000000 s.\n");
    CHECK(report("manual: {until: 1h, on_deadline: aprove}") ==
          "4:38: Step 'a': manual: Field 'on_deadline' must be fail or approve (got: aprove) Did "
          "you mean 'approve'?\n");
    CHECK(report("manual: {who: Ada}") == "4:14: Step 'a': manual: Unknown field 'who' \n");
    CHECK(report("manual: {by: [Ada]}").starts_with("4:18: Step 'a': manual: Field 'by' must be"));
    CHECK(report("until: 1h\n    command: make") ==
          "4:5: Step 'a': Unknown field 'until' Did you mean 'manual.until'?\n");
    CHECK(report("manual: true\n    timeout: 1h") ==
          "5:14: Step 'a': 'timeout' limits attempts, of which a manual step has none Limit how "
          "long it waits: 'manual: {until: 2d}'.\n");
    CHECK(report("manual: {on_deadline: approve}") ==
          "4:27: Step 'a': 'on_deadline' has no effect without 'until' \n");
    CHECK(report("manual: true\n    metadata: {retry: {max_attempts: 2}}") ==
          "5:23: Step 'a': A manual step is not retried \n");
    CHECK(report("manual: false").find("nothing to run") != std::string::npos);
}

TEST_CASE("the agent of a manual step is not checked: a person does it")
{
    WorkflowReadOptions options;
    options.check_agent = [](const WorkflowStep&) {
        return std::optional(WorkflowStepProblem{"no such agent", {}, false});
    };
    CHECK(parse_workflow("id: w\nsteps:\n  - {id: a, agent: x, action: y, manual: true}\n",
                         "w.yaml", options)
              .workflow);
}

TEST_CASE("keys that belong to the user are not judged")
{
    const auto loaded = parse_workflow(
        "id: w\nparams: {anything: 1}\nmetadata: {mine: {x: 1}}\nsteps:\n"
        "  - {id: a, agent: x, action: y, params: {some: 1}, metadata: {mine: 2}}\n",
        "w.yaml");
    CHECK_MESSAGE(loaded.workflow, to_string(loaded.errors));
    CHECK(loaded.warnings.empty());
}

TEST_CASE("an application can judge the agents that steps name")
{
    WorkflowReadOptions options;
    options.check_agent = [](const WorkflowStep& step) -> std::optional<WorkflowStepProblem> {
        if (step.agent == "x") return std::nullopt;
        return WorkflowStepProblem{"no such agent", "Take x.", step.agent == "warned"};
    };
    const auto read = [&](const std::string& agent) {
        return parse_workflow("id: w\nsteps:\n  - {id: a, agent: " + agent + ", action: y}\n",
                              "w.yaml", options);
    };
    CHECK(read("x").workflow);
    CHECK(read("x").warnings.empty());
    auto loaded = read("z");
    CHECK_FALSE(loaded.workflow);
    REQUIRE(loaded.errors.size() == 1);
    CHECK(to_string(loaded.errors.front())
              .starts_with("w.yaml:3:20: error: Step 'a': no such agent"));
    CHECK(loaded.errors.front().hint == "Take x.");
    loaded = read("warned");
    CHECK(loaded.workflow);
    CHECK(loaded.warnings.size() == 1);
}

TEST_CASE("of very many problems a hundred are reported")
{
    std::string text = "id: w\nsteps:\n";
    for (int i = 0; i < 1000; ++i)
        text += fmt::format("  - {{id: s{}, comand: x, depends_on: [t{}]}}\n", i, i);
    CHECK(parse_workflow(text, "workflow.yaml").errors.size() == 100);
    WorkflowReadOptions lenient;
    lenient.lenient = true;
    const auto loaded = parse_workflow(text, "workflow.yaml", lenient);
    CHECK(loaded.errors.size() == 100);
    CHECK(loaded.warnings.size() == 100);
}

TEST_SUITE_END();
