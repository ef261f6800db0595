#include "support/git_project.hpp"
#include "support/sweep.hpp"

#include <boost/json/array.hpp>

#include <signal.h>

using namespace autoexec::test;

/// Steps with `for_each`, with agents and git.

namespace {

// A plan names tasks, an agent does each, and a step uses the work of all.
const Words steps = {
    "id: plan, agent: x, action: y, idempotent: true, results: reports/plan.json",
    "id: fix, agent: x, action: y, idempotent: true, for_each: plan.results.tasks, "
    "params: {task: '{item.title}', number: '{index}'}, "
    "creates: ['out/{item.name}.txt'], results: 'reports/fix-{index}.json'",
    "id: sum, agent: x, action: y, idempotent: true, depends_on: [fix], "
    "params: {scores: '{steps.fix.results.score}'}"};

/// The texts of tasks must stay words, so one of them would leave a trace if it were a command.
void script(const GitProject& project)
{
    project.on("plan",
               "cat >$results <<'END'\n"
               R"({"tasks": [{"name": "one", "title": "a b"},)"
               R"( {"name": "two", "title": "; touch /tmp/../$stage/ran; $(touch $stage/ran)\n'"},)"
               R"( {"name": "three", "title": "--x"}]})"
               "\nEND\n");
    for (const auto& [number, name] : std::initializer_list<std::pair<std::string, std::string>>{
             {"1", "one"}, {"2", "two"}, {"3", "three"}})
        project.on("fix." + number, "mkdir -p out; printf '%s' \"$AUTOEXEC_STEP_ID\" >out/" + name +
                                        ".txt; echo '{\"score\": " + number + "}' >$results");
    project.on("sum", "cat out/*.txt >all.txt");
}

}  // namespace

TEST_SUITE_BEGIN("workflow items");

TEST_CASE("a plan names the tasks, each is done in a worktree of its own, and all work is merged")
{
    GitProject project;
    project.committed_steps(steps);
    script(project);
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "fix: 3 items\n"));
    CHECK(project.shown("all.txt") == "fix.1fix.3fix.2");
    CHECK(project.shown("out/two.txt") == "fix.2");
    CHECK_FALSE(fs::exists(project.stage() / "ran"));
    const auto commands = read_file(project.stage() / "commands");
    CHECK(contains(commands, "@x y --task 'a b' --number 1"));
    CHECK(contains(commands, "--task=--x --number 3"));
    CHECK(contains(commands, "@x y --scores '[1, 2, 3]'"));
    CHECK(project.is_untouched());
    const auto status = project.newest_run();
    Words ids;
    for (const auto& step : status.at("steps").as_array()) {
        CHECK(text_at(step.as_object(), "state") == "completed");
        ids.push_back(text_at(step.as_object(), "id"));
    }
    CHECK(ids == Words{"plan", "fix", "fix.1", "fix.2", "fix.3", "sum"});
}

TEST_CASE("a run with steps for items is resumed wherever it was killed, with the same result" *
          doctest::test_suite("sweep"))
{
    std::string expected;
    std::size_t all = 0;
    const std::size_t stride = is_long_form() ? 1 : 7;
    for (std::size_t moment = 0; moment == 0 || moment <= all; moment += stride) {
        CAPTURE(moment);
        GitProject project;
        project.committed_steps(steps);
        script(project);
        if (moment == 0) {
            REQUIRE(project.go().code == 0);
            expected = project.listed() + project.shown("all.txt");
            all = project.lines_in_journals();
            CHECK(all >= 20);
            continue;
        }
        project.go_with_kill_at(moment);
        CHECK(project.listed() + project.shown("all.txt") == expected);
        CHECK(project.is_untouched());
    }
}

