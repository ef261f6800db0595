#include "autoexec/workflow_executor.hpp"
#include "protocol/step_answer.hpp"
#include "records/decisions.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"
#include "support/workflows.hpp"
#include "workflow/journal/journal.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

/// What is there whatever becomes of engines: a project, its worktree, the time, and an agent.
struct World {
    World() { answer_in(project.path().string()); }

    void answer_in(const std::string& path)
    {
        auto& tree = handoff->at(path);
        tree.on_publish = [this, path] { answer(handoff->trees[path]); };
    }

    void answer(const std::shared_ptr<MemoryTree>& tree)
    {
        const auto command = tree->published.back();
        const auto id = command.step_id.value_or("");
        taken.push_back(id);
        tree->take();
        const bool fails = failing.contains(id) && failing[id]-- > 0;
        clock->at(clock->elapsed() + 3s, [this, tree, command, fails, life = agent_life] {
            const bool over = tree->published.back().attempt_id != command.attempt_id ||
                              tree->claims[command.attempt_id] != ClaimState::live;
            if (over || life != agent_life) return;
            if (fails)
                fail(*tree);
            else
                complete(*tree);
            notifier->notify(command.worktree_path);
        });
    }

    void complete(MemoryTree& tree)
    {
        if (!plans.empty() && tree.published.back().step_id == "plan") {
            write_file(project / "plan.json", plans[std::min(planned++, plans.size() - 1)]);
            tree.create("plan.json");
        }
        auto status = tree.status(ReportedStatus::completed);
        if (!output.empty()) status.output = output;
        tree.report(std::move(status));
    }

    void fail(MemoryTree& tree) const
    {
        auto status = tree.status(ReportedStatus::failed);
        status.error = CommandError{"as scripted", error_code, retryable, 0};
        if (!session.empty()) status.session = session;
        tree.report(std::move(status));
    }

    /// The agent dies: its locks are free, and it does nothing more.
    void kill_agent()
    {
        ++agent_life;
        for (auto& [path, tree] : handoff->trees)
            for (auto& [id, claim] : tree->claims)
                if (claim == ClaimState::live) claim = ClaimState::free;
    }

    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<MemoryHandoff> handoff = std::make_shared<MemoryHandoff>();
    std::shared_ptr<Notifier> notifier = local_notifier();
    std::map<std::string, int> failing;  ///< How often a step fails.
    std::string error_code;
    bool retryable = false;
    std::string output;
    Lines plans;  ///< What `plan` writes in its rounds.
    std::size_t planned = 0;
    std::string session;  ///< Of a program that fails.
    Lines taken;          ///< The steps whose commands an agent has taken.
    int agent_life = 0;
};

/// The newest run that is no child run; empty: none has begun.
std::string outermost_run(const World& world)
{
    std::string problem;
    for (const auto& id : workflow::list_runs(world.project.path()))
        if (const auto run = workflow::read_run(world.project.path(), id, problem);
            run && run->parent_run.empty())
            return id;
    return {};
}

/// An executor, from its start to its end, however that comes.
struct Life {
    explicit Life(World& w) : world(w)
    {
        ExecutorOptions o;
        o.project_root = w.project.path();
        o.clock = w.clock;
        o.handoff = w.handoff;
        o.notifier = w.notifier;
        o.enable_audit = false;
        o.adaptive_polling = false;
        o.start_timeout = 0s;
        MetricsOptions m;
        m.project_root = w.project.path();
        m.clock = w.clock;
        o.metrics = std::make_shared<ExecutionMetricsCollector>(ctx.get_executor(), m);
        o.tree_state = [](std::filesystem::path) -> asio::awaitable<std::string> {
            co_return std::string();
        };
        static const auto redactor = std::make_shared<const Redactor>();  // takes long to make
        o.redactor = redactor;
        engine.emplace(ctx.get_executor(), o);
        WorkflowExecutorOptions wo;
        wo.project_root = w.project.path();
        wo.clock = w.clock;
        wo.handoff = w.handoff;
        wo.metrics = o.metrics;
        wo.redactor = redactor;
        executor.emplace(*engine, wo);
    }

    auto handler()
    {
        return [this](error_code e, WorkflowResult r) {
            done = true;
            ec = e;
            result = std::move(r);
        };
    }
    void start(const Workflow& w) { executor->async_run(w, options, handler()); }
    void resume(const Workflow& w, WorkflowResumeOptions what = {})
    {
        const auto run = outermost_run(world);
        REQUIRE_FALSE(run.empty());
        executor->async_resume(run, w, std::move(what), options, handler());
    }
    std::size_t recover()
    {
        std::size_t found = 0;
        auto looking = [&]() -> asio::awaitable<void> {
            const auto attempts = co_await engine->recover();
            found = attempts.size();
        };
        asio::co_spawn(ctx, looking(), asio::detached);
        world.clock->run(ctx);
        return found;
    }
    void live()
    {
        world.clock->run(ctx);
        CHECK(done);
    }

