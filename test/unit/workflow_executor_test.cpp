#include "support/workflow_fixture.hpp"
#include "workflow/journal/markers.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

WorkflowStep with_gate(WorkflowStep s, WorkflowGate g)
{
    s.gate = std::move(g);
    return s;
}

WorkflowStep creating(WorkflowStep s, std::string path)
{
    s.creates = {std::move(path)};
    return s;
}

}  // namespace

TEST_CASE_FIXTURE(WorkflowFixture, "steps run in the order of their dependencies")
{
    run(workflow_of({step("c", {"b"}), step("a"), step("b", {"a"})}));
    CHECK_FALSE(ec);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(result.error.empty());
    CHECK(story == Lines{"+a", "a completed", "+b", "b completed", "+c", "c completed"});
    CHECK(result.critical_path == Lines{"a", "b", "c"});
    CHECK(result.duration == 3s);
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "steps that share a worktree take turns, others run side by side")
{
    tree_at("x");
    tree_at("y");
    auto a = step("a");
    a.worktree = "x";
    auto b = step("b");
    b.worktree = "y";
    auto c = step("c");
    c.worktree = "x/";
    run(workflow_of({a, b, c}));
    CHECK(story == Lines{"+a", "+b", "a completed", "+c", "b completed", "c completed"});
}

TEST_CASE_FIXTURE(WorkflowFixture, "a failed step stops what depends on it, and nothing else")
{
    replies["a"].status = ReportedStatus::failed;
    run(workflow_of({step("a"), step("of-a", {"a"}), step("b"), step("of-b", {"b"})}));
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(result.error == "Step 'a': as scripted");
    CHECK(of("of-a").state == StepState::skipped);
    CHECK(of("of-a").reason == "It depends on 'a', which failed");
    CHECK(of("of-a").round == 0);
    CHECK(of("of-b").state == StepState::completed);
}

TEST_CASE_FIXTURE(WorkflowFixture, "with fail-fast a failure cancels what runs")
{
    tree_at("x");
    auto slow = step("slow");
    slow.worktree = "x";
    replies["slow"].after = 100s;
    replies["a"].status = ReportedStatus::failed;
    run_options.fail_fast = true;
    run(workflow_of({slow, step("a"), step("b", {"slow"})}));
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(result.error == "Step 'a': as scripted (and 1 more)");
    CHECK(of("slow").state == StepState::cancelled);
    CHECK(of("b").reason == "'a' has failed");
    CHECK(result.duration < 10s);
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "what a program said, what an agent claimed and what was seen stay apart")
{
    auto a = creating(step("a"), "made");
    auto b = step("b");
    b.needs = {"made"};
    run(workflow_of({a, b}));
    const auto json = to_json(of("a"));
    CHECK(of("a").state == StepState::failed);
    CHECK(json.at("claimed").at("status") == "completed");
    CHECK(json.at("verified").at("artifacts") == "none");
    CHECK(json.at("verified").at("missing").as_array().size() == 1);
    CHECK(json.at("exit").at("exit_code").is_null());
    CHECK(json.at("error_code") == "artifact_missing");
    CHECK(of("b").reason == "It requires 'made' of 'a', which failed");
}

TEST_CASE_FIXTURE(WorkflowFixture, "artifacts that need not be verified count as made")
{
    auto a = creating(step("a"), "made");
    a.require_artifacts = false;
    auto b = step("b");
    b.needs = {"made"};
    SUBCASE("and are there from before")
    {
        write_file(project / "made", "made");
        run(workflow_of({a, b}));
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(of("a").execution->missing_artifacts == Lines{"made"});
    }
    SUBCASE("and are not there")
    {
        run(workflow_of({a, b}));
        CHECK(of("a").state == StepState::completed);
        CHECK(of("b").state == StepState::failed);
        CHECK(of("b").code == "requirement_missing");
        CHECK(of("b").reason == "It requires 'made', which is not in its worktree " +
                                    project.path().string() + ". Its creator is 'a'");
    }
}

