#include "support/workflow_git_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace autoexec;
using namespace autoexec::test;

namespace {

/// A step `fix` that runs each of these scripts, and a step `use` for the best work.
struct TriesFixture : GitFixture {
    static WorkflowStep tries(const Words& scripts)
    {
        auto s = script("fix", "eval \"$1\"");
        s.argv.insert(s.argv.end(), {"sh", "{item}"});
        s.for_each.emplace();
        for (const auto& text : scripts) s.for_each->list.emplace_back(text);
        s.for_each->best_by = "score";
        s.results = "out-{index}.json";
        return s;
    }

    /// A try that makes a file, and writes its results.
    static std::string scored(const std::string& number, const std::string& results)
    {
        return "echo " + number + " >made-" + number + "; echo '" + results + "' >out-" + number +
               ".json";
    }

    [[nodiscard]] std::size_t count_picked() const
    {
        std::string problem;
        const auto record = workflow::read_run(root(), result.run_id, problem);
        REQUIRE(record);
        return static_cast<std::size_t>(
            std::ranges::count_if(record->transitions, [](const auto& entry) {
                return std::holds_alternative<protocol::StepPicked>(entry.transition);
            }));
    }

    WorkflowStep use = script("use", "echo used >used", {"fix"});
};

}  // namespace

TEST_SUITE_BEGIN("best of several tries");

TEST_CASE_FIXTURE(TriesFixture, "of several tries, only the best one counts")
{
    Words scripts{scored("1", R"({"score": 3, "name": "a"})"),
                  scored("2", R"({"score": 7.5, "name": "b"})"),
                  scored("3", R"({"score": 7.5, "name": "c"})")};
    use.argv = {"/bin/sh",
                "-c",
                "echo $1 $2 >used",
                "sh",
                "{steps.fix.results.name}",
                "{steps.fix.outcome}"};
    std::string best;
    SUBCASE("the first of the best")
    {
        best = "b";
    }
    SUBCASE("a try that fails does not matter")
    {
        scripts[1] += "; exit 1";
        best = "c";
    }
    SUBCASE("a try without a number does not matter either")
    {
        scripts[1] = scored("2", R"({"score": "7.5"})");
        scripts[2] = scored("3", "[]");
        best = "a";
    }
    go(workflow_of({tries(scripts), use}));
    CHECK(result.error == "");
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(made("used") == best + " completed\n");
    CHECK(count_picked() == 1);
    if (best == "c") CHECK(of("fix.2").tolerated);
    const auto all = files(result.branch);
    CHECK((all.find("made-1") != std::string::npos) == (best == "a"));
    CHECK((all.find("made-3") != std::string::npos) == (best == "c"));
}

TEST_CASE_FIXTURE(TriesFixture, "a try that fails stops nothing, also with fail-fast")
{
    run_options.fail_fast = true;
    SUBCASE("another one is the best")
    {
        go(workflow_of({tries({"exit 1", scored("2", R"({"score": 1})")}), use}));
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(of("use").state == StepState::completed);
    }
    SUBCASE("without a best one, their step stops the others")
    {
        go(workflow_of({tries({"exit 1", "true"}), use}));
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(of("fix.2").state == StepState::completed);
        CHECK(of("use").reason == "'fix' has failed");
    }
}

TEST_CASE_FIXTURE(TriesFixture, "a step without a best try may fail, if that is tolerated")
{
    auto fix = tries({"exit 1", "true"});
    fix.continue_on_error = true;
    go(workflow_of({fix, use}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("fix").state == StepState::failed);
    CHECK(of("fix").code == "items");
    CHECK(of("fix").tolerated);
    CHECK(of("use").state == StepState::completed);
}

TEST_CASE_FIXTURE(TriesFixture, "tries that do not run need no best one")
{
    auto fix = tries({"true", "true"});
    SUBCASE("the condition of their step does not hold")
    {
        fix.condition = "params.full";
        auto w = workflow_of({fix, use});
        w.params["full"] = false;
        go(w);
        CHECK(of("use").state == StepState::completed);
    }
    SUBCASE("a gate ends the workflow")
    {
        auto ends = script("ends", "true");
        ends.gate = gate("ends.round == 1", {GateTarget::Kind::fail, {}});
        ends.gate->on_pass = {GateTarget::Kind::end, {}};
        auto clean = script("clean", "true");
        clean.phase = StepPhase::finally;
        fix.depends_on = {"ends"};
        go(workflow_of({ends, fix, use, clean}));
        CHECK(of("use").state == StepState::skipped);
        CHECK(of("clean").state == StepState::completed);
    }
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("fix").state == StepState::skipped);
}

TEST_CASE_FIXTURE(TriesFixture, "without a best try the step fails, and runs again on request")
{
    Words scripts{"exit 1", "exit 1"};
    std::string reason = "None of its items has completed";
    SUBCASE("none has completed") {}
    SUBCASE("none has a number")
    {
        scripts[0] = scored("1", R"({"score": null})");
        reason = "None of its items has a number 'score'; of 'fix.1', it is null";
    }
    for (auto& text : scripts) text.insert(0, "echo x >>'" + (folder / "ran").string() + "'; ");
    const auto w = workflow_of({tries(scripts), use});
    go(w);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(of("fix").reason == reason);
    CHECK(of("fix").state == StepState::failed);
    CHECK(of("use").reason == "It depends on 'fix', which failed");
    WorkflowResumeOptions what;
    go(w, what);
    CHECK(result.error.find("--from-failed") != std::string::npos);
    what.from_failed = true;
    go(w, what);
    CHECK(of("fix").code == "items");
    CHECK(read_file(folder / "ran") == "x\nx\nx\nx\n");
}

TEST_SUITE_END();