    World& world;
    asio::io_context ctx{1};
    std::optional<BackgroundAgentAutoExecutor> engine;
    std::optional<WorkflowExecutor> executor;
    WorkflowRunOptions options;
    bool done = false;
    error_code ec;
    WorkflowResult result;
};

std::vector<workflow::StepRecord> steps_of(const World& world)
{
    std::string problem;
    const auto run = outermost_run(world);
    REQUIRE_FALSE(run.empty());
    auto record = workflow::read_run(world.project.path(), run, problem);
    REQUIRE_MESSAGE(record, problem);
    return std::move(record->steps);
}

// A gate that sends back once, a branch that is not taken, a step that is passed by.
Workflow example(bool idempotent)
{
    auto write = step("write");
    auto review = step("review", {"write"});
    review.gate = gate("review.round >= 2", to("write"));
    auto other = step("other");
    other.next = "close";
    other.gate = gate("true", to("mend"));
    auto mend = step("mend");
    mend.next = "close";
    auto rests = step("rests", {"write"});
    rests.condition = "write.outcome == 'failed'";
    auto close = step("close", {"review", "rests"});
    auto w = workflow_of({write, review, other, mend, rests, close});
    for (auto& s : w.steps) s.idempotent = idempotent;
    return w;
}

std::size_t count(const Lines& lines, std::string_view word)
{
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), word));
}

/// Kills an executor after each handler that it calls, and continues with the next one.
void kill_after_every_handler(bool agent_dies, bool idempotent)
{
    const auto w = example(idempotent);
    for (int n = 0;; ++n) {
        INFO("killed after handler ", n);
        World world;
        bool done = false;
        {
            Life first(world);
            first.start(w);
            for (int k = 0; k < n && !first.done; ++k) REQUIRE(world.clock->step(first.ctx));
            done = first.done;
        }
        if (done) {
            CHECK(n > 100);
            break;
        }
        if (agent_dies) world.kill_agent();
        if (workflow::list_runs(world.project.path()).empty()) continue;
        const auto before = steps_of(world);
        const auto taken_before = world.taken;
        if (before.empty()) continue;  // not even its first line
        Life second(world);
        second.resume(w);
        second.live();
        if (second.ec) {  // only its end was missing
            CHECK(second.result.error.find("nothing left to do") != std::string::npos);
            continue;
        }
        const bool by_the_rules = agent_dies && !idempotent;
        if (!by_the_rules) CHECK(second.result.status == WorkflowStatus::completed);
        if (by_the_rules && second.result.status == WorkflowStatus::failed) {
            CHECK(second.result.error.find("--from-failed") != std::string::npos);
            Life third(world);
            WorkflowResumeOptions what;
            what.from_failed = true;
            third.resume(w, what);
            third.live();
            CHECK(third.result.status == WorkflowStatus::completed);
        }
        for (const auto& [id, rounds] : std::map<std::string, std::size_t>{
                 {"write", 2}, {"review", 2}, {"other", 1}, {"close", 1}}) {
            // Run again, the gate's step is in its second round, and passes.
            CHECK(count(world.taken, id) >= (by_the_rules ? 1 : rounds));
            // Only what was in flight may have been taken once more.
            CHECK(count(world.taken, id) <= rounds + (agent_dies ? 1 : 0));
        }
        CHECK(count(world.taken, "mend") == 0);
        CHECK(count(world.taken, "rests") == 0);
        for (const auto& s : before)
            if (s.state == StepState::completed && s.id == "other")
                CHECK(count(world.taken, s.id) == count(taken_before, s.id));
        const auto after = steps_of(world);
        for (const auto& s : after)
            CHECK((s.state == StepState::skipped) == (s.id == "mend" || s.id == "rests"));
        // What was recorded is only tidied up.
        Life last(world);
        CHECK(last.recover() == 0);
        CHECK(records::list_running(world.project.path()).empty());
    }
}

// A person is asked between two steps.
Workflow asking()
{
    auto ask = step("ask", {"a"});
    ask.argv.clear();
    ask.manual.emplace();
    ask.manual->until = 24h;
    return workflow_of({step("a"), ask, step("b", {"ask"})});
}

void put_answer(const World& world, StepDecision decision)
{
    const auto steps = steps_of(world);
    const auto ask = std::ranges::find(steps, "ask", &workflow::StepRecord::id);
    REQUIRE(ask != steps.end());
    const protocol::StepAnswerFile file{ask->execution_id, {decision, "ada@host", {}, {}}};
    const auto ec = records::put_decision(world.project.path(),
                                          workflow::list_runs(world.project.path()).front(),
                                          ask->execution_id, protocol::format_step_answer(file));
    const bool is_answered = !ec || ec == boost::system::errc::file_exists;
    CHECK(is_answered);
}

