#include "support/temporary_folder.hpp"
#include "support/workflows.hpp"
#include "workflow/journal/journal.hpp"
#include "workflow/run/run_state.hpp"
#include "workflow/run/step_commands.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::workflow;

namespace {

/// The workflow of the sample journal.
Workflow sample_workflow()
{
    auto write = step("write");
    write.creates = {"note.md", "build/out.bin"};
    auto review = step("review");
    review.needs = write.creates;
    review.gate = gate("review.round >= 2", to("write"));
    auto odd = step("odd", {"review"});
    odd.skip_on_fail = true;
    auto never = step("never", {"review"});
    never.condition = "params.retries > 5";
    auto w =
        workflow_of({write, review, odd, never, step("last", {"odd"}), step("after", {"last"})});
    w.params = {{"retries", 2}};
    return w;
}

struct Replay {
    explicit Replay(WorktreeMode mode = WorktreeMode::step)
    {
        WorkflowRunOptions options;
        options.worktrees = mode;
        std::string problems;
        inputs = make_inputs(sample_workflow(), std::move(options), problems);
        REQUIRE(problems.empty());
        auto commands = make_commands(inputs, executor_options, problems);
        REQUIRE(problems.empty());
        state.emplace(inputs, std::move(commands), Scheduler::Limits{});
        state->trees_folder = "/trees";
        const auto text =
            read_file(std::filesystem::path(AUTOEXEC_SOURCE_DIR) / "test/data/v1.2/journal.jsonl");
        entries = parse_journal(text).transitions;
        REQUIRE(entries.size() == 46);
    }

    void apply_until(std::int64_t seq)
    {
        for (const auto& entry : entries)
            if (entry.seq <= seq) state->apply(entry);
    }

    [[nodiscard]] StepRun& step_of(std::string_view id)
    {
        return state->step(*index_of(inputs.workflow, id));
    }

    WorkflowExecutorOptions executor_options;
    RunInputs inputs;
    std::optional<RunState> state;
    std::vector<protocol::JournalEntry> entries;
};

}  // namespace

TEST_SUITE_BEGIN("run state");

TEST_CASE("a journal that is replayed to its end leaves nothing to do")
{
    Replay run;
    run.apply_until(46);
    CHECK(run.state->ended_as == WorkflowStatus::completed);
    CHECK_FALSE(anything_left(*run.state));
    CHECK(run.state->scheduler().finished());
    CHECK(run.state->scheduler().failures().empty());
    CHECK(run.state->last_commit == "190c6d347d64ec68ebb75dec75fee0eaf77396bf");
    CHECK(run.step_of("write").result.round == 2);
    CHECK(run.step_of("odd").result.state == StepState::skipped);
    CHECK(run.step_of("odd").result.tolerated);
    CHECK(run.step_of("never").result.state == StepState::skipped);
    CHECK(run.step_of("last").result.round == 2);
    CHECK_FALSE(run.step_of("after").in_flight());
    CHECK(critical_path(run.inputs.plan, *run.state).front() == "write");
}

TEST_CASE("a step in flight is running, with its worktree and its baseline")
{
    Replay run;
    run.apply_until(4);  // step_ready
    auto& write = run.step_of("write");
    REQUIRE(write.running());
    CHECK_FALSE(write.running()->executed);
    CHECK(write.tree == "workflow-demo-20261129-230316-951863-step-write-f8caf21f");
    CHECK(write.worktree() == std::filesystem::path("/trees") / write.tree);
    CHECK(write.base == "121ae117e46b0e5555edb66f234f2580d554cc8d");
    CHECK(write.baseline);
    CHECK(run.state->scheduler().in_flight() == 1);

    run.state->apply(run.entries[4]);  // step_executed
    REQUIRE(write.running()->executed);
    CHECK(write.running()->executed->state == StepState::completed);
    CHECK(write.running()->executed->execution->exit_code == 0);

    run.state->apply(run.entries[5]);  // step_ended
    CHECK_FALSE(write.in_flight());
    CHECK(write.commit == "5c7be8b35325b6458f2592ba6b27675ddf42c7bc");
    CHECK(write.kept == "82a5d6eb9e3b2be26d90754f060bbe3115f0011f");
    CHECK_FALSE(write.baseline);
}

TEST_CASE("a gate that sends back takes the work back, and gives its own as feedback")
{
    Replay run;
    run.apply_until(12);
    CHECK(run.step_of("write").result.state == StepState::pending);
    CHECK(run.step_of("write").commit.empty());
    CHECK(run.step_of("write").feedback.step == "review");
    CHECK(run.step_of("write").feedback.commit == "5c7be8b35325b6458f2592ba6b27675ddf42c7bc");
    CHECK(run.step_of("review").feedback.commit.empty());
    CHECK(anything_left(*run.state));
}

TEST_CASE("a step to which a gate goes back has what the step of the gate said, also when resumed")
{
    Replay run;
    run.apply_until(7);  // review has started
    StepResult end;
    end.id = "review";
    end.state = StepState::completed;
    std::string expected;
    SUBCASE("a person")
    {
        end.answer = StepAnswer{StepDecision::rejected, "ada", "no tests", {}};
        expected = "no tests";
    }
    SUBCASE("a command")
    {
        end.execution.emplace().output = std::string("a\0b\n\n", 5);
        expected = "a b";
    }
    run.state->apply({8, {}, protocol::StepEnded{end, false, false, {}, {}}});
    run.state->apply({9, {}, protocol::GateJudged{"review", 1, false, {}, {}}});
    CHECK(run.step_of("write").gate_feedback == expected);
    CHECK(run.step_of("review").gate_feedback.empty());
    CHECK(run.inputs.plan.steps[*index_of(run.inputs.workflow, "review")].output_used);
    (void)run.state->restart({*index_of(run.inputs.workflow, "write")});
    CHECK(run.step_of("write").gate_feedback == expected);
}

