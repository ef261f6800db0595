#include "protocol/command_file.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("executor");

TEST_CASE_FIXTURE(ExecutorFixture, "a final status is seen at the next poll")
{
    clock->at(12s, [&] {
        auto s = tree.status(ReportedStatus::completed);
        s.artifacts = {"a.txt", "../outside", "/etc/passwd"};
        s.output = "done";
        s.exit_code = 0;
        tree.report(s);
    });
    execute();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.completion_method == CompletionMethod::status_file);
    CHECK(result.duration == 15s);
    CHECK(result.artifacts == std::vector<std::string>{"a.txt"});
    CHECK(result.warnings.size() == 2);
    CHECK(result.output == "done");
    CHECK(result.exit_code == 0);
    CHECK(result.attempts == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a failure carries the agent's words")
{
    clock->at(3s, [&] { tree.fail("boom", "E1"); });
    execute();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::failed);
    REQUIRE(result.error);
    CHECK(result.error->message == "boom");
    CHECK(result.error->code == "E1");
    CHECK(sink->metrics().front().error_message == "boom");
}

TEST_CASE_FIXTURE(ExecutorFixture, "a silent agent times out after exactly the time-out")
{
    options.timeout = 62s;  // no multiple of the interval
    execute();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration == 62s);
    CHECK(clock->elapsed() >= 62s);
    CHECK(result.error->code == "timeout");
}

TEST_CASE_FIXTURE(ExecutorFixture, "time-outs do not count the time of a suspension")
{
    options.timeout = 1h;
    options.start_timeout = 30min;
    clock->at(20min, [&] { clock->suspend(8h); });
    SUBCASE("of a command that completes after it")
    {
        clock->at(25min, [&] { tree.take(); });
        clock->at(59min, [&] { tree.complete(); });
        execute();
        CHECK(result.status == ExecutionStatus::completed);
        CHECK(result.duration < 1h);
    }
    SUBCASE("of a silent agent")
    {
        clock->at(25min, [&] { tree.take(); });
        clock->at(61min, [&] { tree.claims[tree.attempt_id()] = ClaimState::free; });
        execute();
        CHECK(result.status == ExecutionStatus::timeout);
        CHECK(result.duration >= 1h);
        CHECK(result.duration < 62min);
    }
    SUBCASE("of a command that no agent claims")
    {
        execute();
        CHECK(result.error->code == "not_started");
        CHECK(result.duration == 30min);
        return;
    }
    const auto metrics = sink->metrics();
    REQUIRE(metrics.size() == 1);
    CHECK(*metrics[0].completed_at - *metrics[0].started_at > 8h + 58min);
    CHECK(metrics[0].duration < 62min);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a report that arrives at the deadline still counts")
{
    options.timeout = 13s;
    clock->at(13s, [&] { tree.fail("boom"); });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->message == "boom");
}