/// Lets a person approve 2 s after each time that the run waits.
void approve_when_asked(World& world, Life& life)
{
    life.options.on_event = [&](const WorkflowEvent& event) {
        if (event.type != WorkflowEvent::Type::step_waiting) return;
        world.clock->at(world.clock->elapsed() + 2s,
                        [&] { put_answer(world, StepDecision::approved); });
    };
}

/// Calls `check` with the journal of the newest run cut after each line but the last. Returns how
/// often.
template <class Check>
std::size_t after_each_line(const World& world, Check check)
{
    const auto file = world.project / ".tapps-agents/workflow-state" /
                      workflow::journal_name(outermost_run(world));
    const auto whole = read_file(file);
    std::size_t cuts = 0;
    for (auto end = whole.find('\n') + 1; end < whole.size(); end = whole.find('\n', end) + 1) {
        const auto kept = whole.substr(0, end);
        INFO(kept.substr(kept.rfind('\n', kept.size() - 2) + 1));
        write_file(file, kept);
        check();
        ++cuts;
    }
    return cuts;
}

}  // namespace

TEST_SUITE_BEGIN("workflows that go on");

TEST_CASE("an approval waits over a restart, until the same time")
{
    World world;
    const auto w = asking();
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 100s);
    }
    const auto before = steps_of(world)[1];
    CHECK(before.state == StepState::waiting_manual);
    REQUIRE(before.wait);
    {
        Life life(world);
        life.resume(w);
        world.clock->run_until(life.ctx, 3h);
        CHECK_FALSE(life.done);
        CHECK(steps_of(world)[1].wait == before.wait);
        CHECK(steps_of(world)[1].execution_id == before.execution_id);
    }
    auto expected = StepState::completed;
    SUBCASE("and is answered while no executor runs")
    {
        put_answer(world, StepDecision::approved);
    }
    SUBCASE("and is rejected while no executor runs")
    {
        put_answer(world, StepDecision::rejected);
        expected = StepState::failed;
    }
    SUBCASE("and is answered after it, although its time was over meanwhile")
    {
        asio::io_context idle;
        world.clock->run_until(idle, 30h);
        put_answer(world, StepDecision::approved);
    }
    SUBCASE("and times out at once if its time was over meanwhile")
    {
        asio::io_context idle;
        world.clock->run_until(idle, 30h);
        expected = StepState::timeout;
    }
    Life life(world);
    life.resume(w);
    life.live();
    REQUIRE(life.result.steps.size() == 3);
    CHECK(life.result.steps[1].state == expected);
    CHECK((life.result.status == WorkflowStatus::completed) == (expected == StepState::completed));
    CHECK(world.taken == (expected == StepState::completed ? Lines{"a", "b"} : Lines{"a"}));
    CHECK_FALSE(std::filesystem::exists(world.project / ".tapps-agents/running/decisions"));
}

TEST_CASE("an answer is never lost, whenever its executor is killed")
{
    const auto w = asking();
    bool is_over = false;
    for (int n = 0; !is_over; ++n) {
        INFO("killed after handler ", n);
        World world;
        {
            Life first(world);
            approve_when_asked(world, first);
            first.start(w);
            for (int k = 0; k < n && !first.done; ++k) REQUIRE(world.clock->step(first.ctx));
            is_over = first.done;
        }
        if (is_over) CHECK(n > 50);
        if (is_over || workflow::list_runs(world.project.path()).empty()) continue;
        const auto before = steps_of(world);
        if (before.empty()) continue;
        if (before[1].state == StepState::waiting_manual) put_answer(world, StepDecision::approved);
        Life second(world);
        if (before[1].state != StepState::waiting_manual) approve_when_asked(world, second);
        second.resume(w);
        second.live();
        if (second.ec) {  // only its end was missing
            CHECK(second.result.error.find("nothing left to do") != std::string::npos);
            continue;
        }
        CHECK(second.result.status == WorkflowStatus::completed);
        CHECK(second.result.steps[1].answer->by == "ada@host");
        CHECK(world.taken == Lines{"a", "b"});
        CHECK_FALSE(std::filesystem::exists(world.project / ".tapps-agents/running/decisions"));
    }
}

TEST_CASE("a run with an approval is resumed from a journal that ends after any of its lines")
{
    const auto w = asking();
    World world;
    {
        Life life(world);
        approve_when_asked(world, life);
        life.start(w);
        life.live();
        REQUIRE(life.result.status == WorkflowStatus::completed);
    }
    const auto cuts = after_each_line(world, [&] {
        Life life(world);
        approve_when_asked(world, life);
        life.resume(w);
        life.live();
        CHECK_FALSE(life.ec);
        CHECK(life.result.status == WorkflowStatus::completed);
        CHECK(life.result.steps[1].answer->decision == StepDecision::approved);
    });
    CHECK(cuts > 8);
}