TEST_CASE("on request a failed step runs again with all steps that depend on it")
{
    Replay run;
    run.apply_until(34);
    CHECK(run.state->ended_as == WorkflowStatus::failed);
    const auto last = *index_of(run.inputs.workflow, "last");
    CHECK(run.state->scheduler().failures() == std::vector{last});
    CHECK_FALSE(anything_left(*run.state));
    const auto all = run.state->restart({last});
    CHECK(ids_of(run.inputs.workflow, all) == std::vector<std::string>{"last", "after"});
    CHECK(run.step_of("last").result.state == StepState::pending);
    CHECK(anything_left(*run.state));
}

TEST_CASE("a worktree outside the folder of worktrees is not used")
{
    Replay run;
    protocol::StepStarted start{"write", 1, "e", "/elsewhere", protocol::StepTree{"../x", "b", {}}};
    run.state->apply({1, {}, start});
    CHECK(run.step_of("write").tree.empty());
    start.step = "no such step";
    run.state->apply({2, {}, start});
    CHECK(run.state->scheduler().in_flight() == 1);
}

TEST_CASE("a step that was not prepared has the worktree that its start names")
{
    Replay run;
    protocol::StepStarted start{"write", 1, "e", "/trees/t", {}};
    run.state->apply({1, {}, start});
    CHECK(run.step_of("write").tree == "t");
    CHECK(run.step_of("write").base.empty());
    start.worktree = "/elsewhere/t";
    run.state->apply({2, {}, start});
    CHECK(run.step_of("write").tree.empty());
}

TEST_CASE("a step that was cancelled with its run has failed, even if failures are tolerated")
{
    Replay run;
    run.apply_until(12);
    StepResult end;
    end.id = "odd";
    end.state = StepState::cancelled;
    const auto odd = *index_of(run.inputs.workflow, "odd");
    const auto apply = [&](bool tolerated) {
        run.state->apply({13, {}, protocol::StepStarted{"odd", 1, "e", "/trees/t", {}}});
        end.tolerated = tolerated;
        run.state->apply({14, {}, protocol::StepEnded{end, false, false, {}, {}}});
        return run.state->scheduler().failures();
    };
    CHECK(apply(true).empty());
    CHECK(apply(false) == std::vector{odd});
    CHECK(run.step_of("odd").result.state == StepState::cancelled);
}

TEST_CASE("the reason of a gate that could not be evaluated is kept as it was")
{
    Replay run;
    run.apply_until(7);  // review has started
    StepResult end;
    end.id = "review";
    end.state = StepState::completed;
    run.state->apply({8, {}, protocol::StepEnded{end, false, false, {}, {}}});
    run.state->apply({9, {}, protocol::GateJudged{"review", 1, {}, StepState::failed, "No file"}});
    CHECK(run.step_of("review").result.state == StepState::failed);
    CHECK(run.step_of("review").result.reason == "No file");
    CHECK(run.step_of("review").result.code == "gate");
}

TEST_CASE("a plan that was made when the workflow was read is not made again")
{
    const auto w = workflow_of({step("write"), step("review", {"write"})});
    auto plan = plan_of(w);
    plan.steps[1].results = "review.json";
    WorkflowRunOptions run;
    run.plan = std::make_shared<const Plan>(plan);
    std::string problems;
    CHECK(make_inputs(w, run, problems).plan.steps[1].results == "review.json");
    auto longer = w;
    longer.steps.push_back(step("publish"));
    CHECK(make_inputs(longer, run, problems).plan.steps.size() == 3);
    CHECK(problems.empty());
}

TEST_CASE("commands are made from workflow, plan and parameters alone")
{
    auto write = step("write");
    write.argv.clear();
    write.command = "echo {params.title}";
    auto close = step("review", {"write"});
    close.argv.clear();
    close.agent = "reviewer";
    close.action = "review";
    auto w = workflow_of({write, close});
    w.params = {{"title", nullptr}};
    WorkflowExecutorOptions options;
    options.project_root = "/project";
    WorkflowRunOptions run;
    std::string problems;
    (void)make_inputs(w, run, problems);
    CHECK(problems == "The parameter 'title' is required.\n");
    problems.clear();
    run.params = {{"title", "T"}};
    const auto inputs = make_inputs(w, run, problems);
    REQUIRE(problems.empty());
    const auto commands = make_commands(inputs, options, problems);
    const auto& first = commands.at(0);
    CHECK(first.request.command == "echo T");
    CHECK(first.request.worktree == "/project");
    CHECK_FALSE(first.in_git);
    const auto& second = commands.at(1);
    CHECK(second.request.command.starts_with("@reviewer review"));
    CHECK(second.agent == "reviewer");
    CHECK(problems.empty());
    options.assign = [](const WorkflowStep& s, CommandRequest&) { return s.id + "?"; };
    CHECK(make_commands(inputs, options, problems).size() == 2);
    CHECK(problems == "Step 'write': write?\nStep 'review': review?\n");
    CHECK(make_commands(inputs, options, problems).empty());
}

TEST_SUITE_END();
