#include "autoexec/audit_logger.hpp"
#include "protocol/step_answer.hpp"
#include "records/decisions.hpp"
#include "records/running.hpp"
#include "support/workflow_fixture.hpp"
#include "workflow/journal/markers.hpp"

#include <boost/json/value_to.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <algorithm>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// Runs in which a person is asked, and may answer.
struct ManualFixture : WorkflowFixture {
    static WorkflowStep manual_step(std::string id, std::vector<std::string> depends_on = {})
    {
        auto s = step(std::move(id), std::move(depends_on));
        s.command = "May it be released?";
        s.argv.clear();
        s.manual.emplace();
        return s;
    }

    /// As of the run in progress.
    [[nodiscard]] workflow::StepRecord record_of(const std::string& id) const
    {
        std::string problem;
        const auto run = workflow::read_run(project.path(), run_id(), problem);
        REQUIRE_MESSAGE(run, problem);
        const auto found = std::ranges::find(run->steps, id, &workflow::StepRecord::id);
        REQUIRE(found != run->steps.end());
        return *found;
    }

    [[nodiscard]] std::string run_id() const
    {
        const auto runs = workflow::list_runs(project.path());
        REQUIRE(runs.size() == 1);
        return runs.front();
    }

    void put_answer(const std::string& id, StepDecision decision, const std::string& reason = {})
    {
        const auto name = record_of(id).execution_id;
        const protocol::StepAnswerFile file{name, {decision, "ada@host", reason, {}}};
        REQUIRE_FALSE(records::put_decision(project.path(), run_id(), name,
                                            protocol::format_step_answer(file)));
    }

    [[nodiscard]] fs::path answers() const { return project / ".tapps-agents/running/decisions"; }
};

std::string detail(const Event& event, std::string_view key)
{
    return boost::json::value_to<std::string>(event.details.at(key));
}

/// Keeps what it gets.
struct EventList : EventSink {
    void publish(const Event& event) override { events.push_back(event); }
    asio::awaitable<error_code> flush() override { co_return error_code(); }

    std::vector<Event> events;
};

}  // namespace

TEST_CASE_FIXTURE(ManualFixture, "a manual step waits without a place, and others run meanwhile")
{
    run_options.max_parallel = 1;
    auto ask = manual_step("ask");
    ask.agent = "many";
    options.agent_limits["many"] = 1;
    auto other = step("other");
    other.agent = "many";
    ask.manual->by = "Ada";
    start(workflow_of({ask, other, step("later", {"ask"})}));
    clock->run_until(ctx, 1000s);
    CHECK(story == Lines{"+ask", "?ask", "+other", "other completed"});
    CHECK(commands.size() == 1);  // nothing was published for the person
    CHECK(record_of("ask").state == StepState::waiting_manual);
    CHECK(record_of("ask").wait == ManualWait{"May it be released?", "Ada", {}, true});
    put_answer("ask", StepDecision::approved, "it works");
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("ask").answer == StepAnswer{StepDecision::approved, "ada@host", "it works", {}});
    CHECK_FALSE(of("ask").execution);
    CHECK(of("later").state == StepState::completed);
    CHECK_FALSE(fs::exists(answers()));
    const auto record = journal();
    CHECK(record.steps[0].answer == of("ask").answer);
    CHECK_FALSE(record.steps[0].wait);
}

TEST_CASE_FIXTURE(ManualFixture, "a decision leaves a shared worktree to others, work does not")
{
    auto ask = manual_step("ask");
    bool waits = false;
    SUBCASE("decision") {}
    SUBCASE("work")
    {
        ask.creates = {"made"};
        ask.require_artifacts = false;
        waits = true;
    }
    start(workflow_of({ask, step("other")}));
    clock->run_until(ctx, 100s);
    CHECK(record_of("other").state == (waits ? StepState::pending : StepState::completed));
    CHECK(record_of("ask").wait->is_approval != waits);
    put_answer("ask", StepDecision::done);
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::completed);
}