TEST_CASE("approvals for items wait over a restart, each on its own")
{
    World world;
    auto ask = step("ask");
    ask.argv.clear();
    ask.command = "{item}?";
    ask.manual.emplace();
    ask.for_each.emplace();
    ask.for_each->list = {"a", "b"};
    const auto w = workflow_of({ask, step("b", {"ask"})});
    const auto approve = [&world](std::size_t step) {
        const auto record = steps_of(world).at(step);
        REQUIRE(record.wait);
        const protocol::StepAnswerFile file{record.execution_id,
                                            {StepDecision::approved, "ada@host", {}, {}}};
        REQUIRE_FALSE(records::put_decision(world.project.path(),
                                            workflow::list_runs(world.project.path()).front(),
                                            file.execution_id, protocol::format_step_answer(file)));
    };
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 10s);
        approve(2);
        world.clock->run_until(life.ctx, 20s);
    }
    Life life(world);
    life.resume(w);
    world.clock->run_until(life.ctx, 30s);
    CHECK_FALSE(life.done);
    CHECK(steps_of(world).at(2).state == StepState::completed);
    CHECK(steps_of(world).at(3).wait->text == "b?");
    approve(3);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"b"});
}

TEST_CASE("a step that is run again continues its session")
{
    World world;
    world.failing["a"] = 1;
    world.session = "s-1";
    auto w = workflow_of({step("a"), step("b", {"a"})});
    WorkflowResumeOptions what;
    SUBCASE("on request")
    {
        what.from_failed = true;
    }
    SUBCASE("without one, if its budget had ended it")
    {
        world.error_code = "budget";
    }
    Life first(world);
    first.start(w);
    first.live();
    CHECK(first.result.status == WorkflowStatus::failed);
    Life second(world);
    second.resume(w, what);
    second.live();
    CHECK(second.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"a", "a", "b"});
    const auto& published = world.handoff->at(world.project.path().string()).published;
    REQUIRE(published.size() == 3);
    CHECK(published[0].session.empty());
    CHECK(published[1].session == "s-1");
    CHECK(published[1].failure == "as scripted");
    CHECK(published[2].session.empty());
}

TEST_CASE("a step whose agent was down is run when the run is resumed")
{
    World world;
    world.failing["a"] = 1;
    world.error_code = "agent_unavailable";
    const auto w = workflow_of({step("a"), step("b", {"a"})});
    Life first(world);
    first.start(w);
    first.live();
    CHECK(first.result.status == WorkflowStatus::failed);
    Life second(world);
    second.resume(w);
    second.live();
    CHECK(second.result.status == WorkflowStatus::completed);
}

TEST_CASE("a killed executor's retries count when the run is resumed")
{
    auto w = workflow_of({step("a")});
    w.steps[0].retry = RetryPolicy{100, 7s, 1.0, 7s};
    w.max_retries = 3;
    for (int n = 0;; n += 7) {
        INFO("killed after handler ", n);
        World world;
        world.failing["a"] = 1000;
        world.retryable = true;
        bool done = false;
        {
            Life first(world);
            first.start(w);
            for (int k = 0; k < n && !first.done; ++k) REQUIRE(world.clock->step(first.ctx));
            done = first.done;
        }
        if (done) {
            CHECK(world.taken.size() == 4);
            CHECK(n > 50);
            break;
        }
        if (workflow::list_runs(world.project.path()).empty() || steps_of(world).empty()) continue;
        Life second(world);
        second.resume(w);
        second.live();
        // A retry that was recorded, and not made, counts, too.
        CHECK(world.taken.size() <= 4);
        CHECK(world.taken.size() >= 3);
    }
}

TEST_CASE(
    "an executor that is killed after any handler is gone on from; its agent lives, and nothing "
    "runs "
    "twice")
{
    kill_after_every_handler(false, false);
}

TEST_CASE(
    "an executor that is killed with its agent is gone on from, where commands are idempotent")
{
    kill_after_every_handler(true, true);
}

TEST_CASE("steps in flight that are not idempotent run again only on request")
{
    kill_after_every_handler(true, false);
}

TEST_CASE("a step whose agent was lost runs again if its policy names that")
{
    World world;
    auto a = step("a");
    a.retry = RetryPolicy{2, 0s, 1.0, 0s, {"agent_lost"}};
    bool is_named = true;
    SUBCASE("although it is not idempotent") {}
    SUBCASE("and not otherwise, although it is idempotent")
    {
        a.idempotent = true;
        a.retry->on = {"timeout"};
        is_named = false;
    }
    const auto w = workflow_of({a});
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 1s);
    }
    REQUIRE(world.taken == Lines{"a"});
    world.kill_agent();
    Life life(world);
    life.resume(w);
    life.live();
    const auto& result = life.result.steps.front();
    CHECK(world.taken == (is_named ? Lines{"a", "a"} : Lines{"a"}));
    CHECK(result.state == (is_named ? StepState::completed : StepState::failed));
    if (!is_named)
        CHECK(result.reason.ends_with(
            "Its 'retry.on' lacks agent_lost: use --from-failed to run it again"));
}