TEST_CASE_FIXTURE(ExecutorFixture, "the request's time-out takes precedence over the executor's")
{
    auto r = request();
    r.timeout = 7s;
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration == 7s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "what was there before the command does not count")
{
    options.timeout = 11s;
    SUBCASE("a status that cannot be removed")
    {
        // MemoryMailbox removes plain files; a stamp that returns is the same file.
        tree.write_text(R"({"status": "completed"})");
        const auto old = *tree.root_status;
        tree.on_publish = [&, old] { tree.root_status = old; };
        // remembered before publishing
        tree.root_status->state = FoundFile::State::unreadable;
        tree.root_status->problem = "busy";
    }
    SUBCASE("a status of another attempt")
    {
        tree.on_publish = [&] {
            auto s = tree.status(ReportedStatus::completed);
            s.attempt_id = "another";
            tree.write(s);
        };
    }
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(sink->count(EventType::status_rejected) == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a status of another step or workflow is ignored")
{
    options.timeout = 11s;
    auto r = request();
    r.workflow_id = "w";
    r.step_id = "s";
    clock->at(2s, [&] {
        tree.write_text(R"({"status": "completed", "workflow_id": "w", "step_id": "other"})");
    });
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::timeout);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a status without ids is accepted when it is new")
{
    clock->at(2s, [&] { tree.write_text(R"({"status": "completed", "artifacts": ["x"]})"); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.artifacts == std::vector<std::string>{"x"});
}

TEST_CASE_FIXTURE(ExecutorFixture, "of two status files the one with this attempt's id wins")
{
    clock->at(2s, [&] {
        tree.write_text(R"({"status": "failed", "error": "legacy"})");
        tree.other_status =
            tree.file(protocol::format_status(tree.status(ReportedStatus::completed)));
    });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "of two status files without ids the root's wins")
{
    clock->at(2s, [&] {
        tree.write_text(R"({"status": "failed", "error": "root"})");
        tree.other_status = tree.file(R"({"status": "completed"})");
    });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "garbage is rejected once and waited out")
{
    options.timeout = 33s;
    std::string text;
    SUBCASE("a list")
    {
        text = "[]";
    }
    SUBCASE("null")
    {
        text = "null";
    }
    SUBCASE("a string")
    {
        text = "\"completed\"";
    }
    SUBCASE("100,000 levels")
    {
        text = std::string(100'000, '[');
    }
    SUBCASE("duplicate keys")
    {
        text = R"({"status":"completed","status":"completed"})";
    }
    clock->at(2s, [&] { tree.write_text(text); });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(sink->count(EventType::status_rejected) == 1);
    CHECK(result.error->message.find("its status file was ignored") != std::string::npos);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a malformed status that is corrected later completes")
{
    clock->at(2s, [&] { tree.write_text("[]"); });
    clock->at(12s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a torn status is waited for")
{
    clock->at(2s, [&] { tree.write_text(R"({"status": "comple)"); });
    clock->at(12s, [&] { tree.write_text(R"({"status": "completed"})"); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 15s);
    CHECK(sink->count(EventType::status_rejected) == 0);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an unsafe status file is never read")
{
    options.timeout = 11s;
    tree.on_publish = [&] {
        FoundFile f;
        f.state = FoundFile::State::unsafe;
        f.problem = "it is a FIFO";
        tree.root_status = f;
    };
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    REQUIRE(sink->count(EventType::status_rejected) == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a status that is too large fails at once")
{
    clock->at(2s, [&] {
        FoundFile f;
        f.state = FoundFile::State::too_large;
        f.problem = "it is larger than 16 bytes";
        tree.root_status = f;
    });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "status_too_large");
    CHECK(result.duration == 5s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "at most ten rejections are reported one by one")
{
    options.timeout = 101s;
    for (int i = 1; i <= 15; ++i)
        clock->at(i * 5s - 1s, [this, i] {
            tree.write_text(std::string(static_cast<std::size_t>(i), ' ') +
                            (i % 2 ? "[]" : "\"text\""));
        });
    execute();
    CHECK(sink->count(EventType::status_rejected) == 11);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a worktree that disappears ends the wait")
{
    clock->at(7s, [&] { tree.gone = true; });
    execute();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "worktree_lost");
    CHECK(result.duration == 10s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "progress is reported when it changes")
{
    for (int i = 1; i <= 3; ++i)
        clock->at(i * 7s, [this, i] {
            auto s = tree.status(ReportedStatus::running);
            s.progress = Progress{i * 25.0, "step", "working"};
            tree.write(s);
        });
    clock->at(40s, [&] { tree.complete(); });
    bool expect = true;
    SUBCASE("with status tracking") {}
    SUBCASE("without status tracking")
    {
        options.status_tracking = expect = false;
    }
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::status_updated) == (expect ? 1 : 0));
    CHECK(sink->count(EventType::progress_updated) == (expect ? 2 : 0));
    CHECK(result.last_progress.has_value() == expect);
    if (expect) CHECK(result.last_progress->percentage == 75);
}

TEST_CASE_FIXTURE(ExecutorFixture, "polling slows down by half and starts afresh at each change")
{
    options.adaptive_polling = true;         // random 0.5: no jitter
    tree.on_publish = [&] { tree.take(); };  // else a look at 10 s asks whether it is claimed
    // Without a change: looks at 0, 5, 12.5, 23.75 … Here 6 s are seen at 12.5, 13 s at 17.5.
    clock->at(6s, [&] { tree.write(tree.status(ReportedStatus::running)); });
    clock->at(13s, [&] {
        auto s = tree.status(ReportedStatus::running);
        s.progress = Progress{1, "", ""};
        tree.write(s);
    });
    clock->at(18s, [&] { tree.complete(); });
    execute();
    CHECK(result.duration == 22s + 500ms);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a notice is faster than the poll")
{
    options.notifier = local_notifier();
    clock->at(2s, [&] {
        tree.complete();
        options.notifier->notify("/tree");
    });
    execute();
    CHECK(result.duration == 2s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "without a claim: not started, withdrawn, and retried")
{
    options.start_timeout = 61s;
    options.retry.max_attempts = 2;
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "not_started");
    CHECK(result.attempts == 2);
    CHECK(sink->count(EventType::execution_retry) == 1);
    // 61 s twice, and half of the first delay between.
    CHECK(result.duration == 122s + 500ms);
    const auto metrics = sink->metrics();
    REQUIRE(metrics.size() == 2);
    CHECK(metrics[0].retry_count == 0);
    CHECK(metrics[1].retry_count == 1);
    CHECK(metrics[0].execution_id == metrics[1].execution_id);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an agent that claims while the command is taken away keeps it")
{
    options.start_timeout = 61s;
    options.retry.max_attempts = 2;
    tree.on_withdraw = [&] { tree.take(); };
    clock->at(70s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.attempts == 1);
}

TEST_CASE_FIXTURE(
    ExecutorFixture,
    "an agent that drops its claim of a command that was taken away has not started it")
{
    options.start_timeout = 61s;
    options.retry.max_attempts = 1;
    tree.on_withdraw = [&] {
        if (tree.claims.contains(tree.attempt_id())) return;
        tree.take();
        clock->at(clock->elapsed() + 10ms,
                  [&] { tree.claims[tree.attempt_id()] = ClaimState::none; });
    };
    execute();
    REQUIRE(result.error);
    CHECK(result.error->code == "not_started");
    CHECK(result.duration < 70s);  // at the next poll
}

TEST_CASE_FIXTURE(ExecutorFixture, "a claim that is dropped during a stop confirms it")
{
    options.start_timeout = 0s;
    options.timeout = 30s;
    options.retry.max_attempts = 1;
    tree.on_withdraw = [&] {
        tree.take();
        clock->at(clock->elapsed() + 10ms,
                  [&] { tree.claims[tree.attempt_id()] = ClaimState::none; });
    };
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration < 31s);
    CHECK(result.warnings.empty());
    CHECK_FALSE(tree.cancel);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a command file that was replaced is published again")
{
    options.start_timeout = 61s;
    std::string text;
    tree.on_publish = [&] {
        const auto again = protocol::format_command(*tree.command);
        if (!text.empty()) CHECK(again == text);
        text = again;
    };
    clock->at(12s, [&] { tree.command_replaced = true; });
    clock->at(16s, [&] {
        CHECK(tree.published_again == 1);
        tree.take();
        tree.command_replaced = true;  // too late to matter
    });
    clock->at(22s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.attempts == 1);
    CHECK(tree.published_again == 1);
    CHECK(sink->count(EventType::status_rejected) == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a command file that is replaced for ever is not started")
{
    options.retry.max_attempts = 2;
    tree.on_publish = [&] { tree.command_replaced = tree.published.size() == 1; };
    clock->at(70s, [&] {
        tree.take();
        tree.complete();
    });
    SUBCASE("and tried again") {}
    SUBCASE("for ever")
    {
        options.retry.max_attempts = 1;
    }
    execute();
    CHECK(tree.published_again == 10);
    if (options.retry.max_attempts == 2) {
        CHECK(result.status == ExecutionStatus::completed);
        CHECK(result.attempts == 2);
    } else {
        CHECK(result.error->code == "not_started");
    }
    CHECK(sink->count(EventType::agent_lost) == 0);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a command that is claimed after its file was replaced too often may have run")
{
    options.retry.max_attempts = 2;
    tree.on_publish = [&] { tree.command_replaced = true; };
    tree.on_withdraw = [&] {
        tree.take();
        clock->at(clock->elapsed() + 1s, [&] { tree.fail("It was stopped.", "timeout"); });
    };
    execute();
    CHECK(tree.published_again == 10);
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.attempts == 1);  // another could do twice what is not idempotent
    CHECK(std::count(tree.calls.begin(), tree.calls.end(), "request_stop") == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "an agent is told to stop as cancelled, or else for want of time")
{
    options.timeout = 60s;
    std::string reason = "timeout";
    clock->at(1s, [&] { tree.take(); });
    SUBCASE("the deadline") {}
    SUBCASE("nothing changes")
    {
        options.stall_timeout = 20s;
    }
    SUBCASE("cancelled")
    {
        reason = "cancelled";
        clock->at(7s, [&] { cancel.emit(asio::cancellation_type::total); });
    }
    execute();
    REQUIRE(tree.cancel);
    CHECK(tree.cancel->reason == reason);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an agent's own time-out ends as a time-out")
{
    options.retry.max_attempts = 2;
    auto r = request();
    SUBCASE("once") {}
    SUBCASE("and is retried as ours is")
    {
        r.idempotent = true;
    }
    SUBCASE("or by the word for it")
    {
        clock->at(3s, [&] { tree.write_text(R"({"status": "timed_out"})"); });
    }
    for (const auto t : {4s, 30s})
        clock->at(t, [&] {
            auto s = tree.status(ReportedStatus::failed);
            s.outcome = "timeout";
            s.error = CommandError{"Its time was over.", "timeout", {}, 0};
            tree.report(std::move(s));
        });
    execute(r);
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.attempts == (r.idempotent ? 2 : 1));
    CHECK(result.completion_method == CompletionMethod::status_file);
    CHECK(result.error->code == "timeout");
    CHECK(sink->metrics().back().status == ExecutionStatus::timeout);
    CHECK(boost::json::serialize(sink->events.back().details).find(R"("outcome":"timeout")") !=
          std::string::npos);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a failure is retried by its word and the command's")
{
    struct Row {
        std::optional<bool> retryable;
        bool echoes;
        bool idempotent;
        int attempts;
    };
    options.retry.max_attempts = 3;
    Row row{};
    SUBCASE("retryable")
    {
        row = {true, true, false, 3};
    }
    SUBCASE("not retryable")
    {
        row = {false, true, true, 1};
    }
    SUBCASE("not said")
    {
        row = {std::nullopt, true, false, 1};
    }
    SUBCASE("not said, idempotent")
    {
        row = {std::nullopt, true, true, 3};
    }
    SUBCASE("retryable, but no echo")
    {
        row = {true, false, false, 1};
    }
    SUBCASE("retryable, no echo, idempotent")
    {
        row = {true, false, true, 3};
    }
    SUBCASE("retryable, but error handling is off")
    {
        options.error_handling = false;
        row = {true, true, true, 1};
    }
    tree.on_publish = [&] {
        auto s = tree.status(ReportedStatus::failed);
        s.error = CommandError{"boom", "", row.retryable, 0};
        if (!row.echoes) s.attempt_id.clear();
        tree.write(s);
    };
    auto r = request();
    r.idempotent = row.idempotent;
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.attempts == row.attempts);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a request brings its own retries, and its number wins over theirs")
{
    options.retry.max_attempts = 5;
    tree.on_publish = [&] { tree.fail("no", {}, true); };
    auto r = request();
    r.retry = RetryPolicy{3, 40s, 1.0, 40s};
    SUBCASE("of the policy")
    {
        execute(std::move(r));
        CHECK(result.attempts == 3);
        CHECK(result.duration == 40s);  // twice half of 40 s, by the jitter
    }
    SUBCASE("of the request")
    {
        r.max_attempts = 2;
        execute(std::move(r));
        CHECK(result.attempts == 2);
        CHECK(result.duration == 20s);
    }
}

TEST_CASE_FIXTURE(ExecutorFixture, "an execution has the id of its request")
{
    tree.on_publish = [&] { tree.complete(); };
    auto r = request();
    r.execution_id = "mine";
    execute(std::move(r));
    CHECK(result.execution_id == "mine");
    CHECK(tree.published.front().execution_id == "mine");
    CHECK(sink->metrics().front().execution_id == "mine");
}

TEST_CASE_FIXTURE(ExecutorFixture, "what the agent claims is kept apart from how the command ended")
{
    auto r = request();
    SUBCASE("no word")
    {
        execute(std::move(r));
        CHECK_FALSE(result.reported);
    }
    SUBCASE("done, but the artifact is missing")
    {
        tree.on_publish = [&] { tree.complete(); };
        r.expected_artifacts = {"x"};
        r.require_artifacts = true;
        execute(std::move(r));
        CHECK(result.status == ExecutionStatus::failed);
        CHECK(result.reported == ReportedStatus::completed);
    }
    SUBCASE("still at it when its time was over")
    {
        tree.on_publish = [&] { tree.write(tree.status(ReportedStatus::running)); };
        execute(std::move(r));
        CHECK(result.status == ExecutionStatus::timeout);
        CHECK(result.reported == ReportedStatus::running);
    }
}

TEST_CASE_FIXTURE(ExecutorFixture, "a retry that succeeds is a success, with the tree recorded")
{
    options.retry.max_attempts = 3;
    tree.on_publish = [&] {
        if (tree.published.size() < 2)
            tree.fail("boom", "", true);
        else
            tree.complete();
    };
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.attempts == 2);
    CHECK_FALSE(result.error);
    for (const auto& event : sink->events)
        if (event.type == EventType::execution_retry) CHECK(event.details.at("tree") == " M file");
}

TEST_CASE_FIXTURE(ExecutorFixture, "nothing that an earlier attempt reported is in the result")
{
    options.timeout = 30s;
    options.retry.max_attempts = 2;
    tree.on_publish = [&] {
        if (tree.published.size() > 1) return;
        auto s = tree.status(ReportedStatus::failed);
        s.error = CommandError{"boom", "E1", true, 0};
        s.exit_code = 75;
        s.output = "first";
        s.artifacts = {"a.txt"};
        tree.report(s);
    };
    execute();
    CHECK(result.attempts == 2);
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK_FALSE(result.reported);
    CHECK_FALSE(result.exit_code);
    CHECK(result.output.empty());
    CHECK(result.artifacts.empty());
    CHECK_FALSE(sink->events.back().details.contains("exit_code"));
}

TEST_CASE_FIXTURE(ExecutorFixture, "a time-out after a claim is retried only if idempotent")
{
    options.timeout = 13s;
    options.retry.max_attempts = 2;
    bool idempotent = false;
    SUBCASE("idempotent")
    {
        idempotent = true;
    }
    SUBCASE("not idempotent") {}
    tree.on_publish = [&] {
        tree.take();
        tree.write(tree.status(ReportedStatus::running));
    };
    // The agent obeys the cancel file.
    for (int i = 1; i < 100; ++i)
        clock->at(i * 1s, [&] {
            if (tree.cancel && tree.claims.contains(tree.attempt_id()))
                tree.fail("stopped", "timeout");
        });
    auto r = request();
    r.idempotent = idempotent;
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.attempts == (idempotent ? 2 : 1));
    CHECK(result.status_during_stop);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an agent that ignores the stop keeps the worktree busy")
{
    options.timeout = 13s;
    options.retry.max_attempts = 2;
    tree.on_publish = [&] { tree.take(); };
    auto r = request();
    r.idempotent = true;
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration == 13s + 10s + 5s);
    CHECK(result.attempts == 1);
    CHECK(tree.cancel);
    CHECK(tree.calls.back() == "clean, keep cancel");

    results = 0;
    start(request());
    clock->run(ctx);
    CHECK(ec == errc::worktree_busy_unconfirmed);

    // Its end frees the worktree.
    tree.claims.clear();
    tree.on_publish = [&] { tree.complete(); };
    start(request());
    clock->run(ctx);
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an agent whose claim is free without a result is lost")
{
    tree.on_publish = [&] { tree.take(); };
    clock->at(7s, [&] { tree.claims[tree.attempt_id()] = ClaimState::free; });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "agent_lost");
    CHECK(result.duration == 10s);
    CHECK(sink->count(EventType::agent_lost) == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an agent is not lost while its status cannot be read")
{
    tree.on_publish = [&] { tree.take(); };
    clock->at(7s, [&] {
        tree.claims[tree.attempt_id()] = ClaimState::free;
        FoundFile f;
        f.state = FoundFile::State::unreadable;
        f.problem = "Too many open files";
        tree.root_status = f;
    });
    clock->at(18s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::agent_lost) == 0);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a result beside a free claim counts")
{
    tree.on_publish = [&] { tree.take(); };
    clock->at(7s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a claim that was dropped again is no lost agent")
{
    tree.on_publish = [&] { tree.take(); };
    clock->at(7s, [&] { tree.claims.clear(); });
    clock->at(13s, [&] { tree.take(); });
    clock->at(23s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "an agent on another host is lost 60 s after its last beat")
{
    tree.on_publish = [&] {
        tree.claims[tree.attempt_id()] = ClaimState::remote;
        auto s = tree.status(ReportedStatus::running);
        s.sequence = 1;
        tree.write(s);
    };
    clock->at(31s, [&] {
        auto s = tree.status(ReportedStatus::running);
        s.sequence = 2;
        tree.write(s);
    });
    execute();
    CHECK(result.error->code == "agent_lost");
    CHECK(result.duration == 95s + 15s);  // seen at 35; then the stop that nobody confirms
}

TEST_CASE_FIXTURE(ExecutorFixture, "nothing new for the stall time ends the wait")
{
    options.stall_timeout = 23s;
    tree.on_publish = [&] { tree.write_text(R"({"status": "running"})"); };
    clock->at(16s, [&] {
        tree.write_text(R"({"status": "running", "version": "1.0", "progress": {"message": "x"}})");
    });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.error->code == "stalled");
    CHECK(result.duration == 20s + 23s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "the total time-out spans attempts")
{
    options.total_timeout = 37s;
    options.timeout = 20s;
    options.retry.max_attempts = 5;
    auto r = request();
    r.idempotent = true;
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.attempts == 2);
    CHECK(result.duration == 37s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "artifacts complete a wait when all are new and at rest")
{
    auto r = request();
    r.expected_artifacts = {"a.txt", "out/b.txt"};
    options.timeout = 62s;
    SUBCASE("both new")
    {
        clock->at(3s, [&] { tree.create("a.txt"); });
        clock->at(12s, [&] { tree.create("out/b.txt"); });
        execute(std::move(r));
        CHECK(result.status == ExecutionStatus::completed);
        CHECK(result.completion_method == CompletionMethod::artifact_detection);
        CHECK(result.verified == Verification::all);
        CHECK(result.duration == 20s);  // seen at 15, unchanged at 20
    }
    SUBCASE("still growing")
    {
        clock->at(3s, [&] { tree.create("a.txt"); });
        for (int i = 0; i < 4; ++i) clock->at(12s + i * 5s, [&] { tree.create("out/b.txt"); });
        execute(std::move(r));
        CHECK(result.duration == 35s);
    }
    SUBCASE("one was there before")
    {
        tree.create("a.txt");
        clock->at(12s, [&] { tree.create("out/b.txt"); });
        execute(std::move(r));
        CHECK(result.status == ExecutionStatus::timeout);
        CHECK(result.verified == Verification::partial);
        CHECK(result.missing_artifacts == std::vector<std::string>{"a.txt"});
    }
    SUBCASE("an agent that claimed is still at work")
    {
        tree.on_publish = [&] { tree.take(); };
        clock->at(3s, [&] {
            tree.create("a.txt");
            tree.create("out/b.txt");
        });
        clock->at(48s, [&] { tree.complete(); });
        execute(std::move(r));
        CHECK(result.completion_method == CompletionMethod::status_file);
        CHECK(result.duration == 50s);
    }
    SUBCASE("the feature is off")
    {
        options.artifact_detection = false;
        clock->at(3s, [&] {
            tree.create("a.txt");
            tree.create("out/b.txt");
        });
        execute(std::move(r));
        CHECK(result.status == ExecutionStatus::timeout);
    }
}

TEST_CASE_FIXTURE(ExecutorFixture, "success without a required artifact is a failure")
{
    auto r = request();
    r.expected_artifacts = {"/tree/a.txt", "b.txt"};
    r.require_artifacts = true;
    tree.create("b.txt");
    clock->at(3s, [&] {
        tree.create("a.txt");
        tree.complete();
    });
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "artifact_missing");
    CHECK(result.missing_artifacts == std::vector<std::string>{"b.txt"});
}

TEST_CASE_FIXTURE(ExecutorFixture, "a refused tool is a warning if the work was done all the same")
{
    auto r = request();
    r.expected_artifacts = {"a.txt"};
    r.require_artifacts = true;
    bool done = false;
    SUBCASE("done")
    {
        done = true;
    }
    SUBCASE("not done") {}
    clock->at(3s, [&] {
        if (done) tree.create("a.txt");
        auto status = tree.status(ReportedStatus::completed);
        status.permission_denied = "It needed permission for Bash.";
        tree.report(std::move(status));
    });
    execute(std::move(r));
    if (done) {
        CHECK(result.status == ExecutionStatus::completed);
        CHECK(result.warnings == std::vector<std::string>{"It needed permission for Bash."});
    } else {
        CHECK(result.error->code == "permission_needed");
        CHECK(result.error->message == "It needed permission for Bash.");
    }
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "what a program said last may explain why an artifact is missing")
{
    auto r = request();
    r.expected_artifacts = {"a.txt"};
    r.require_artifacts = true;
    clock->at(3s, [&] {
        auto status = tree.status(ReportedStatus::completed);
        status.progress = Progress{0, "1/1", "In English or in German?"};
        tree.report(std::move(status));
    });
    execute(std::move(r));
    CHECK(result.error->message ==
          "the agent reported success, but a.txt is missing or unchanged; its last line is: In "
          "English or in German?");
}

TEST_CASE_FIXTURE(ExecutorFixture, "a time-out names why the program did not come forward")
{
    options.timeout = 60s;
    clock->at(3s, [&] {
        tree.take();
        auto status = tree.status(ReportedStatus::running);
        status.cause = CommandError{"429 rate_limit", "rate_limited", {}, 0};
        tree.write(status);
    });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.error->message ==
          "The command was stopped after its 60 s time-out. Last known cause: 429 rate_limit");
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "what looks like an option is not the id of a session to continue")
{
    options.retry.max_attempts = 2;
    tree.on_publish = [&] {
        auto status = tree.status(ReportedStatus::failed);
        status.error = CommandError{"later", "overloaded", true, 0};
        status.session = "--dangerous";
        tree.report(std::move(status));
    };
    execute();
    REQUIRE(tree.published.size() == 2);
    CHECK(tree.published[1].session.empty());
}

TEST_CASE_FIXTURE(ExecutorFixture, "the id of a session is kept as a whole, or not at all")
{
    std::string id(200, 'a');
    bool kept = true;
    SUBCASE("long") {}
    SUBCASE("too long")
    {
        id += 'a';
        kept = false;
    }
    SUBCASE("with a secret")
    {
        id = "gh" + std::string("p_") + std::string(36, 'Q');
        kept = false;
    }
    options.retry.max_attempts = 2;
    tree.on_publish = [&] {
        auto status = tree.status(ReportedStatus::failed);
        status.error = CommandError{"later", "overloaded", true, 0};
        status.session = id;
        tree.report(std::move(status));
    };
    execute();
    CHECK(result.session == (kept ? id : ""));
    REQUIRE(tree.published.size() == 2);
    CHECK(tree.published[1].session == (kept ? id : ""));
    CHECK(sink->metrics().at(0).session == (kept ? id : ""));
}

TEST_CASE_FIXTURE(ExecutorFixture, "a retry is never too large because of what it adds")
{
    options.retry.max_attempts = 2;
    tree.on_publish = [&] {
        auto status = tree.status(ReportedStatus::failed);
        status.error = CommandError{std::string(10'000, '"') + "é", "overloaded", true, 0};
        status.session = "s-1";
        tree.report(std::move(status));
    };
    std::size_t room = 0;
    SUBCASE("the failure is cut")
    {
        room = 4000;
    }
    SUBCASE("the session is not continued")
    {
        room = 1000;
    }
    auto r = request();
    PublishedFiles files;
    r.command = std::string(protocol::command_file_limit - 2000 - room, 'x');
    execute(r);
    CHECK(result.attempts == 2);
    REQUIRE(tree.published.size() == 2);
    CHECK(tree.published[1].command == r.command);
    CHECK(tree.published[1].failure.size() < 4000);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a command continues the session of an earlier one")
{
    tree.on_publish = [&] {
        auto status = tree.status(ReportedStatus::completed);
        status.session = "s-1";
        status.usage.emplace().input_tokens = 30;
        status.usage->of_session = true;
        tree.report(std::move(status));
    };
    auto r = request();
    r.resumed_session.emplace().id = "s-1";
    r.resumed_session->failure = "busy";
    r.resumed_session->usage.emplace().input_tokens = 20;
    execute(r);
    REQUIRE(tree.published.size() == 1);
    CHECK(tree.published[0].session == "s-1");
    CHECK(tree.published[0].failure == "busy");
    CHECK(result.usage.value().input_tokens == 10);
    CHECK(result.session_usage.value().input_tokens == 30);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "the record of an attempt names its agent and that one's process")
{
    tree.on_publish = [&] {
        auto status = tree.status(ReportedStatus::completed);
        status.agent = "coder";
        status.agent_id = "autoexec-1";
        tree.report(std::move(status));
    };
    execute();
    const auto metrics = sink->metrics();
    REQUIRE(metrics.size() == 1);
    CHECK(metrics[0].agent == "coder");
    CHECK(metrics[0].agent_id == "autoexec-1");
}

TEST_CASE_FIXTURE(ExecutorFixture, "the line of an attempt has what the metric line may not have")
{
    tree.on_publish = [&] {
        tree.create("a.txt");
        auto status = tree.status(ReportedStatus::completed);
        status.agent = "coder";
        status.agent_id = "autoexec-1";
        status.session = "s-1";
        status.usage = Usage{1, 2, 3, 4, 1, 0.5, "opus", 1500ms, 2048};
        tree.report(std::move(status));
    };
    MetricsOptions where;
    where.project_root = project.path();
    where.clock = clock;
    options.metrics = std::make_shared<ExecutionMetricsCollector>(ctx.get_executor(), where);
    auto r = request();
    r.expected_artifacts = {"a.txt", "b.txt"};
    execute(std::move(r));
    const auto folder = project.path() / ".tapps-agents/metrics";
    const auto lines = project.lines(folder / "attempts_2026-01-20.jsonl");
    REQUIRE(lines.size() == 1);
    const auto line = boost::json::parse(lines[0]).as_object();
    CHECK(line.at("agent") == "coder");
    CHECK(line.at("agent_id") == "autoexec-1");
    CHECK(line.at("worktree") == "/tree");
    CHECK_FALSE(line.at("host").as_string().empty());
    CHECK(line.at("session") == "s-1");
    CHECK(line.at("verified") == "partial");
    CHECK(line.at("missing_artifacts") == boost::json::array{"b.txt"});
    CHECK(line.at("usage") == boost::json::parse(R"({"input_tokens": 1, "output_tokens": 2,
        "cache_read_tokens": 3, "cache_write_tokens": 4, "reasoning_tokens": 1, "cost_usd": 0.5,
        "model": "opus", "cpu_seconds": 1.5, "peak_memory_kib": 2048})"));
    const auto metric_keys = project.read(folder / "executions_2026-01-20.jsonl");
    for (const auto* const key : {"agent", "worktree", "host", "verified", "usage"})
        CHECK(metric_keys.find(key) == std::string::npos);
    // Before the context.
    executor.reset();
    options.metrics.reset();
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a tree without a change is a warning, if nothing else was expected")
{
    tree.on_publish = [&] {
        tree.create("a");
        auto status = tree.status(ReportedStatus::completed);
        status.tree_unchanged = true;
        tree.report(std::move(status));
    };
    auto r = request();
    const std::vector<std::string> warnings{"The program changed nothing in the worktree."};
    SUBCASE("nothing expected")
    {
        execute(r);
        CHECK(result.warnings == warnings);
    }
    SUBCASE("a file expected")
    {
        r.expected_artifacts = {"a"};
        execute(r);
        CHECK(result.warnings.empty());
    }
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture, "usage is of all attempts, the session that of the last")
{
    options.retry.max_attempts = 2;
    tree.on_publish = [&] {
        const bool first = tree.published.size() == 1;
        auto status = tree.status(first ? ReportedStatus::failed : ReportedStatus::completed);
        if (first) status.error = CommandError{"later", "overloaded", true, 0};
        status.session = first ? "s-1" : "s-2";
        status.usage.emplace().input_tokens = 5;
        status.usage->cost_usd = 0.25;
        tree.report(std::move(status));
    };
    execute();
    CHECK(result.attempts == 2);
    CHECK(result.session == "s-2");
    REQUIRE(tree.published.size() == 2);
    CHECK(tree.published[0].session.empty());
    CHECK(tree.published[1].session == "s-1");
    CHECK(tree.published[1].failure == "later");
    CHECK(result.usage.value().input_tokens == 10);
    CHECK(result.usage.value().cost_usd == 0.5);
    const auto metrics = sink->metrics();
    REQUIRE(metrics.size() == 2);
    CHECK(metrics[0].session == "s-1");
    CHECK(metrics[0].error_code == "overloaded");
    CHECK(metrics[1].usage.value().input_tokens == 5);
}

TEST_CASE_FIXTURE(ExecutorFixture, "what a session used is counted once, whatever attempts it has")
{
    options.retry.max_attempts = 3;
    std::string last_session = "s-1";
    bool only_cost = false;
    SUBCASE("the last attempt continues, too") {}
    SUBCASE("only the cost is of the session")
    {
        only_cost = true;
    }
    SUBCASE("the last attempt has a session of its own")
    {
        last_session = "s-2";
    }
    tree.on_publish = [&] {
        const auto number = tree.published.size();
        auto status = tree.status(number < 3 ? ReportedStatus::failed : ReportedStatus::completed);
        if (number < 3) status.error = CommandError{"later", "overloaded", true, 0};
        status.session = number < 3 ? "s-1" : last_session;
        status.usage.emplace().input_tokens = 10 * static_cast<int>(number);
        status.usage->cost_usd = 0.5 * static_cast<double>(number);
        (only_cost ? status.usage->cost_of_session : status.usage->of_session) = true;
        tree.report(std::move(status));
    };
    execute();
    CHECK(result.attempts == 3);
    const bool continued = last_session == "s-1";
    CHECK(result.usage.value().input_tokens == (only_cost ? 60 : continued ? 30 : 50));
    CHECK(result.usage->cost_usd == (continued ? 1.5 : 2.5));
    CHECK_FALSE(result.usage->of_session);
    CHECK_FALSE(result.usage->cost_of_session);
    const auto metrics = sink->metrics();
    REQUIRE(metrics.size() == 3);
    CHECK(metrics[1].usage.value().input_tokens == (only_cost ? 20 : 10));
}

namespace {

struct RetryFixture : ExecutorFixture {
    RetryFixture() { options.retry.max_attempts = 2; }

    static CommandRequest report()
    {
        auto r = request();
        r.expected_artifacts = {"report.md"};
        r.require_artifacts = true;
        return r;
    }
    /// The first attempt fails for a while, the second one completes.
    void fail_once()
    {
        if (tree.published.size() < 2)
            tree.fail("boom", "", true);
        else
            tree.complete();
    }
};

}  // namespace

TEST_CASE_FIXTURE(RetryFixture, "what an earlier attempt made counts as made")
{
    tree.on_publish = [&] {
        if (tree.published.size() == 1) tree.create("report.md");
        fail_once();
    };
    execute(report());
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.verified == Verification::all);
    CHECK(result.attempts == 2);
}

TEST_CASE_FIXTURE(RetryFixture, "attempts that change nothing have made nothing")
{
    tree.create("report.md");
    tree.on_publish = [&] { fail_once(); };
    execute(report());
    CHECK(result.attempts == 2);
    CHECK(result.error->code == "artifact_missing");
}

TEST_CASE_FIXTURE(RetryFixture, "what a reset before a retry writes is not made by the command")
{
    tree.create("report.md");
    tree.on_publish = [&] { fail_once(); };
    auto r = report();
    const auto hooks = std::make_shared<CommandHooks>();
    r.hooks = hooks;
    hooks->before_retry = [&](std::filesystem::path) -> asio::awaitable<std::string> {
        tree.create("report.md");
        co_return std::string();
    };
    execute(std::move(r));
    CHECK(result.attempts == 2);
    CHECK(result.error->code == "artifact_missing");
}

TEST_CASE_FIXTURE(RetryFixture, "artifacts of an earlier attempt do not complete a later one")
{
    options.timeout = 62s;
    tree.on_publish = [&] {
        tree.create("report.md");
        if (tree.published.size() == 1) tree.fail("boom", "", true);
        tree.on_publish = nullptr;
    };
    execute(report());
    CHECK(result.attempts == 2);
    CHECK(result.status == ExecutionStatus::timeout);
}

TEST_CASE_FIXTURE(RetryFixture,
                  "a baseline is told before the command is published, and can be given")
{
    tree.create("report.md");
    std::vector<ArtifactBaseline> told;
    auto r = report();
    const auto hooks = std::make_shared<CommandHooks>();
    r.hooks = hooks;
    hooks->on_baseline = [&](ArtifactBaseline baseline) -> asio::awaitable<void> {
        CHECK(tree.published.empty());
        told.push_back(std::move(baseline));
        co_return;
    };
    tree.on_publish = [&] { fail_once(); };
    SUBCASE("taken once")
    {
        execute(std::move(r));
        REQUIRE(told.size() == 1);
        CHECK_FALSE(told.front().at("report.md").empty());
    }
    SUBCASE("of an execution before")
    {
        r.artifact_baseline = ArtifactBaseline{{"report.md", ""}};
        execute(std::move(r));
        CHECK(told.empty());
        CHECK(result.verified == Verification::all);
    }
}

TEST_CASE_FIXTURE(RetryFixture, "nothing is published where the baseline cannot be recorded")
{
    auto r = report();
    const auto hooks = std::make_shared<CommandHooks>();
    r.hooks = hooks;
    hooks->on_baseline = [](ArtifactBaseline) -> asio::awaitable<void> {
        throw system_error(make_error_code(boost::system::errc::no_space_on_device));
        co_return;
    };
    execute(std::move(r));
    CHECK(ec == boost::system::errc::no_space_on_device);
    CHECK(result.error->message.starts_with("Cannot record the baseline of the artifacts: "));
    CHECK(tree.published.empty());
}

TEST_CASE_FIXTURE(ExecutorFixture, "cancellation before an agent has the command ends at once")
{
    auto type = asio::cancellation_type::terminal;
    SUBCASE("terminal") {}
    SUBCASE("partial")
    {
        type = asio::cancellation_type::partial;
    }
    SUBCASE("total")
    {
        type = asio::cancellation_type::total;
    }
    clock->at(7s, [&] { cancel.emit(type); });
    execute();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 7s);
    CHECK(sink->count(EventType::execution_cancelled) == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture, "partial cancellation waits for the agent's stop")
{
    tree.on_publish = [&] { tree.take(); };
    clock->at(7s, [&] { cancel.emit(asio::cancellation_type::partial); });
    clock->at(9s, [&] {
        REQUIRE(tree.cancel);
        CHECK(tree.cancel->attempt_id == tree.attempt_id());
        tree.complete();
    });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 9s);
    CHECK(result.status_during_stop == ReportedStatus::completed);
    CHECK_FALSE(tree.cancel);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "terminal cancellation does not wait, and leaves the cancel file")
{
    tree.on_publish = [&] { tree.take(); };
    SUBCASE("at first")
    {
        clock->at(7s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    }
    SUBCASE("after a partial one")
    {
        clock->at(4s, [&] { cancel.emit(asio::cancellation_type::partial); });
        clock->at(7s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    }
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 7s);
    CHECK(tree.cancel);
    CHECK(tree.calls.back() == "clean, keep cancel");
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "cancelling by id ends the execution, even while it waits to retry")
{
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 60s;
    tree.on_publish = [&] { tree.fail("boom", "", true); };
    clock->at(12s, [&] { make().cancel(sink->events.front().execution_id); });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.attempts == 1);
    CHECK(result.duration == 12s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "another process cancels by a file")
{
    clock->at(7s + 100ms,
              [&] { CHECK_FALSE(records::request_cancel(project.path(), tree.attempt_id())); });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 7s + 500ms);
}

TEST_CASE_FIXTURE(ExecutorFixture, "bad requests end at once with a sentence")
{
    SUBCASE("empty command")
    {
        execute(request(""));
        CHECK(ec == errc::invalid_command);
        CHECK(result.error->message == "The command is empty.");
    }
    SUBCASE("blank command")
    {
        execute(request(" \t\n"));
        CHECK(ec == errc::invalid_command);
        CHECK(result.error->message == "The command is blank.");
    }
    SUBCASE("NUL")
    {
        execute(request(std::string("a\0b", 3)));
        CHECK(ec == errc::invalid_command);
    }
    SUBCASE("a program without a name")
    {
        execute(CommandRequest(std::vector<std::string>{"", "x"}, "/tree"));
        CHECK(ec == errc::invalid_command);
        CHECK(result.error->message.find("name is empty") != std::string::npos);
    }
    SUBCASE("too large")
    {
        execute(request(std::string(protocol::command_file_limit, 'x')));
        CHECK(ec == errc::command_too_large);
    }
    SUBCASE("retries that make no sense")
    {
        auto r = request();
        r.retry = RetryPolicy{1, 1s, 0.5, 1s};
        execute(std::move(r));
        CHECK(ec == errc::invalid_options);
    }
    SUBCASE("artifact outside")
    {
        auto r = request();
        r.expected_artifacts = {"a/../../secret"};
        execute(std::move(r));
        CHECK(ec == errc::artifact_outside_worktree);
    }
    SUBCASE("absolute artifact outside")
    {
        auto r = request();
        r.expected_artifacts = {"/treeish/a"};
        execute(std::move(r));
        CHECK(ec == errc::artifact_outside_worktree);
    }
    SUBCASE("no such worktree")
    {
        tree.exists = false;
        execute();
        CHECK(ec == errc::invalid_worktree);
    }
    SUBCASE("the worktree is held by another executor")
    {
        tree.lock_error = errc::worktree_busy;
        execute();
        CHECK(ec == errc::worktree_busy);
        CHECK(clock->elapsed() < 1s);
    }
    SUBCASE("publishing fails")
    {
        tree.publish_error =
            boost::system::errc::make_error_code(boost::system::errc::no_space_on_device);
        execute();
        CHECK(ec == boost::system::errc::no_space_on_device);
    }
    CHECK(tree.published.empty());
    REQUIRE(result.error);
    CHECK(result.error->message.size() > 20);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a busy worktree is waited for on request")
{
    options.on_busy = OnBusy::wait;
    tree.lock_error = errc::worktree_busy;
    clock->at(17s, [&] { tree.lock_error = {}; });
    tree.on_publish = [&] { tree.complete(); };
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(clock->elapsed() >= 17s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a secret in the command is redacted everywhere, and reported")
{
    const std::string secret = "ghp_" + std::string(36, 'a');
    const auto command = "deploy --token " + secret;
    SUBCASE("warn")
    {
        tree.on_publish = [&] { tree.fail("cannot use " + secret); };
        execute(request(command));
        CHECK(sink->count(EventType::secret_in_command) == 1);
        CHECK(tree.published.front().command == command);  // exactly what is to run
        CHECK(result.command.find(secret) == std::string::npos);
        CHECK(result.error->message.find(secret) == std::string::npos);
        for (const auto& event : sink->events) {
            CHECK(event.command.find(secret) == std::string::npos);
            CHECK(boost::json::serialize(event.details).find(secret) == std::string::npos);
        }
    }
    SUBCASE("refuse")
    {
        options.secrets_in_command = SecretsInCommand::refuse;
        execute(request(command));
        CHECK(ec == errc::secret_in_command);
    }
    SUBCASE("allow")
    {
        options.secrets_in_command = SecretsInCommand::allow;
        tree.on_publish = [&] { tree.complete(); };
        execute(request(command));
        CHECK(sink->count(EventType::secret_in_command) == 0);
    }
}

TEST_CASE_FIXTURE(ExecutorFixture, "options out of range are named")
{
    const auto refuses = [&](auto change) {
        auto o = plain_options();
        change(o);
        CHECK_THROWS_AS(BackgroundAgentAutoExecutor(ctx.get_executor(), o), system_error);
    };
    refuses([](auto& o) { o.polling_interval = 0ms; });
    refuses([](auto& o) { o.timeout = -1s; });
    refuses([](auto& o) { o.retry.max_attempts = 0; });
    refuses([](auto& o) { o.retry.backoff_multiplier = 0.5; });
    refuses([](auto& o) { o.status_file_name = "../status.json"; });
    refuses([](auto& o) { o.status_file_name = ".cursor-skill-command.txt"; });
    refuses([](auto& o) { o.max_status_bytes = 0; });
}

TEST_SUITE_END();