TEST_CASE_FIXTURE(ManualFixture, "a rejection fails the step, with who and why")
{
    start(workflow_of({manual_step("ask"), step("later", {"ask"})}));
    clock->run_until(ctx, 1s);
    put_answer("ask", StepDecision::rejected, "not on a Friday");
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(of("ask").reason == "It was rejected by ada@host: not on a Friday");
    CHECK(of("later").state == StepState::skipped);
}

TEST_CASE_FIXTURE(ManualFixture, "a gate sends a rejection back, until its rounds are over")
{
    auto ask = manual_step("ask", {"code"});
    ask.gate = gate("", to("code"));
    ask.gate->max_rounds = 2;
    auto code = step("code");
    code.argv = {"code", "{gate.feedback}"};
    start(workflow_of({code, ask}));
    clock->run_until(ctx, 10s);
    put_answer("ask", StepDecision::rejected, "no tests: {run.id}\n");
    clock->run_until(ctx, 20s);
    const auto& published = tree_at("").published;
    REQUIRE(published.size() == 2);
    CHECK(published[0].argv == Lines{"code", ""});
    CHECK_FALSE(published[0].env.contains("AUTOEXEC_FEEDBACK"));
    CHECK(published[1].argv == Lines{"code", "no tests: {run.id}"});
    CHECK(published[1].env.at("AUTOEXEC_FEEDBACK") == "no tests: {run.id}");
    CHECK(record_of("ask").round == 2);
    CHECK(record_of("ask").state == StepState::waiting_manual);
    SUBCASE("approved then")
    {
        put_answer("ask", StepDecision::approved);
        clock->run(ctx);
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(of("ask").gate_passed == true);
    }
    SUBCASE("rejected again")
    {
        put_answer("ask", StepDecision::rejected, "still none");
        clock->run(ctx);
        CHECK(of("ask").state == StepState::failed);
        CHECK(of("ask").reason == "It was rejected by ada@host: still none");
    }
    SUBCASE("failed, which is no answer to the gate")
    {
        put_answer("ask", StepDecision::failed);
        clock->run(ctx);
        CHECK(of("ask").reason == "It was marked as failed by ada@host");
        CHECK_FALSE(of("ask").gate_passed);
    }
    CHECK(std::ranges::count(story, "+code") == 2);
}

TEST_CASE_FIXTURE(ManualFixture, "the reason of an answer is the output of its step")
{
    auto use = step("use");
    use.argv = {"use", "{steps.ask.output}"};
    start(workflow_of({manual_step("ask"), use}));
    clock->run_until(ctx, 1s);
    put_answer("ask", StepDecision::approved, "in blue");
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(tree_at("").published.back().argv == Lines{"use", "in blue"});
}

TEST_CASE_FIXTURE(ManualFixture, "a rejection fails the step after a gate has ended the run, too")
{
    auto check = step("check", {"code"});
    check.gate = gate("", {GateTarget::Kind::fail, {}});
    check.gate->on_pass = {GateTarget::Kind::end, {}};
    auto ask = manual_step("ask", {"code"});
    ask.gate = gate("", to("code"));
    start(workflow_of({step("code"), check, ask}));
    clock->run_until(ctx, 10s);
    CHECK(record_of("check").state == StepState::completed);
    CHECK(record_of("ask").state == StepState::waiting_manual);
    bool is_accepted = false;
    SUBCASE("rejected")
    {
        put_answer("ask", StepDecision::rejected, "no tests");
    }
    SUBCASE("approved")
    {
        is_accepted = true;
        put_answer("ask", StepDecision::approved);
    }
    clock->run(ctx);
    CHECK((result.status == WorkflowStatus::completed) == is_accepted);
    CHECK(of("ask").state == (is_accepted ? StepState::completed : StepState::failed));
    if (!is_accepted) CHECK(of("ask").reason == "It was rejected by ada@host: no tests");
    CHECK(std::ranges::count(story, "+code") == 1);
}