TEST_CASE("a run is resumed from a journal that ends after any of its lines")
{
    const auto w = example(true);
    World world;
    {
        Life life(world);
        life.start(w);
        life.live();
        REQUIRE(life.result.status == WorkflowStatus::completed);
    }
    const auto cuts = after_each_line(world, [&] {
        Life life(world);
        life.resume(w);
        life.live();
        CHECK_FALSE(life.ec);
        CHECK(life.result.status == WorkflowStatus::completed);
        for (const auto& s : life.result.steps)
            CHECK((s.state == StepState::skipped) == (s.id == "mend" || s.id == "rests"));
    });
    CHECK(cuts > 20);
}

// Each item is written and reviewed by a workflow, whose gate sends back once.
Workflow with_child_runs(bool idempotent = true)
{
    auto review = step("review", {"code"});
    review.gate = gate("review.round >= 2", to("code"));
    auto task = workflow_of({step("code"), review});
    task.id = "task";
    for (auto& s : task.steps) s.idempotent = idempotent;
    WorkflowStep each;
    each.id = "do";
    each.uses = "task.yaml";
    each.used = std::make_shared<const Workflow>(std::move(task));
    each.depends_on = {"first"};
    each.for_each.emplace();
    each.for_each->list = {"x", "y"};
    auto w = workflow_of({step("first"), each, step("last", {"do"})});
    for (auto* const s : {&w.steps[0], &w.steps[2]}) s->idempotent = true;
    return w;
}

TEST_CASE("a run with child runs is resumed wherever it was killed, and nothing runs twice")
{
    const auto w = with_child_runs();
    bool is_over = false;
    for (int n = 0; !is_over; ++n) {
        INFO("killed after handler ", n);
        World world;
        {
            Life first(world);
            first.start(w);
            for (int k = 0; k < n && !first.done; ++k) REQUIRE(world.clock->step(first.ctx));
            is_over = first.done;
        }
        if (is_over) CHECK(n > 150);
        if (is_over || outermost_run(world).empty() || steps_of(world).empty()) continue;
        Life second(world);
        second.resume(w);
        second.live();
        const bool only_its_end =
            second.result.error.find("nothing left to do") != std::string::npos;
        if (!only_its_end)
            CHECK_MESSAGE(second.result.status == WorkflowStatus::completed, second.result.error);
        for (const auto& [id, rounds] : std::map<std::string, std::size_t>{
                 {"first", 1}, {"code", 4}, {"review", 4}, {"last", 1}})
            CHECK(count(world.taken, id) == rounds);
        // No child run is left without its step.
        std::set<std::string> named;
        for (const auto& s : steps_of(world)) named.insert(s.child_run);
        for (const auto& id : workflow::list_runs(world.project.path())) {
            std::string problem;
            const auto run = workflow::read_run(world.project.path(), id, problem);
            REQUIRE(run);
            if (!run->transitions.empty() && !run->parent_run.empty()) CHECK(named.contains(id));
        }
    }
}

TEST_CASE("a run with child runs is resumed from a journal that ends after any of its lines")
{
    const auto w = with_child_runs();
    World world;
    {
        Life life(world);
        life.start(w);
        life.live();
        REQUIRE(life.result.status == WorkflowStatus::completed);
    }
    const auto before = world.taken.size();
    std::size_t taken = before;
    const auto cuts = after_each_line(world, [&] {
        Life life(world);
        life.resume(w);
        life.live();
        CHECK_FALSE(life.ec);
        CHECK(life.result.status == WorkflowStatus::completed);
        // Never more than what a whole run takes.
        CHECK(world.taken.size() - taken <= before);
        taken = world.taken.size();
    });
    CHECK(cuts > 10);
}

TEST_CASE("what a cancellation has ended in a child run is resumed, and nothing else runs again")
{
    World world;
    const auto w = with_child_runs();
    asio::cancellation_signal cancel;
    {
        Life life(world);
        life.executor->async_run(w, life.options,
                                 asio::bind_cancellation_slot(cancel.slot(), life.handler()));
        world.clock->at(8s, [&] { cancel.emit(asio::cancellation_type::partial); });
        life.live();
        CHECK(life.result.status == WorkflowStatus::cancelled);
    }
    CHECK(world.taken == Lines{"first", "code", "review"});
    Life life(world);
    life.resume(w);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    // The review that was in flight runs again, in its second round, and passes.
    CHECK(count(world.taken, "code") == 3);
    CHECK(count(world.taken, "review") == 4);
    CHECK(workflow::list_runs(world.project.path()).size() == 3);
}