TEST_CASE("the work of the best try is used, and that of the others stays on their branches")
{
    GitProject project;
    project.committed_steps(
        {"id: code, agent: x, action: y, best_of: 3, "
         "results: 'reports/{index}.json'",
         "id: use, agent: x, action: y, depends_on: [code]"});
    for (const auto& [number, score] : std::initializer_list<std::pair<std::string, std::string>>{
             {"1", "4"}, {"2", "9"}, {"3", "8"}})
        project.on("code." + number, "echo " + number + " >code; echo " + number + " >only-" +
                                         number + "; echo '{\"score\": " + score + "}' >$results");
    project.on("use", "cat code only-* >used");
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "code: 'code.2' is the best: 9\n"));
    CHECK(project.shown("used") == "2\n2\n");
    CHECK(project.shown("code") == "2\n");
    CHECK(contains(project.listed(), "only-2"));
    CHECK_FALSE(contains(project.listed(), "only-1"));
    const auto run = project.newest_run();
    for (const auto& step : run.at("steps").as_array()) {
        const auto& s = step.get_object();
        if (text_at(s, "id") == "code.1")
            CHECK(project.shown("only-1", text_at(s, "branch")) == "1\n");
    }
    const auto in_place = project.go({"--in-place"});
    CHECK(in_place.code == 2);
    CHECK(contains(in_place.err,
                   "step 'code': with 'best_of', each try needs a worktree of its own"));
}

TEST_CASE("models compete, and an agent without a place for a model gets none")
{
    GitProject project;
    const auto program = project.stage() / "modelled";
    write_file(program,
               "echo \"$1\" >model; mkdir -p reports; number=${2##*.}\n"
               "case $1 in large) score=9 ;; *) score=1 ;; esac\n"
               "echo \"{\\\"score\\\": $score}\" >reports/$number.json\n");
    project.add_agent("modelled", "/bin/sh '" + program.string() + "' {model} {step_id} {command}",
                      {"model: medium"});
    project.committed_steps(
        {"id: code, agent: modelled, command: go, best_of: {models: [small, large]}, "
         "results: 'reports/{index}.json'"});
    auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "code: 'code.2' is the best: 9\n"));
    CHECK(project.shown("model") == "large\n");

    project.committed_steps({"id: code, agent: modelled, command: go"});
    ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("model") == "medium\n");

    project.committed_steps({"id: code, agent: scripted, model: large, command: go"});
    ended = project.go();
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "Step 'code': 'scripted' takes no model; add {model} to its "));
}

TEST_CASE("people approve each item, by the id of its step")
{
    GitProject project;
    project.committed_steps(
        {"id: release, for_each: [core, tools], manual: {by: 'the owner of {item}'}, "
         "command: 'May {item} be released?'"});
    Program program(project.start(GitProject::words()));
    project.wait_for_state("release.1", "waiting_manual");
    project.wait_for_state("release.2", "waiting_manual");
    for (const auto* const step : {"release.2", "release.1"}) {
        const auto ended = project.run({"workflow", "approve", step});
        CHECK_MESSAGE(ended.code == 0, ended.err);
    }
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "release.2: waits for the owner of tools"));
    CHECK(contains(ended.err, "May tools be released?"));
    CHECK(steps_with(ended, "completed") == "release release.2 release.1");
}

TEST_CASE("a list that an agent has spoilt fails its step, and says why")
{
    GitProject project;
    project.committed_steps(steps);
    script(project);
    project.on("plan",
               "printf '{\"tasks\": [' >$results; i=0; while [ $i -lt 10000 ]; do "
               "printf '{\"title\": \"x\"},'; i=$((i+1)); done >>$results; "
               "printf '{}]}' >>$results");
    const auto ended = project.go();
    CHECK(ended.code == 1);
    CHECK(contains(ended.out,
                   "fix  There are 10001 items; at most 100 are allowed (for_each.max_items)"));
    CHECK(project.asked() == "plan");
    project.on("plan", "printf '{\"tasks\": [{\"name\": \"../x\", \"title\": \"t\"}]}' >$results");
    const auto again = project.resume({"--from", "plan"});
    CHECK(again.code == 1);
    CHECK(contains(again.out, "'../x' cannot be part of the path 'out/{item.name}.txt'"));
}

TEST_SUITE_END();