TEST_CASE_FIXTURE(ManualFixture, "at its deadline a manual step times out, or counts as approved")
{
    auto ask = manual_step("ask");
    ask.manual->until = 60s;
    SUBCASE("times out")
    {
        run(workflow_of({ask}));
        CHECK(of("ask").state == StepState::timeout);
        CHECK(of("ask").reason.starts_with("It was not answered until "));
        CHECK_FALSE(of("ask").answer);
    }
    SUBCASE("counts as approved")
    {
        ask.manual->approved_at_deadline = true;
        run(workflow_of({ask}));
        CHECK(of("ask").state == StepState::completed);
        REQUIRE(of("ask").answer);
        CHECK(of("ask").answer->decision == StepDecision::approved);
        CHECK(of("ask").answer->by.empty());
    }
    CHECK(of("ask").duration >= 60s);
    CHECK(of("ask").duration < 62s);
}

TEST_CASE_FIXTURE(ManualFixture, "work that others require must be there when it is done")
{
    auto make = manual_step("make");
    make.creates = {"made"};
    auto use = step("use");
    use.needs = {"made"};
    start(workflow_of({make, use}));
    clock->run_until(ctx, 1s);
    bool is_there = false;
    SUBCASE("it is")
    {
        is_there = true;
        handoff->at(project.path().string()).create("made");
        write_file(project / "made", "made");
    }
    SUBCASE("it is not") {}
    put_answer("make", StepDecision::done);
    clock->run(ctx);
    CHECK((of("make").state == StepState::completed) == is_there);
    if (!is_there)
        CHECK(of("make").reason == "It was marked as done, but these artifacts are missing: made");
}

TEST_CASE_FIXTURE(ManualFixture, "what is not an answer of this round is ignored and removed")
{
    start(workflow_of({manual_step("ask")}));
    clock->run_until(ctx, 1s);
    const auto name = record_of("ask").execution_id;
    const auto path = answers() / run_id() / name;
    protocol::StepAnswerFile file{name, {StepDecision::approved, "eve", {}, {}}};
    SUBCASE("damaged")
    {
        auto text = protocol::format_step_answer(file);
        text.pop_back();
        text.pop_back();
        REQUIRE_FALSE(records::put_decision(project.path(), run_id(), name, text));
    }
    SUBCASE("empty")
    {
        REQUIRE_FALSE(records::put_decision(project.path(), run_id(), name, ""));
    }
    SUBCASE("of another round")
    {
        file.execution_id = "another";
        REQUIRE_FALSE(records::put_decision(project.path(), run_id(), name,
                                            protocol::format_step_answer(file)));
    }
    SUBCASE("readable for others, as git makes files")
    {
        REQUIRE_FALSE(records::put_decision(project.path(), run_id(), name,
                                            protocol::format_step_answer(file)));
        REQUIRE(::chmod(path.c_str(), 0644) == 0);
    }
    SUBCASE("a link to an answer")
    {
        fs::create_directories(path.parent_path());
        write_file(project / "answer", protocol::format_step_answer(file));
        REQUIRE(::chmod((project / "answer").c_str(), 0600) == 0);
        fs::create_symlink(project / "answer", path);
    }
    SUBCASE("a marker, which ends steps only if people do all of them")
    {
        workflow::Marker marker;
        marker.workflow_id = run_id();
        marker.step_id = "ask";
        REQUIRE_FALSE(workflow::write_marker(project.path(), marker));
    }
    clock->run_until(ctx, 10s);
    CHECK(record_of("ask").state == StepState::waiting_manual);
    CHECK_FALSE(fs::exists(fs::symlink_status(path)));
    put_answer("ask", StepDecision::approved);
    clock->run(ctx);
    CHECK(of("ask").answer->by == "ada@host");
}