TEST_CASE("a child run is resumed also if an earlier resumption of its parent run started nothing")
{
    World world;
    auto w = with_child_runs(false);
    w.steps[1].for_each->list = {"x"};
    world.failing["review"] = 1;
    {
        Life life(world);
        life.start(w);
        life.live();
        CHECK(life.result.status == WorkflowStatus::failed);
    }
    WorkflowResumeOptions what;
    what.from_failed = true;
    {
        Life life(world);
        life.options.refuse_start = [] { return std::string("The limit is reached"); };
        life.resume(w, what);
        life.live();
        CHECK(life.result.error == "The limit is reached");
    }
    Life life(world);
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"first", "code", "review", "review", "last"});
    CHECK(workflow::list_runs(world.project.path()).size() == 2);
}

TEST_CASE("a journal cannot make the run of another step a child run")
{
    World world;
    auto w = with_child_runs();
    w.steps[1].for_each->list = {"x"};
    const auto child = [&world] {
        for (const auto& s : steps_of(world))
            if (s.id == "do.1") return s.child_run;
        return std::string();
    };
    {
        Life life(world);
        life.start(w);
        life.live();
    }
    const auto other = child();
    REQUIRE_FALSE(other.empty());
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, world.clock->elapsed() + 5s);
    }
    const auto own = child();
    REQUIRE_FALSE(own.empty());
    REQUIRE(own != other);
    const auto file = world.project / ".tapps-agents/workflow-state" /
                      workflow::journal_name(outermost_run(world));
    auto text = read_file(file);
    for (auto at = text.find(own); at != text.npos; at = text.find(own))
        text.replace(at, own.size(), other);
    write_file(file, text);
    const auto journal_of_other =
        world.project / ".tapps-agents/workflow-state" / workflow::journal_name(other);
    const auto before = read_file(journal_of_other);
    {
        Life life(world);
        life.resume(w);
        life.live();
        CHECK(life.result.status == WorkflowStatus::failed);
        CHECK(life.result.error.find("is not one of this step") != std::string::npos);
    }
    WorkflowResumeOptions what;
    what.from_failed = true;
    Life life(world);
    world.kill_agent();  // that of the run that was killed
    life.resume(w, what);
    life.live();
    CHECK_MESSAGE(life.result.status == WorkflowStatus::completed, life.result.error);
    CHECK(child() != other);
    CHECK(read_file(journal_of_other) == before);
}

TEST_CASE("a child run that has failed is resumed on request")
{
    World world;
    const auto w = with_child_runs(false);
    world.failing["review"] = 1;
    {
        Life life(world);
        life.start(w);
        life.live();
        CHECK(life.result.status == WorkflowStatus::failed);
    }
    Life plain(world);
    plain.resume(w);
    plain.live();
    CHECK(plain.result.error.find("To run again what failed: --from-failed") != std::string::npos);
    Life life(world);
    WorkflowResumeOptions what;
    what.from_failed = true;
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    // The review runs again, in its second round, and passes.
    CHECK(count(world.taken, "code") == 3);
    CHECK(count(world.taken, "review") == 4);
    CHECK(workflow::list_runs(world.project.path()).size() == 3);
}

TEST_CASE("a cancellation reaches a step that was adopted")
{
    World world;
    const auto w = workflow_of({step("a"), step("b", {"a"})});
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 1s);
    }
    ++world.agent_life;  // it says nothing more
    Life life(world);
    const auto runs = workflow::list_runs(world.project.path());
    asio::cancellation_signal cancel;
    life.executor->async_resume(runs.front(), w, {}, life.options,
                                asio::bind_cancellation_slot(cancel.slot(), life.handler()));
    world.clock->run_until(life.ctx, 5s);
    REQUIRE_FALSE(life.done);
    cancel.emit(asio::cancellation_type::partial);
    world.clock->run(life.ctx);
    CHECK(life.result.status == WorkflowStatus::cancelled);
    CHECK(life.result.steps.front().state == StepState::cancelled);
    CHECK(world.clock->elapsed() < 60s);
    CHECK(world.taken == Lines{"a"});
}

TEST_CASE("a step whose attempt cannot be adopted fails with the reason")
{
    World world;
    const auto w = workflow_of({step("a")});
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 1s);
    }
    world.handoff->at(world.project.path().string()).lock_error = errc::unsafe_path;
    Life life(world);
    life.resume(w);
    life.live();
    const auto& a = life.result.steps.front();
    CHECK(a.state == StepState::failed);
    CHECK(a.code == "interrupted");
    CHECK(a.reason.starts_with("The attempt in flight cannot be adopted: "));
    CHECK(a.reason.find('[') == std::string::npos);  // no error code for a person
}

