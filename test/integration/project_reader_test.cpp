#include "autoexec/view.hpp"

#include "protocol/layout.hpp"
#include "protocol/record_lines.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "support/temporary_folder.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::chrono::sys_days day{std::chrono::year{2026} / 1 / 20};

struct ReaderFixture {
    TemporaryFolder folder;
    ProjectReader reader{{.project_root = folder.path(), .max_ended = 3}};

    ProjectState refreshed()
    {
        reader.refresh();
        return reader.state();
    }

    std::vector<std::string> ended()
    {
        std::vector<std::string> ids;
        for (const auto& entry : refreshed().ended) ids.push_back(entry.execution_id);
        return ids;
    }

    [[nodiscard]] fs::path metrics(const std::string& date) const
    {
        fs::create_directories(folder / layout::metrics);
        return folder / layout::metrics / ("attempts_" + date + ".jsonl");
    }

    void record(ExecutionMetric metric, const std::string& date = "2026-01-20") const
    {
        std::ofstream(metrics(date), std::ios::app) << protocol::format_attempt(metric) << '\n';
    }

    static ExecutionMetric metric(const std::string& id, std::chrono::seconds ended)
    {
        ExecutionMetric metric;
        metric.execution_id = id;
        metric.attempt_id = "a-" + id;
        metric.status = ExecutionStatus::completed;
        metric.completed_at = day + ended;
        return metric;
    }

    static protocol::RunningRecord attempt_of(const std::string& id)
    {
        protocol::RunningRecord record;
        record.execution_id = id;
        record.attempt_id = "b-" + id;
        record.worktree = "/tree";
        return record;
    }

    static protocol::QueuedRequest request()
    {
        CommandRequest command("make", "/tree");
        command.execution_id = text::new_uuid();
        return protocol::QueuedRequest(std::move(command));
    }
};

}  // namespace

TEST_SUITE_BEGIN("project reader");

TEST_CASE_FIXTURE(ReaderFixture, "an execution that has ended has its three truths")
{
    auto end = metric("e", 1s);
    end.status = ExecutionStatus::failed;
    end.retry_count = 1;
    end.exit_code = 0;
    end.reported = ReportedStatus::completed;
    end.verified = Verification::partial;
    end.missing_artifacts = {"b.md"};
    end.error_code = "artifact_missing";
    end.error_message = "b.md is missing";
    record(end);
    const auto state = refreshed();
    REQUIRE(state.ended.size() == 1);
    const auto& entry = state.ended[0];
    CHECK(entry.status == ExecutionStatus::failed);
    CHECK(entry.attempt == 2);
    CHECK(entry.exit_code == 0);
    CHECK_FALSE(entry.signal);
    CHECK(entry.reported == ReportedStatus::completed);
    CHECK(entry.verified == Verification::partial);
    CHECK(entry.missing_artifacts == std::vector<std::string>{"b.md"});
    CHECK(entry.error_code == "artifact_missing");
    CHECK(entry.ended_at == day + 1s);
    CHECK(entry.output == folder / layout::output / "a-e.log");
}

TEST_CASE_FIXTURE(ReaderFixture, "the newest that have ended are listed, across days")
{
    record(metric("one", 1s));
    record(metric("two", 2s));
    CHECK(ended() == std::vector<std::string>{"two", "one"});
    record(metric("three", 3s), "2026-01-21");
    record(metric("four", 4s));  // by a process that has not noticed the new day
    CHECK(ended() == std::vector<std::string>{"four", "three", "two"});
    fs::remove(metrics("2026-01-21"));
    CHECK(ended() == std::vector<std::string>{"four", "two", "one"});
}

TEST_CASE_FIXTURE(ReaderFixture, "of several attempts of an execution the last counts")
{
    auto failed = metric("e", 1s);
    failed.status = ExecutionStatus::failed;
    record(failed);
    CHECK(refreshed().ended.at(0).status == ExecutionStatus::failed);
    auto repeated = metric("e", 2s);
    repeated.retry_count = 1;
    record(repeated);
    const auto state = refreshed();
    REQUIRE(state.ended.size() == 1);
    CHECK(state.ended[0].status == ExecutionStatus::completed);
    CHECK(state.ended[0].attempt == 2);
}

TEST_CASE_FIXTURE(ReaderFixture, "an execution that is tried again has not ended")
{
    record(metric("e", 1s));
    const auto before = (ended(), reader.position());
    records::RunningRecords executor(folder.path());
    REQUIRE_FALSE(executor.put(attempt_of("e")));
    CHECK(ended().empty());
    CHECK(reader.changes_since(before).forgotten_executions == std::vector<std::string>{"e"});
    executor.remove("b-e");
    CHECK(ended() == std::vector<std::string>{"e"});
}