TEST_CASE_FIXTURE(ManualFixture, "people are asked about each item, at the same time")
{
    auto ask = manual_step("ask");
    ask.command = "May {item.name} be released?";
    ask.manual->by = "{item.owner}";
    ask.for_each.emplace();
    ask.for_each->list = {boost::json::object{{"name", "a"}, {"owner", "Ada"}},
                          boost::json::object{{"name", "b"}, {"owner", "Bob"}}};
    run_options.max_parallel = 1;
    bool is_rejected = false;
    SUBCASE("and all agree") {}
    SUBCASE("and one does not")
    {
        is_rejected = true;
    }
    start(workflow_of({ask, step("later", {"ask"})}));
    clock->run_until(ctx, 10s);
    CHECK(record_of("ask.1").wait == ManualWait{"May a be released?", "Ada", {}, true});
    CHECK(record_of("ask.2").wait == ManualWait{"May b be released?", "Bob", {}, true});
    put_answer("ask.2", StepDecision::approved);
    clock->run_until(ctx, 20s);
    CHECK(record_of("ask.2").state == StepState::completed);
    CHECK(record_of("ask.1").state == StepState::waiting_manual);
    CHECK(record_of("later").state == StepState::pending);
    put_answer("ask.1", is_rejected ? StepDecision::rejected : StepDecision::approved);
    clock->run(ctx);
    CHECK(of("ask.1").answer);
    CHECK(of("later").state == (is_rejected ? StepState::skipped : StepState::completed));
    CHECK_FALSE(fs::exists(answers()));
}

TEST_CASE_FIXTURE(ManualFixture, "a cancelled run does not leave a manual step waiting")
{
    auto sink = std::make_shared<EventList>();
    options.audit = sink;
    start(workflow_of({manual_step("ask")}));
    clock->run_until(ctx, 7s);
    cancel.emit(asio::cancellation_type::partial);
    clock->run(ctx);
    CHECK(of("ask").state == StepState::cancelled);
    CHECK(result.status == WorkflowStatus::cancelled);
    REQUIRE(sink->events.size() == 2);
    CHECK(detail(sink->events[1], "outcome") == "unanswered");
}

TEST_CASE_FIXTURE(ManualFixture, "who has answered what is in the audit log")
{
    auto sink = std::make_shared<EventList>();
    options.audit = sink;
    start(workflow_of({manual_step("ask")}));
    clock->run_until(ctx, 1s);
    put_answer("ask", StepDecision::approved, "it works");
    clock->run(ctx);
    REQUIRE(sink->events.size() == 2);
    const auto& asked = sink->events[0];
    CHECK(asked.type == EventType::input_needed);
    CHECK(asked.workflow_id == result.run_id);
    CHECK(asked.step_id == "ask");
    CHECK(asked.question->text == "May it be released?");
    const auto& ended = sink->events[1];
    CHECK(ended.type == EventType::input_ended);
    CHECK(detail(ended, "question_id") == asked.question->id);
    CHECK(detail(ended, "outcome") == "answered");
    CHECK(detail(ended, "option") == "approved");
    CHECK(detail(ended, "by") == "ada@host");
    CHECK(detail(ended, "text") == "it works");
}

TEST_CASE_FIXTURE(ManualFixture, "an application answers only what waits, and once")
{
    start(workflow_of({manual_step("ask"), step("later", {"ask"})}));
    clock->run_until(ctx, 1s);
    const auto refused = [&](const std::string& run, const char* step, StepAnswer answer) {
        try {
            executor->answer(run, step, std::move(answer));
        } catch (const system_error& e) {
            return e.code();
        }
        return error_code();
    };
    const StepAnswer yes{StepDecision::approved, "ada@host", "it works", {}};
    CHECK(refused("none", "ask", yes) == errc::invalid_options);
    CHECK(refused(run_id(), "none", yes) == errc::invalid_options);
    CHECK(refused(run_id(), "later", yes) == errc::invalid_options);
    auto endless = yes;
    endless.reason.assign(protocol::max_step_reason + 1, 'x');
    CHECK(refused(run_id(), "ask", endless) == errc::invalid_options);
    auto anonymous = yes;
    anonymous.by.clear();
    CHECK(refused(run_id(), "ask", anonymous) == errc::invalid_options);
    CHECK_FALSE(refused(run_id(), "ask", yes));
    CHECK(refused(run_id(), "ask", yes) == boost::system::errc::file_exists);
    clock->run(ctx);
    CHECK(of("ask").answer == yes);
    CHECK(refused(result.run_id, "ask", yes) == errc::invalid_options);
}