TEST_CASE("failed steps run again on request, completed steps do not")
{
    World world;
    world.failing["b"] = 1;
    const auto w = workflow_of({step("a"), step("b", {"a"}), step("c", {"b"})});
    {
        Life life(world);
        life.start(w);
        life.live();
        CHECK(life.result.status == WorkflowStatus::failed);
    }
    {
        Life life(world);
        life.resume(w);
        life.live();
        CHECK(life.ec == errc::invalid_workflow);
        CHECK(life.result.error.find("--from-failed") != std::string::npos);
    }
    Life life(world);
    WorkflowResumeOptions what;
    what.from_failed = true;
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"a", "b", "b", "c"});
}

TEST_CASE("a step that is named is run again, with all that depends on it")
{
    World world;
    const auto w = workflow_of({step("a"), step("b", {"a"}), step("c", {"b"}), step("d", {"a"})});
    {
        Life life(world);
        life.start(w);
        life.live();
    }
    world.taken.clear();
    Life life(world);
    WorkflowResumeOptions what;
    what.from = {"b"};
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"b", "c"});
}

TEST_CASE("a cancelled run is resumed where it stopped")
{
    World world;
    const auto w = workflow_of({step("a"), step("b", {"a"}), step("c", {"b"})});
    {
        Life life(world);
        asio::cancellation_signal cancel;
        life.executor->async_run(w, life.options,
                                 asio::bind_cancellation_slot(cancel.slot(), life.handler()));
        world.clock->run_until(life.ctx, 4s);
        cancel.emit(asio::cancellation_type::terminal);
        world.clock->run(life.ctx);
        CHECK(life.result.status == WorkflowStatus::cancelled);
    }
    world.kill_agent();
    Life life(world);
    life.resume(w);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(count(world.taken, "a") == 1);
    CHECK(count(world.taken, "c") == 1);
}

TEST_CASE("a resumed step is verified against what was there before its first attempt")
{
    World world;
    auto& tree = world.handoff->at(world.project.path().string());
    auto a = step("a");
    a.creates = {"report"};
    a.require_artifacts = true;
    const auto w = workflow_of({a});
    bool makes = false;
    SUBCASE("it has made its artifact by then")
    {
        makes = true;
    }
    SUBCASE("it has made nothing, and the artifact is from before")
    {
        tree.create("report");
    }
    {
        Life life(world);
        asio::cancellation_signal cancel;
        life.executor->async_run(w, life.options,
                                 asio::bind_cancellation_slot(cancel.slot(), life.handler()));
        world.clock->run_until(life.ctx, 1s);
        if (makes) tree.create("report");
        cancel.emit(asio::cancellation_type::terminal);
        world.clock->run(life.ctx);
        CHECK(life.result.status == WorkflowStatus::cancelled);
    }
    world.kill_agent();
    Life life(world);
    life.resume(w);
    life.live();
    CHECK(count(world.taken, "a") == 2);
    const auto& step = life.result.steps.front();
    CHECK(step.state == (makes ? StepState::completed : StepState::failed));
    CHECK(step.execution->verified == (makes ? Verification::all : Verification::none));
}

TEST_CASE("work from before another step has worked in the same tree does not count any more")
{
    World world;
    auto& tree = world.handoff->at(world.project.path().string());
    auto a = step("a");
    a.creates = {"report"};
    a.require_artifacts = true;
    const auto w = workflow_of({a, step("b")});
    world.failing["a"] = 1;
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 1s);
        tree.create("report");
        life.live();
        CHECK(life.result.status == WorkflowStatus::failed);
    }
    Life life(world);
    WorkflowResumeOptions what;
    what.from_failed = true;
    life.resume(w, what);
    life.live();
    CHECK(world.taken == Lines{"a", "b", "a"});
    CHECK(life.result.steps.front().execution->error->code == "artifact_missing");
}

TEST_CASE("a run of a changed workflow is resumed only if the change is accepted")
{
    World world;
    world.failing["b"] = 1;
    auto w = workflow_of({step("a"), step("b", {"a"})});
    w.hash = "one";
    {
        Life life(world);
        life.start(w);
        life.live();
    }
    w.hash = "two";
    w.steps.push_back(step("c", {"b"}));
    WorkflowResumeOptions what;
    what.from_failed = true;
    {
        Life life(world);
        life.resume(w, what);
        life.live();
        CHECK(life.ec == errc::invalid_workflow);
        CHECK(life.result.error.find("--accept-changed") != std::string::npos);
    }
    what.accept_changed = true;
    Life life(world);
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"a", "b", "b", "c"});
}