TEST_CASE_FIXTURE(ReaderFixture, "a line that is cut or incomplete counts when it is complete")
{
    record(metric("one", 1s));
    const auto line = protocol::format_attempt(metric("two", 2s));
    const auto file = metrics("2026-01-20");
    std::ofstream(file, std::ios::app) << line.substr(0, 20);
    CHECK(ended() == std::vector<std::string>{"one"});
    std::ofstream(file, std::ios::app) << line.substr(20) << '\n';
    CHECK(ended() == std::vector<std::string>{"two", "one"});
    fs::resize_file(file, fs::file_size(file) - line.size() - 1);
    record(metric("three", 3s));
    record(metric("four", 4s));
    CHECK(ended() == std::vector<std::string>{"four", "three", "one"});
}

TEST_CASE_FIXTURE(ReaderFixture, "a detached command that was cancelled while it waited has ended")
{
    const queue::QueueFolder queue(folder.path());
    const auto queued = request();
    REQUIRE_FALSE(queue.submit(queued, Durability::none));
    CHECK(refreshed().executions.size() == 1);
    REQUIRE(queue.cancel_waiting(queued.id()));
    const auto state = refreshed();
    CHECK(state.executions.empty());
    REQUIRE(state.ended.size() == 1);
    CHECK(state.ended[0].execution_id == queued.id());
    CHECK(state.ended[0].status == ExecutionStatus::cancelled);
    CHECK(state.ended[0].error_code == "cancelled");
    CHECK(state.ended[0].output.empty());
}

TEST_CASE_FIXTURE(ReaderFixture, "the result of a detached command counts beside its last attempt")
{
    const queue::QueueFolder queue(folder.path());
    const auto queued = request();
    auto last = metric(queued.id(), 5s);
    last.agent = "coder";
    last.duration = 2s;
    record(last);
    protocol::QueuedResult result;
    result.id = queued.id();
    result.ended_at = day + 6s;
    ExecutionResult execution;
    execution.execution_id = queued.id();
    execution.status = ExecutionStatus::completed;
    execution.attempts = 3;
    execution.duration = 60s;
    result.result = to_json(execution);
    REQUIRE_FALSE(queue.put_result(result));
    const auto state = refreshed();
    REQUIRE(state.ended.size() == 1);
    CHECK(state.ended[0].agent == "coder");
    CHECK(state.ended[0].attempt == 3);
    CHECK(state.ended[0].duration == 60s);
    CHECK(state.ended[0].ended_at == day + 6s);
}

TEST_CASE_FIXTURE(ReaderFixture, "the engine of the queue is known after its end, too")
{
    CHECK_FALSE(refreshed().queue_engine);
    protocol::QueueEngineFile content;
    content.pid = 42;
    content.version = "1.2.3";
    content.log = "/log";
    error_code ec;
    auto lock = queue::EngineLock::acquire(folder.path(), content, ec);
    REQUIRE(lock);
    auto engine = refreshed().queue_engine;
    REQUIRE(engine);
    CHECK(engine->alive);
    CHECK_FALSE(engine->draining);
    CHECK(engine->pid == 42);
    CHECK(engine->version == "1.2.3");
    CHECK(engine->log == "/log");
    REQUIRE_FALSE(queue::request_drain(folder.path()));
    CHECK(refreshed().queue_engine->draining);
    lock.reset();
    engine = refreshed().queue_engine;
    REQUIRE(engine);
    CHECK_FALSE(engine->alive);
    CHECK(engine->pid == 42);
}

TEST_CASE_FIXTURE(ReaderFixture, "executors and worktrees are listed with who uses them")
{
    const auto tree = folder / "tree";
    for (const auto* const name : {"objects", "refs", "worktrees/one"})
        fs::create_directories(folder / ".git" / name);
    write_file(folder / ".git/HEAD", "ref: refs/heads/main\n");
    write_file(folder / ".git/worktrees/one/gitdir", (tree / ".git").string() + "\n");
    auto state = refreshed();
    REQUIRE(state.worktrees.size() == 1);
    CHECK(state.worktrees[0].path == tree);
    CHECK(state.worktrees[0].execution_id.empty());

    records::RunningRecords executor(folder.path());
    auto record = attempt_of("e");
    record.worktree = tree;
    REQUIRE_FALSE(executor.put(record));
    state = refreshed();
    CHECK(state.worktrees.at(0).execution_id == "e");
    REQUIRE(state.executors.size() == 1);
    CHECK(state.executors[0].alive);
    CHECK(state.executors[0].pid == ::getpid());

    executor.close();
    state = refreshed();
    CHECK(state.worktrees.at(0).execution_id.empty());
    REQUIRE(state.executors.size() == 1);
    CHECK_FALSE(state.executors[0].alive);
    const auto before = reader.position();
    fs::remove_all(folder / ".git/worktrees/one");
    reader.refresh();
    CHECK(reader.changes_since(before).removed_worktrees == std::vector<std::string>{tree});
}

TEST_SUITE_END();