TEST_CASE_FIXTURE(ManualFixture, "a manual step has parameters, and needs no command")
{
    auto w = workflow_of({manual_step("ask"), manual_step("look")});
    w.params["version"] = "2.1";
    w.steps[0].command = "May {params.version} be released?";
    w.steps[1].command.clear();
    w.steps[1].notes = "Look at it.\n";
    start(w);
    clock->run_until(ctx, 1s);
    CHECK(record_of("ask").wait->text == "May 2.1 be released?");
    CHECK(record_of("look").wait->text == "Look at it.");
    put_answer("ask", StepDecision::approved);
    put_answer("look", StepDecision::approved);
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::completed);
}

TEST_CASE("an answer to a manual step survives being written and read")
{
    using protocol::StepAnswerFile;
    for (const auto decision : {StepDecision::approved, StepDecision::rejected, StepDecision::done,
                                StepDecision::failed}) {
        const StepAnswerFile file{
            "e1",
            {decision, "ada@host", "why\nnot",
             std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000))}};
        const auto text = protocol::format_step_answer(file);
        CHECK(protocol::parse_step_answer(text) == file);
        // However it is truncated, it is none: the last newline does not count.
        for (std::size_t size = 0; size + 1 < text.size(); ++size)
            CHECK_FALSE(protocol::parse_step_answer(text.substr(0, size)));
    }
}

TEST_CASE("an answer to a manual step names its round, a known decision and its author")
{
    const auto parse = [](const char* text) { return protocol::parse_step_answer(text); };
    CHECK(parse(R"({"execution_id": "e1", "decision": "approved", "by": "ada"})"));
    CHECK_FALSE(parse(R"({"decision": "approved", "by": "ada"})"));
    CHECK_FALSE(parse(R"({"execution_id": "", "decision": "approved", "by": "ada"})"));
    CHECK_FALSE(parse(R"({"execution_id": "e1", "decision": "maybe", "by": "ada"})"));
    CHECK_FALSE(parse(R"({"execution_id": "e1", "decision": true, "by": "ada"})"));
    CHECK_FALSE(parse(R"({"execution_id": "e1", "decision": "approved", "by": 1})"));
    CHECK_FALSE(parse(R"({"execution_id": "e1", "decision": "approved", "by": ""})"));
    CHECK_FALSE(parse(R"({"execution_id": "e1", "decision": "approved"})"));
    CHECK_FALSE(parse("[]"));
    CHECK_FALSE(parse(""));
    const auto long_reason =
        R"({"execution_id": "e1", "decision": "approved", "by": "ada", "reason": ")" +
        std::string(protocol::max_step_reason + 1, 'x') + "\"}";
    CHECK_FALSE(protocol::parse_step_answer(long_reason));
}

TEST_CASE("the first answer to a manual step counts, and all of a run are removed together")
{
    TemporaryFolder project;
    const auto root = project.path();
    CHECK_FALSE(records::put_decision(root, "run-1", "e1", "one"));
    CHECK(records::put_decision(root, "run-1", "e1", "two") == boost::system::errc::file_exists);
    CHECK_FALSE(records::put_decision(root, "run-1", "e2", "three"));
    CHECK(records::read_decision(root, "run-1", "e1")->text == "one");
    CHECK_FALSE(records::read_decision(root, "run-2", "e1"));
    const auto folder = root / ".tapps-agents/running/decisions";
    for (const auto& path : {folder, folder / "run-1", folder / "run-1/e1"})
        CHECK((fs::status(path).permissions() & fs::perms(0077)) == fs::perms::none);
    records::remove_decision(root, "run-1", "e1");
    CHECK_FALSE(records::read_decision(root, "run-1", "e1"));
    records::remove_decisions(root, "run-1");
    CHECK_FALSE(fs::exists(folder));
}

TEST_CASE("what a run writes into the folder of answers is no record of an executor")
{
    TemporaryFolder project;
    REQUIRE_FALSE(records::put_decision(project.path(), "run-1", "e1", "one"));
    CHECK(records::find_broken_records(project.path()).empty());
    records::sweep_running(project.path());
    CHECK(records::read_decision(project.path(), "run-1", "e1")->text == "one");
}