TEST_CASE("parameters are kept, but for secrets, which must be given again")
{
    World world;
    world.failing["a"] = 1;
    auto w = workflow_of({step("a")});
    w.params["mode"] = "quick";
    w.params["key"] = nullptr;
    w.params["hosts"] = boost::json::array{};
    const std::string secret = "ghp_" + std::string(36, 'a');
    const boost::json::array hosts{boost::json::object{{"token", secret}}};
    {
        Life life(world);
        life.options.params = {{"mode", "full"}, {"key", secret}};
        life.options.params["hosts"] = hosts;
        life.start(w);
        life.live();
    }
    const auto runs = workflow::list_runs(world.project.path());
    const auto text =
        read_file(world.project / (".tapps-agents/workflow-state/" + runs.front() + ".jsonl"));
    CHECK(text.find(secret) == std::string::npos);
    WorkflowResumeOptions what;
    what.from_failed = true;
    {
        Life life(world);
        life.resume(w, what);
        life.live();
        CHECK(life.result.error.find("'key' contains a secret") != std::string::npos);
        CHECK(life.result.error.find("'hosts' contains a secret") != std::string::npos);
    }
    Life life(world);
    life.options.params["key"] = secret;
    life.options.params["hosts"] = hosts;
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
}

TEST_CASE("a run with a step for each item is resumed wherever its executor was killed")
{
    auto plan = step("plan");
    plan.results = "plan.json";
    auto fix = step("fix");
    fix.argv = {"do", "{item}"};
    fix.for_each.emplace().source = "plan.results.tasks";
    auto review = step("review", {"fix"});
    review.gate = gate("review.round >= 2", to("plan"));
    const auto w = workflow_of({plan, fix, review, step("close", {"review"})});
    for (int n = 0;; ++n) {
        INFO("killed after handler ", n);
        World world;
        world.plans = {R"({"tasks": ["a", "b"]})", R"({"tasks": ["c", "d", "e"]})"};
        bool done = false;
        {
            Life first(world);
            first.start(w);
            for (int k = 0; k < n && !first.done; ++k) REQUIRE(world.clock->step(first.ctx));
            done = first.done;
        }
        if (done) {
            CHECK(n > 100);
            break;
        }
        if (workflow::list_runs(world.project.path()).empty() || steps_of(world).empty()) continue;
        Life second(world);
        second.resume(w);
        second.live();
        if (second.ec) {  // only its end was missing
            CHECK(second.result.error.find("nothing left to do") != std::string::npos);
            continue;
        }
        CHECK(second.result.status == WorkflowStatus::completed);
        Lines ids;
        for (const auto& one : second.result.steps) ids.push_back(one.id);
        CHECK(ids == Lines{"plan", "fix", "fix.1", "fix.2", "fix.3", "review", "close"});
        for (const auto& [id, rounds] : std::map<std::string, std::size_t>{
                 {"plan", 2}, {"fix", 0}, {"fix.1", 2}, {"fix.2", 2}, {"fix.3", 1}, {"close", 1}})
            CHECK(count(world.taken, id) == rounds);
        Lines words;
        for (const auto& file : world.handoff->at(world.project.path().string()).published)
            if (file.argv.size() > 1 && std::ranges::count(words, file.argv[1]) == 0)
                words.push_back(file.argv[1]);
        CHECK(words == Lines{"a", "b", "c", "d", "e"});
    }
}

TEST_CASE("a step in flight is adopted although a value of its command is missing by now")
{
    World world;
    world.plans = {R"({"x": 1})"};
    auto plan = step("plan");
    plan.results = "plan.json";
    auto use = step("use");
    use.argv = {"use", "{steps.plan.results.x}"};
    const auto w = workflow_of({plan, use});
    {
        Life life(world);
        life.start(w);
        world.clock->run_until(life.ctx, 5s);
    }
    REQUIRE(world.taken == Lines{"plan", "use"});
    std::filesystem::remove(world.project / "plan.json");
    Life life(world);
    life.resume(w);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"plan", "use"});
}

TEST_CASE("variables are kept, and so is the output of a step that another one uses")
{
    World world;
    world.failing["b"] = 1;
    world.output = "made it\n";
    auto b = step("b");
    b.argv = {"show", "{steps.a.output}"};
    const auto w = workflow_of({step("a"), b});
    {
        Life life(world);
        life.options.env = {{"MODE", "full"}};
        life.start(w);
        life.live();
    }
    WorkflowResumeOptions what;
    what.from_failed = true;
    Life life(world);
    life.resume(w, what);
    life.live();
    CHECK(life.result.status == WorkflowStatus::completed);
    CHECK(world.taken == Lines{"a", "b", "b"});
    const auto& file = world.handoff->at(world.project.path().string()).published.back();
    CHECK(file.argv == Lines{"show", "made it"});
    CHECK(file.env.at("MODE") == "full");
}

TEST_CASE("a run whose executor lives is left to it, and one that has completed is over")
{
    World world;
    const auto w = workflow_of({step("a")});
    Life first(world);
    first.start(w);
    world.clock->run_until(first.ctx, 1s);
    {
        Life second(world);
        second.resume(w);
        second.ctx.restart();
        second.ctx.poll();
        CHECK(second.done);
        CHECK(second.result.error.find("its executor is alive") != std::string::npos);
    }
    first.live();
    Life third(world);
    third.resume(w);
    third.live();
    CHECK(third.result.error.find("nothing left to do") != std::string::npos);
}

TEST_SUITE_END();