TEST_CASE_FIXTURE(WorkflowFixture, "nothing is carried from a worktree of a step's own")
{
    tree_at("x");
    auto a = creating(step("a"), "made");
    a.worktree = "x";
    replies["a"].creates = {"made"};
    auto b = step("b");
    b.needs = {"made"};
    run(workflow_of({a, b}));
    CHECK(of("a").state == StepState::completed);
    CHECK(of("b").code == "requirement_missing");
    CHECK(of("b").reason.ends_with("use 'depends_on'"));
}

TEST_CASE_FIXTURE(WorkflowFixture, "a gate sends back until it passes")
{
    auto review = with_gate(step("review", {"write"}), gate("review.round >= 3", to("write")));
    run(workflow_of({step("write"), review, step("close", {"review"})}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(story == Lines{"+write", "write completed", "+review", "review completed", "<review",
                         "+write", "write completed", "+review", "review completed", "<review",
                         "+write", "write completed", "+review", "review completed", "+close",
                         "close completed"});
    CHECK(of("write").round == 3);
    CHECK(of("review").gate_passed == true);
}

TEST_CASE_FIXTURE(WorkflowFixture, "a gate that never passes ends after its rounds")
{
    auto review = with_gate(step("review", {"write"}), gate("review.round > 9", to("write")));
    review.gate->max_rounds = 2;
    run(workflow_of({step("write"), review, step("close", {"review"})}));
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(result.error == "Step 'review': Its gate did not pass in 2 rounds: review.round > 9");
    CHECK(of("review").state == StepState::failed);
    CHECK(of("review").execution->status == ExecutionStatus::completed);
    CHECK(of("close").state == StepState::skipped);
    const auto folder = workflow::marker_folder(project.path(), result.run_id, "review");
    CHECK(std::filesystem::exists(folder / "FAILED.json"));
    CHECK_FALSE(std::filesystem::exists(folder / "DONE.json"));
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "scores are read from the step's results, and thresholds judged by them")
{
    auto review = with_gate(
        step("review"), gate("scoring.passed and coverage >= 70", {GateTarget::Kind::fail, {}}));
    review.results = "out/review.json";
    review.thresholds = {{"overall", 70.0}, {"security", 6.5}};
    replies["review"].creates = {"out/review.json"};
    const auto judged = [&](std::string_view text) {
        write_file(project / "out/review.json", text);
        results = 0;
        run(workflow_of({review}));
        return of("review").reason;
    };
    CHECK(judged(R"({"scoring": {"overall": 70, "security": 6.5}, "coverage": 71})").empty());
    CHECK(judged(R"({"scores": {"overall": 90.5}, "security": 8, "coverage": 70})").empty());
    CHECK(judged(R"({"overall": 90, "security": 6.4, "coverage": 71})").find("did not pass") !=
          std::string::npos);
    CHECK(judged(R"({"scoring": {"passed": false, "overall": 99, "security": 9}, "coverage": 71})")
              .find("did not pass") != std::string::npos);
    for (const auto* const bad :
         {"", "[]", "{\"overall\": 90}", R"({"overall": "90", "security": 9, "coverage": 71})",
          R"({"overall": 90, "security": 9})", R"({"overall": 90, "security": 9, "coverage": "x"})",
          R"({"scoring": {"passed": "yes"}, "overall": 90, "security": 9, "coverage": 71})"}) {
        CHECK_MESSAGE(judged(bad).starts_with("Its gate cannot be evaluated: "), bad);
        CHECK(of("review").state == StepState::failed);
    }
}

TEST_CASE_FIXTURE(WorkflowFixture, "results from before the step do not count")
{
    auto a = with_gate(step("a"), gate("ok", {GateTarget::Kind::fail, {}}));
    a.results = "r.json";
    a.require_artifacts = false;
    write_file(project / "r.json", R"({"ok": true})");
    run(workflow_of({a}));
    CHECK(of("a").reason == "Its gate cannot be evaluated: 'a' has not written a new 'r.json'");
}

TEST_CASE_FIXTURE(WorkflowFixture, "results are not read from outside of the worktree")
{
    TemporaryFolder outside;
    write_file(outside / "r.json", R"({"ok": true})");
    std::filesystem::create_directories(project / "out");
    std::filesystem::create_symlink(outside / "r.json", project / "out/r.json");
    auto a = with_gate(step("a"), gate("ok", {GateTarget::Kind::fail, {}}));
    a.results = "out/r.json";
    replies["a"].creates = {"out/r.json"};
    run(workflow_of({a}));
    CHECK(of("a").reason.starts_with("Its gate cannot be evaluated: 'out/r.json' cannot be read"));
}

TEST_CASE_FIXTURE(WorkflowFixture, "conditions ask for outcomes, parameters and artifacts")
{
    replies["a"].status = ReportedStatus::failed;
    auto a = step("a");
    a.continue_on_error = true;
    auto runs = step("runs");
    runs.condition = "a.outcome == 'failed' and params.mode == 'full' and exists('here')";
    auto rests = step("rests");
    rests.condition = "a.outcome == 'completed'";
    auto unknown = step("unknown");
    unknown.condition = "rests.exit_code == 0";
    auto w = workflow_of({a, runs, rests, unknown});
    w.params["mode"] = "quick";
    run_options.params["mode"] = "full";
    write_file(project / "here", "x");
    run(w);
    CHECK(of("runs").state == StepState::completed);
    CHECK(of("rests").state == StepState::skipped);
    CHECK(of("rests").reason == "Its condition does not hold");
    CHECK(of("unknown").state == StepState::failed);
    CHECK(of("unknown").reason ==
          "Its condition cannot be evaluated: the exit code of 'rests' is unknown");
}

TEST_CASE_FIXTURE(WorkflowFixture, "problems before a run prevent every start")
{
    auto a = step("a");
    a.needs = {"nowhere"};
    auto w = workflow_of({a, step("b", {"cc"})});
    run(w);
    CHECK(ec == errc::invalid_workflow);
    CHECK(result.error == "step 'b', depends_on[1]: There is no step 'cc'\n");
    w.steps.pop_back();
    w.params["needed"] = nullptr;
    w.params["flag"] = true;
    run_options.params["other"] = 1;
    run_options.params["flag"] = "yes";
    results = 0;
    run(w);
    CHECK(result.error ==
          "The workflow has no parameter 'other'.\n"
          "The parameter 'flag' must be true or false.\n"
          "The parameter 'needed' is required.\n");
    run_options.params = {{"needed", 1}};
    results = 0;
    run(w);
    CHECK(result.error.starts_with("Step 'a' requires 'nowhere', which no step creates"));
    CHECK_FALSE(std::filesystem::exists(project / ".tapps-agents"));
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "commands are built from agents and actions, or given with parameters in them")
{
    WorkflowStep built;
    built.id = "built";
    built.agent = "reviewer";
    built.action = "review_code";
    built.params = {{"file", "src/{params.what}"}};
    auto text = step("text", {"built"});
    text.argv.clear();
    text.command = "make {params.what}";
    auto words = step("words", {"text"});
    words.argv = {"echo", "{params.what}"};
    auto w = workflow_of({built, text, words});
    w.params["what"] = "a b";
    run(w);
    CHECK(commands == Lines{"@reviewer review --file 'src/a b'", "make a b", "echo 'a b'"});
}

TEST_CASE_FIXTURE(WorkflowFixture, "the closing step of the original runs nothing, and comes last")
{
    WorkflowStep close;
    close.id = "complete";
    close.agent = "orchestrator";
    close.action = "finalize";
    auto a = step("a");
    a.next = "complete";
    run(workflow_of({close, a}));
    CHECK(story == Lines{"+a", "a completed", "+complete", "complete completed"});
    CHECK_FALSE(of("complete").execution);
    CHECK(commands.size() == 1);
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a prompt that is asked for must be given, and a worktree must be there")
{
    auto a = step("a");
    a.argv = {"echo", "{params.prompt}"};
    auto b = step("b");
    b.worktree = "nowhere";
    run(workflow_of({a, b}));
    CHECK(ec == errc::invalid_workflow);
    CHECK(result.error == "Step 'a': The parameter 'prompt' is used, but was not given.\n");
    run_options.params["prompt"] = "hello";
    results = 0;
    run(workflow_of({a, b}));
    CHECK(result.error.starts_with("Step 'b': Its worktree"));
    CHECK(commands.empty());
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "an optional step that fails after the end of the workflow is no failure")
{
    tree_at("x");
    auto slow = step("slow");
    slow.worktree = "x";
    slow.need = StepNeed::optional;
    replies["slow"] = {9s, ReportedStatus::failed};
    auto a = with_gate(step("a"), gate("true", {GateTarget::Kind::fail, {}}));
    a.gate->on_pass = {GateTarget::Kind::end, {}};
    run(workflow_of({slow, a}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("slow").tolerated);
}

TEST_CASE_FIXTURE(WorkflowFixture, "one number limits the attempts of a step")
{
    replies["a"] = {1s, ReportedStatus::failed, true};
    auto a = step("a");
    engine_options.retry.max_attempts = 5;
    SUBCASE("the executor's, where the step says nothing")
    {
        run(workflow_of({a}));
        CHECK(of("a").execution->attempts == 5);
    }
    SUBCASE("the step's")
    {
        a.retry = RetryPolicy{2, 7s, 1.0, 7s};
        run(workflow_of({a}));
        CHECK(of("a").execution->attempts == 2);
        CHECK(of("a").duration == 5500ms);  // half of 7 s, by the jitter
    }
    SUBCASE("that of the run before all")
    {
        a.retry = RetryPolicy{2, 7s, 1.0, 7s};
        run_options.max_attempts = 3;
        run(workflow_of({a}));
        CHECK(of("a").execution->attempts == 3);
    }
}

TEST_CASE_FIXTURE(WorkflowFixture, "a step names the failures after which it is tried again")
{
    auto a = step("a");
    a.retry = RetryPolicy{2, 0s, 1.0, 0s, {"timeout"}};
    a.timeout = 10s;
    SUBCASE("such as a time-out, although it is not idempotent")
    {
        replies["a"].never = true;
        run(workflow_of({a}));
        CHECK(of("a").execution->attempts == 2);
        CHECK(of("a").state == StepState::timeout);
    }
    SUBCASE("and others are not, although their agent would have them tried again")
    {
        replies["a"] = {1s, ReportedStatus::failed, true};
        a.idempotent = true;
        run(workflow_of({a}));
        CHECK(of("a").execution->attempts == 1);
    }
    SUBCASE("or the workflow does")
    {
        replies["a"].never = true;
        replies["b"] = {1s, ReportedStatus::failed};
        auto w = workflow_of({a, step("b")});
        w.retry = RetryPolicy{3, 0s, 1.0, 0s, {"failed"}};
        run(w);
        CHECK(of("a").execution->attempts == 2);
        CHECK(of("b").execution->attempts == 3);
    }
    SUBCASE("by words that are known")
    {
        a.retry->on = {"time_out"};
        run(workflow_of({a}));
        CHECK(ec == errc::invalid_workflow);
        CHECK(
            result.error.starts_with("step 'a', retry.on[1]: 'time_out' is not a class of "
                                     "failures (Did you mean 'timeout'?"));
    }
}

TEST_CASE_FIXTURE(WorkflowFixture, "a workflow limits the retries of all its steps together")
{
    replies["a"] = {1s, ReportedStatus::failed, true};
    replies["b"] = {1s, ReportedStatus::failed, true};
    engine_options.retry.max_attempts = 3;
    auto w = workflow_of({step("a"), step("b")});
    SUBCASE("to a number")
    {
        w.max_retries = 3;
        run(w);
        CHECK(of("a").execution->attempts == 3);
        CHECK(of("b").execution->attempts == 2);
        CHECK(of("b").reason ==
              "as scripted. Not tried again. The workflow has used its 3 retries "
              "(settings.max_retries).");
        CHECK(of("b").execution->error->code == "scripted");
    }
    SUBCASE("to none")
    {
        w.max_retries = 0;
        run(w);
        CHECK(commands.size() == 2);
    }
    SUBCASE("or not")
    {
        run(w);
        CHECK(commands.size() == 6);
    }
}

TEST_CASE_FIXTURE(WorkflowFixture, "the agent of each step is determined before anything starts")
{
    options.assign = [](const WorkflowStep& s, CommandRequest& request) -> std::string {
        if (s.id == "b") return "Nobody does that.";
        request.agent = "somebody";
        return {};
    };
    run(workflow_of({step("a"), step("b")}));
    CHECK(ec == errc::invalid_workflow);
    CHECK(result.error == "Step 'b': Nobody does that.\n");
    CHECK(commands.empty());
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "an agent gets no more commands at once than it takes, over all runs")
{
    std::vector<WorkflowStep> steps;
    for (const auto* const name : {"t1", "t2", "t3"}) {
        tree_at(name);
        steps.push_back(step(name));
        steps.back().worktree = name;
        steps.back().agent = "shy";
    }
    tree_at("t4");
    auto other = step("t4");
    other.worktree = "t4";
    options.agent_limits["shy"] = 1;
    int at_work = 0;
    int max_at_work = 0;
    int done = 0;
    run_options.on_event = [&](const WorkflowEvent& event) {
        if (event.step_id.empty() || event.step_id == "t4") return;
        at_work += event.type == WorkflowEvent::Type::step_started ? 1 : -1;
        max_at_work = std::max(max_at_work, at_work);
    };
    make();
    for (auto& w : {workflow_of({steps[0], steps[1]}), workflow_of({steps[2], other})})
        executor->async_run(w, run_options, [&](error_code, WorkflowResult r) {
            done += r.status == WorkflowStatus::completed ? 1 : 0;
        });
    clock->run(ctx);
    CHECK(done == 2);
    CHECK(max_at_work == 1);
    CHECK(clock->elapsed() < 4s);  // nobody waits longer than for the one before
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a cancelled run stops its steps, skips the rest, and reports it")
{
    replies["a"].after = 1h;
    start(workflow_of({step("a"), step("b", {"a"})}));
    clock->run_until(ctx, 7s);
    cancel.emit(asio::cancellation_type::total);
    clock->run(ctx);
    CHECK(results == 1);
    CHECK_FALSE(ec);
    CHECK(result.status == WorkflowStatus::cancelled);
    CHECK(of("a").state == StepState::cancelled);
    CHECK(of("b").state == StepState::skipped);
    CHECK(result.duration < 20s);
    CHECK(journal().status == WorkflowStatus::cancelled);
}

TEST_CASE_FIXTURE(WorkflowFixture, "another process cancels a run by a file")
{
    replies["a"].after = 1h;
    std::string run_id;
    run_options.on_event = [&](const WorkflowEvent& event) { run_id = event.run_id; };
    start(workflow_of({step("a")}));
    clock->run_until(ctx, 7s);
    REQUIRE_FALSE(workflow::ask_to_cancel_run(project.path(), run_id));
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::cancelled);
}

TEST_CASE_FIXTURE(WorkflowFixture, "terminal cancellation waits for no agent")
{
    replies["a"].never = true;
    start(workflow_of({step("a")}));
    clock->run_until(ctx, 7s);
    cancel.emit(asio::cancellation_type::terminal);
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::cancelled);
    CHECK(result.duration < 8s);
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a run that is destroyed with its io_context leaves a journal that says so")
{
    std::string run_id;
    run_options.on_event = [&](const WorkflowEvent& event) { run_id = event.run_id; };
    {
        WorkflowFixture inner;
        inner.options.project_root = inner.engine_options.project_root = project.path();
        inner.run_options.on_event = run_options.on_event;
        inner.handoff->at(project.path().string());
        inner.start(workflow_of({step("a"), step("b", {"a"})}));
        inner.clock->run_until(inner.ctx, 7s);
    }
    std::string problem;
    const auto record = workflow::read_run(project.path(), run_id, problem);
    REQUIRE(record);
    CHECK(record->status == WorkflowStatus::running);
    CHECK_FALSE(record->alive);
    CHECK(record->steps[0].state == StepState::running);
}

TEST_CASE_FIXTURE(WorkflowFixture, "every transition is on disk before it is reported")
{
    auto review = with_gate(step("review", {"write"}), gate("review.round >= 2", to("write")));
    std::size_t told = 0;
    run_options.on_event = [&](const WorkflowEvent& event) {
        ++told;
        std::string problem;
        auto record = workflow::read_run(project.path(), event.run_id, problem);
        REQUIRE(record);
        std::erase_if(record->transitions, [](const auto& entry) {
            return std::holds_alternative<protocol::StepExecuted>(entry.transition);
        });
        CHECK(record->alive);
        CHECK(record->transitions.size() == told);
        CHECK(protocol::type_of(record->transitions.back().transition) == event.type);
    };
    run(workflow_of({step("write"), review, step("close", {"review"})}));
    CHECK(told == 15);
    const auto record = journal();
    CHECK_FALSE(record.alive);
    CHECK(record.status == WorkflowStatus::completed);
    for (const auto& s : record.steps) CHECK(s.state == StepState::completed);
}

TEST_CASE_FIXTURE(WorkflowFixture, "a journal that cannot be written ends the run")
{
    write_file(project / ".tapps-agents/workflow-state", "in the way");
    run(workflow_of({step("a")}));
    CHECK(ec);
    CHECK(commands.empty());
    CHECK(result.error.find("cannot be recorded") != std::string::npos);
}

TEST_CASE_FIXTURE(WorkflowFixture, "a journal that disappears during a run ends it as failed")
{
    std::string step_with_it;
    SUBCASE("while a step runs")
    {
        step_with_it = "a";
    }
    SUBCASE("before the last line")
    {
        step_with_it = "c";
    }
    run_options.on_event = [&](const WorkflowEvent& event) {
        if (event.type != WorkflowEvent::Type::step_started || event.step_id != step_with_it)
            return;
        std::filesystem::resize_file(
            project / (".tapps-agents/workflow-state/" + event.run_id + ".jsonl"), 0);
    };
    run(workflow_of({step("a"), step("b", {"a"}), step("c", {"b"})}));
    CHECK(ec == errc::journal_lost);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(result.error.find("was removed, replaced or truncated") != std::string::npos);
    CHECK(commands.size() == (step_with_it == "a" ? 1 : 3));
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a journal that is removed while its end is written fails the run")
{
    run_options.on_event = [&](const WorkflowEvent& event) {
        if (event.type == WorkflowEvent::Type::step_ended && event.step_id == "b")
            std::filesystem::remove_all(project / ".tapps-agents/workflow-state");
    };
    run(workflow_of({step("a"), step("b", {"a"})}));
    CHECK(ec == errc::journal_lost);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK_FALSE(result.error.empty());
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "markers say how steps ended, as scripts for the original read them")
{
    replies["b"].status = ReportedStatus::failed;
    run(workflow_of({step("a"), step("b"), step("c", {"b"})}));
    std::string problem;
    const auto a = workflow::find_marker(project.path(), result.run_id, "a", problem);
    REQUIRE(a);
    CHECK(a->done);
    CHECK(a->duration_seconds == 1.0);
    const auto b = workflow::find_marker(project.path(), result.run_id, "b", problem);
    REQUIRE(b);
    CHECK_FALSE(b->done);
    CHECK(b->error == "as scripted");
    CHECK(b->error_type == "scripted");
    CHECK_FALSE(workflow::find_marker(project.path(), result.run_id, "c", problem));
}

TEST_CASE_FIXTURE(WorkflowFixture, "an agent with long messages does not fill the journal")
{
    auto& tree = handoff->at(project.path().string());
    tree.on_publish = [&] {
        tree.take();
        tree.fail(std::string(1024 * 1024, 'x'));
    };
    run(workflow_of({step("a")}));
    const auto length = of("a").reason.size();
    CHECK(length > 10'000);
    CHECK(length < 20'000);
    CHECK(std::filesystem::file_size(project.path() / ".tapps-agents/workflow-state" /
                                     workflow::journal_name(result.run_id)) < 256 * 1024);
}

TEST_CASE_FIXTURE(WorkflowFixture, "a manual step waits for its marker")
{
    run_options.automatic = false;
    auto a = creating(step("a"), "made");
    auto b = step("b");
    b.needs = {"made"};
    auto& tree = handoff->at(project.path().string());
    tree.on_publish = nullptr;
    std::string run_id;
    const auto note_event = run_options.on_event;
    run_options.on_event = [&](const WorkflowEvent& event) {
        run_id = event.run_id;
        note_event(event);
    };
    const auto mark = [&](std::string id, bool done) {
        workflow::Marker marker;
        marker.workflow_id = run_id;
        marker.step_id = std::move(id);
        marker.done = done;
        marker.error = "no good";
        REQUIRE_FALSE(workflow::write_marker(project.path(), marker));
    };
    start(workflow_of({a, b}));
    clock->run_until(ctx, 100s);
    REQUIRE(tree.command);
    CHECK(tree.command->attempt_id.empty());
    CHECK_FALSE(tree.locked);
    tree.create("made");
    write_file(project / "made", "made");
    mark("a", true);
    clock->run_until(ctx, 101s);
    CHECK(tree.published.size() == 2);
    mark("b", false);
    clock->run(ctx);
    CHECK_FALSE(tree.command);
    CHECK(story == Lines{"+a", "?a", "a completed", "+b", "?b", "b failed"});
    CHECK(of("b").reason == "no good");
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a manual step that is said to be done must have made what others need")
{
    run_options.automatic = false;
    handoff->at(project.path().string()).on_publish = nullptr;
    auto b = step("b");
    b.needs = {"made"};
    std::string run_id;
    run_options.on_event = [&](const WorkflowEvent& event) { run_id = event.run_id; };
    start(workflow_of({creating(step("a"), "made"), b}));
    clock->run_until(ctx, 5s);
    workflow::Marker marker;
    marker.workflow_id = run_id;
    marker.step_id = "a";
    REQUIRE_FALSE(workflow::write_marker(project.path(), marker));
    clock->run(ctx);
    CHECK(of("a").state == StepState::failed);
    CHECK(of("a").reason == "It was marked as done, but these artifacts are missing: made");
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a manual step has the time that it says, or that a cancellation leaves")
{
    run_options.automatic = false;
    auto& tree = handoff->at(project.path().string());
    tree.on_publish = nullptr;
    auto a = step("a");
    a.timeout = 62s;
    SUBCASE("out of time")
    {
        run(workflow_of({a}));
        CHECK(of("a").state == StepState::timeout);
    }
    SUBCASE("cancelled")
    {
        start(workflow_of({a}));
        clock->run_until(ctx, 7s);
        cancel.emit(asio::cancellation_type::partial);
        clock->run(ctx);
        CHECK(of("a").state == StepState::cancelled);
        CHECK(result.status == WorkflowStatus::cancelled);
    }
    CHECK_FALSE(tree.command);
}

TEST_CASE_FIXTURE(WorkflowFixture,
                  "a run is an awaitable, too, and so is one command with the guide's arguments")
{
    make();
    auto one =
        asio::co_spawn(ctx, executor->run(workflow_of({step("a")}), run_options), asio::use_future);
    auto two = asio::co_spawn(
        ctx, executor->execute_and_wait("tester", "write_tests", "", "s", "w-1", "."),
        asio::use_future);
    clock->run(ctx);
    CHECK(one.get().status == WorkflowStatus::completed);
    const auto executed = two.get();
    CHECK(executed.status == ExecutionStatus::completed);
    CHECK(executed.command == "@tester test");
    CHECK(executed.workflow_id == "w-1");
    auto bad = asio::co_spawn(ctx, executor->run(workflow_of({step("a", {"b"})}), run_options),
                              asio::use_future);
    clock->run(ctx);
    CHECK_THROWS_WITH_AS(bad.get(), doctest::Contains("There is no step 'b'"), system_error);
}
