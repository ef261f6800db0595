#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"
#include "support/sweep.hpp"
#include "text/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Several commands at once, and how each of them ended.
struct Many : ExecutorFixture {
    struct End {
        int results = 0;
        error_code ec;
        ExecutionResult result;
        std::chrono::nanoseconds at{};
    };
    std::vector<std::unique_ptr<End>> ends;

    End& begin(CommandRequest r, asio::cancellation_slot slot = {})
    {
        auto& end = *ends.emplace_back(std::make_unique<End>());
        make().async_execute_command(
            std::move(r),
            asio::bind_cancellation_slot(slot, [&end, this](error_code e, ExecutionResult x) {
                ++end.results;
                end.ec = e;
                end.result = std::move(x);
                end.at = clock->elapsed();
            }));
        return end;
    }
    End& begin(const std::string& path) { return begin(CommandRequest("build", path)); }

    MemoryTree& takes(const std::string& path, std::chrono::nanoseconds time)
    {
        auto& its = handoff->at(path);
        its.on_publish = [this, &its, time] {
            its.take();
            clock->at(clock->elapsed() + time, [&its] { its.complete(); });
        };
        return its;
    }

    /// One slot for all. The first attempt in `/tree` fails, and the next one may start after
    /// `delay`.
    void fail_once_then_wait(std::chrono::seconds delay)
    {
        options.max_parallel = 1;
        options.retry.max_attempts = 2;
        options.retry.initial_delay = 2 * delay;  // half of it, by the fixture's random
        tree.on_publish = [this] {
            if (tree.published.size() == 1)
                tree.fail("boom", "", true);
            else
                tree.complete();
        };
    }

    template <class Work>
    auto await(Work work)
    {
        std::exception_ptr thrown;
        asio::co_spawn(ctx, std::move(work), [&](std::exception_ptr e) { thrown = e; });
        clock->run(ctx);
        if (thrown) std::rethrow_exception(thrown);
    }
    void stop()
    {
        await([this]() -> asio::awaitable<void> { co_await make().stop(); });
    }
};

std::vector<std::string> names_below(const fs::path& folder)
{
    std::vector<std::string> names;
    std::error_code ec;
    for (const auto& entry : fs::recursive_directory_iterator(folder, ec))
        if (!entry.is_directory()) names.push_back(entry.path().lexically_relative(folder));
    return names;
}

int open_descriptors()
{
    return static_cast<int>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
}

}  // namespace

TEST_SUITE_BEGIN("executor life");

TEST_CASE_FIXTURE(Many, "commands for one worktree run one after the other, in order")
{
    takes("/tree", 12s);
    const auto& first = begin("/tree");
    const auto& second = begin("/tree/");
    const auto& third = begin("/x/../tree/.");
    clock->run(ctx);
    CHECK(first.at == 15s);
    CHECK(second.at == 30s);
    CHECK(third.at == 45s);
    for (const auto& end : ends) CHECK(end->result.status == ExecutionStatus::completed);
    for (const auto& end : ends) CHECK(end->result.worktree == "/tree");
    CHECK(sink->events.front().execution_id == first.result.execution_id);
    CHECK(sink->events.back().execution_id == third.result.execution_id);
}

TEST_CASE_FIXTURE(Many, "a link to a worktree is the same worktree")
{
    TemporaryFolder trees;
    fs::create_directory(trees / "real");
    fs::create_directory_symlink("real", trees / "link");
    options.handoff.reset();
    const auto status = trees / "real/.cursor-skill-status.json";
    for (int i = 1; i <= 2; ++i)
        clock->at(i * 7s, [&] { write_file(status, R"({"status": "completed"})"); });
    const auto& first = begin((trees / "real").string());
    const auto& second = begin((trees / "link").string());
    clock->run(ctx);
    CHECK_FALSE(second.ec);
    CHECK(first.at == 10s);
    CHECK(second.at == 15s);
    CHECK(second.result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Many, "with a limit of 64 descriptors the rest queues, and no command fails")
{
    constexpr int count = 100;
    struct LowLimit {
        explicit LowLimit(rlim_t soft)
        {
            ::getrlimit(RLIMIT_NOFILE, &before);
            const rlimit low{soft, before.rlim_max};
            ::setrlimit(RLIMIT_NOFILE, &low);
        }
        ~LowLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
        rlimit before{};
    };
    TemporaryFolder trees;
    const auto path_of = [&](int i) { return trees / ("tree" + std::to_string(i)); };
    for (int i = 0; i < count; ++i) fs::create_directory(path_of(i));
    const LowLimit limit(64);
    options.handoff.reset();
    int max_in_flight = 0;
    for (int second = 1; second < 100; ++second)
        clock->at(second * 1s, [&] {
            int in_flight = 0;
            for (int i = 0; i < count; ++i) {
                if (!fs::exists(path_of(i) / ".cursor-skill-command.txt")) continue;
                ++in_flight;
                write_file(path_of(i) / ".cursor-skill-status.json", R"({"status": "completed"})");
            }
            max_in_flight = std::max(max_in_flight, in_flight);
        });
    for (int i = 0; i < count; ++i) begin(path_of(i).string());
    clock->run(ctx);
    CHECK(max_in_flight > 8);
    CHECK(max_in_flight <= 16);
    for (const auto& end : ends) {
        CHECK(end->results == 1);
        CHECK_FALSE(end->ec);
        CHECK(end->result.status == ExecutionStatus::completed);
    }
}

TEST_CASE_FIXTURE(Many, "a thousand commands that other processes cancel at once end once each")
{
    constexpr int count = 1000;
    for (int i = 0; i < count; ++i) begin("/tree" + std::to_string(i));
    const auto& other = begin("/other");
    clock->at(7s, [&] {
        for (const auto& entry : records::list_running(project.path()))
            if (entry.record.worktree != "/other")
                CHECK_FALSE(records::request_cancel(project.path(), entry.record.attempt_id));
    });
    clock->at(9s, [&] { handoff->at("/other").complete(); });
    clock->run(ctx);
    int cancelled = 0;
    for (const auto& end : ends) {
        CHECK(end->results == 1);
        if (end->result.status != ExecutionStatus::cancelled) continue;
        ++cancelled;
        CHECK(end->at <= 8s);
    }
    CHECK(cancelled == count);
    CHECK(other.result.status == ExecutionStatus::completed);
    CHECK(records::find_cancel_requests(project.path()).empty());
    CHECK(records::list_running(project.path()).empty());
}

TEST_CASE_FIXTURE(Many, "an executor that has ended leaves nothing in running/")
{
    takes("/tree", 2s);
    begin("/tree");
    clock->run(ctx);
    CHECK(ends.front()->result.status == ExecutionStatus::completed);
    SUBCASE("it was stopped")
    {
        stop();
    }
    SUBCASE("it was destroyed")
    {
        executor.reset();
    }
    CHECK(fs::is_empty(project / ".tapps-agents/running"));
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "between two attempts, a note shows that the execution continues")
{
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 1min;
    const auto names = [this] {
        std::vector<std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(project / layout::running))
            if (entry.path().extension() == ".retry") found.push_back(entry.path().stem());
        return found;
    };
    std::string first;
    clock->at(1s, [&] {
        first = tree.published.at(0).attempt_id;
        CHECK(names().empty());
        tree.fail("boom", "", true);
    });
    clock->at(30s, [&] {
        CHECK(names() == std::vector{first});
        CHECK(records::list_running(project.path()).empty());
        const auto live = records::list_executions(project.path());
        REQUIRE(live.size() == 1);
        CHECK(live.front().attempt_id == first);
    });
    SUBCASE("the next one begins")
    {
        clock->at(2min, [&] {
            CHECK(tree.published.size() == 2);
            CHECK(names().empty());
        });
        clock->at(3min, [this] { tree.complete(); });
    }
    SUBCASE("none follows")
    {
        clock->at(40s, [this] { cancel.emit(asio::cancellation_type::terminal); });
    }
    const auto is_cancelled_at = [this, &first](std::chrono::seconds when) {
        clock->at(when,
                  [this, &first] { CHECK_FALSE(records::request_cancel(project.path(), first)); });
        clock->at(when + 1s, [this] {
            CHECK(results == 1);
            CHECK(result.status == ExecutionStatus::cancelled);
        });
    };
    SUBCASE("another process cancels it")
    {
        is_cancelled_at(40s);
    }
    SUBCASE("another process cancels it when the next one has just begun")
    {
        clock->at(2min - 1s, [this] { CHECK(tree.published.size() == 2); });
        is_cancelled_at(2min);
    }
    start(request());
    clock->run(ctx);
    CHECK(results == 1);
    make().async_stop([](error_code) {});
    clock->run(ctx);
    CHECK(fs::is_empty(project / layout::running));
}

TEST_CASE_FIXTURE(Many, "other worktrees do not wait")
{
    takes("/tree", 12s);
    takes("/other", 2s);
    begin("/tree");
    begin("/tree");
    CHECK(begin("/other").results == 0);
    clock->run(ctx);
    CHECK(ends.back()->at == 5s);
}

TEST_CASE_FIXTURE(Many, "no more commands at once than allowed, and first come, first served")
{
    options.max_parallel = 2;
    int now = 0;
    int most = 0;
    std::vector<std::string> order;
    for (int i = 0; i < 6; ++i) {
        const auto path = "/tree" + std::to_string(i);
        auto& its = handoff->at(path);
        its.on_publish = [&, path, i] {
            order.push_back(path);
            most = std::max(most, ++now);
            clock->at(clock->elapsed() + (i + 1) * 3s, [&] {
                --now;
                its.complete();
            });
        };
        begin(path);
    }
    clock->run(ctx);
    CHECK(most == 2);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(order.size() == 6);
    for (const auto& end : ends) CHECK(end->result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Many, "a slot is given back while a command waits for its retry")
{
    fail_once_then_wait(30s);
    takes("/other", 12s);
    const auto& retried = begin("/tree");
    const auto& other = begin("/other");
    const auto& same_tree = begin("/tree");
    clock->run(ctx);
    CHECK(other.at == 15s);
    CHECK(retried.result.attempts == 2);
    CHECK(retried.at == 30s);
    CHECK(same_tree.at == 30s);  // the worktree was kept
    CHECK(same_tree.result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Many, "no more commands of an agent at once than allowed, and others pass them")
{
    options.max_parallel = 2;
    options.agent_limits["slow"] = 1;
    const auto begin_with = [this](const std::string& path, std::string agent) -> End& {
        CommandRequest request("build", path);
        request.agent = std::move(agent);
        return begin(std::move(request));
    };
    for (const auto* path : {"/a", "/b", "/c", "/d", "/e"}) takes(path, 12s);
    const auto& first = begin_with("/a", "slow");
    const auto& second = begin_with("/b", "slow");
    const auto& third = begin_with("/c", "slow");
    const auto& other = begin_with("/d", "quick");
    const auto& unnamed = begin_with("/e", "");
    clock->run(ctx);
    CHECK(first.at == 15s);
    CHECK(other.at == 15s);
    CHECK(second.at == 30s);
    CHECK(second.result.queued == 15s);
    CHECK(unnamed.at == 30s);
    CHECK(third.at == 45s);
    for (const auto& end : ends) CHECK(end->result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Many, "a slot of an agent is given back while a command waits for its retry")
{
    options.agent_limits["dev"] = 1;
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 20s;  // half of it, by the fixture's random
    tree.on_publish = [&] {
        if (tree.published.size() == 1)
            tree.fail("boom", "", true);
        else
            tree.complete();
    };
    takes("/b", 12s);
    for (const auto* path : {"/tree", "/b"}) {
        CommandRequest request("build", path);
        request.agent = "dev";
        begin(std::move(request));
    }
    clock->run(ctx);
    CHECK(ends[0]->result.attempts == 2);
    CHECK(ends[0]->result.queued == 5s);
    CHECK(ends[0]->at == 15s);
    CHECK(ends[1]->at == 15s);
}

TEST_CASE_FIXTURE(Many, "a command is cancelled while it waits for a slot of its agent")
{
    options.agent_limits["dev"] = 1;
    takes("/tree", 12s);
    takes("/b", 2s);
    takes("/c", 2s);
    for (const auto* path : {"/tree", "/b", "/c"}) {
        CommandRequest request("build", path);
        request.agent = "dev";
        begin(std::move(request),
              path == std::string("/b") ? cancel.slot() : asio::cancellation_slot());
    }
    clock->at(7s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    clock->run(ctx);
    CHECK(ends[1]->result.status == ExecutionStatus::cancelled);
    CHECK(ends[1]->at == 7s);
    CHECK(ends[2]->at == 20s);
}

TEST_CASE_FIXTURE(Many, "the time in a queue is counted apart from the time of the run")
{
    fail_once_then_wait(20s);
    takes("/b", 12s);
    takes("/c", 12s);
    const auto& retried = begin("/tree");  // fails at once; could begin again at 20 s
    const auto& second = begin("/b");      // until 15 s
    const auto& third = begin("/c");       // until 30 s
    clock->run(ctx);
    CHECK(second.result.queued == 0s);
    CHECK(second.result.duration == 15s);
    CHECK(third.result.queued == 15s);
    CHECK(third.result.duration == 15s);
    CHECK(retried.result.queued == 10s);
    CHECK(retried.result.duration == 30s);
    std::map<std::string, std::vector<double>> queued;
    for (const auto& metric : sink->metrics())
        queued[metric.worktree].push_back(metric.queued / 1.0s);
    CHECK(queued["/tree"] == std::vector{0.0, 10.0});
    CHECK(queued["/c"] == std::vector{15.0});
}

TEST_CASE_FIXTURE(Many, "a command is cancelled while it waits for its turn")
{
    auto type = asio::cancellation_type::terminal;
    SUBCASE("terminal") {}
    SUBCASE("partial")
    {
        type = asio::cancellation_type::partial;
    }
    takes("/tree", 12s);
    std::string path = "/tree";
    SUBCASE("in the worktree's line") {}
    SUBCASE("for a slot")
    {
        options.max_parallel = 1;
        path = "/other";
    }
    SUBCASE("for a lock")
    {
        options.on_busy = OnBusy::wait;
        path = "/other";
        handoff->at("/other").lock_error = errc::worktree_busy;
    }
    begin("/tree");
    const auto& waiting = begin(CommandRequest("build", path), cancel.slot());
    const auto& last = begin("/tree");
    clock->at(7s, [&] { cancel.emit(type); });
    clock->run(ctx);
    CHECK_FALSE(waiting.ec);
    CHECK(waiting.result.status == ExecutionStatus::cancelled);
    CHECK(waiting.result.error->code == "cancelled");
    CHECK(waiting.result.attempts == 0);
    CHECK(waiting.result.queued == 7s);
    CHECK(waiting.at == 7s);
    CHECK(last.at == 30s);
    CHECK(tree.published.size() == 2);
    CHECK(sink->metrics().size() == 2);
    const bool waits_for_lock = options.on_busy == OnBusy::wait;
    CHECK(sink->count(EventType::waiting_for_worktree) == (waits_for_lock ? 1U : 0U));
}

TEST_CASE_FIXTURE(Many, "the order in line survives one that leaves it")
{
    takes("/tree", 2s);
    begin("/tree");
    const auto& second = begin(CommandRequest("build", "/tree"), cancel.slot());
    begin("/tree");
    begin("/tree");
    clock->at(1s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    clock->run(ctx);
    CHECK(second.at == 1s);
    CHECK(ends[0]->at == 5s);
    CHECK(ends[2]->at == 10s);
    CHECK(ends[3]->at == 15s);
}

TEST_CASE_FIXTURE(Many, "stopping ends all that is in flight, and refuses what is new")
{
    options.max_parallel = 2;
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 600s;
    tree.on_publish = [&] { tree.take(); };  // at work; obeys at 9 s
    handoff->at("/retried").on_publish = [&] { handoff->at("/retried").fail("boom", "", true); };
    begin("/tree");
    begin("/tree");     // in the worktree's line
    begin("/retried");  // between its attempts
    begin("/third");    // nobody takes it
    begin("/fourth");   // waits for a slot
    int stopped = 0;
    clock->at(7s, [&] {
        for (int i = 0; i < 2; ++i)
            asio::co_spawn(ctx, make().stop(), [&](std::exception_ptr e) {
                CHECK_FALSE(e);
                ++stopped;
                for (const auto& end : ends) CHECK(end->results == 1);
            });
    });
    clock->at(9s, [&] { tree.complete(); });
    clock->run(ctx);
    CHECK(stopped == 2);
    for (const auto& end : ends) {
        CHECK_FALSE(end->ec);
        CHECK(end->result.status == ExecutionStatus::cancelled);
        CHECK(end->at <= 9s);
    }
    for (const auto& [path, its] : handoff->trees) {
        CHECK_FALSE(its->locked);
        CHECK_FALSE(its->command);
    }
    stop();  // again
    CHECK(begin("/tree").results == 0);
    clock->run(ctx);
    CHECK(ends.back()->ec == errc::stopped);
    CHECK(ends.back()->result.error->message.find("stopped") != std::string::npos);
}

TEST_CASE_FIXTURE(Many, "stopping cannot be cut short")
{
    tree.on_publish = [&] { tree.take(); };
    begin("/tree");
    bool stopped = false;
    asio::co_spawn(ctx, make().stop(),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr) {
                       stopped = true;
                       CHECK(ends.front()->results == 1);
                   }));
    clock->at(1s, [&] { cancel.emit(asio::cancellation_type::all); });
    clock->at(9s, [&] { tree.complete(); });
    clock->run(ctx);
    CHECK(stopped);
}

TEST_CASE_FIXTURE(Many, "stopping with nothing in flight ends at once")
{
    stop();
    CHECK(clock->elapsed() == 0s);
}

TEST_CASE_FIXTURE(Many, "operations end even when their executor is destroyed")
{
    takes("/tree", 12s);
    begin("/tree");
    begin("/tree");
    clock->at(3s, [&] { executor.reset(); });
    clock->run(ctx);
    for (const auto& end : ends) CHECK(end->result.status == ExecutionStatus::completed);
    CHECK(ends.back()->at == 30s);
}

TEST_CASE_FIXTURE(Many, "waiting for nearly for ever is no overflow")
{
    options.timeout = std::chrono::milliseconds::max();
    options.total_timeout = std::chrono::milliseconds::max();
    options.max_polling_interval = std::chrono::milliseconds::max();
    options.start_timeout = std::chrono::milliseconds::max();
    options.stall_timeout = std::chrono::milliseconds::max();
    options.retry.max_delay = std::chrono::milliseconds::max();
    takes("/tree", 12s);
    auto r = request();
    SUBCASE("by the options") {}
    SUBCASE("by the request")
    {
        r.timeout = std::chrono::milliseconds::max();
    }
    begin(std::move(r));
    clock->run(ctx);
    CHECK(ends.front()->result.status == ExecutionStatus::completed);
    CHECK(ends.front()->at == 15s);
}

TEST_CASE_FIXTURE(Many, "what cannot be handed over exactly is refused")
{
    begin(request("caf\xe9"));
    auto r = request("run");
    r.argv = {"run", "\xff"};
    begin(std::move(r));
    begin(CommandRequest("run", std::string("/tree\0/../x", 11)));
    clock->run(ctx);
    CHECK(ends[0]->ec == errc::invalid_command);
    CHECK(ends[1]->ec == errc::invalid_command);
    CHECK(ends[2]->ec == errc::invalid_worktree);
    CHECK(tree.published.empty());
}

// Destroys everything after every n-th step, with commands at every stage of their lives.
TEST_CASE("the context may end after any handler")
{
    const auto descriptors = open_descriptors();
    bool finished = false;
    int steps = 0;
    for (; !finished; ++steps) {
        CAPTURE(steps);
        TemporaryFolder project;
        auto handoff = std::make_shared<MemoryHandoff>();
        {
            Many f;
            f.options.project_root = project.path();
            f.options.handoff = f.handoff = handoff;
            f.options.enable_audit = f.options.enable_metrics = true;
            f.options.max_parallel = 2;
            f.options.notifier = local_notifier();
            f.options.retry.max_attempts = 2;
            asio::cancellation_signal second;
            f.takes("/a", 3s);
            auto& b = handoff->at("/b");
            b.on_publish = [&] { b.fail("boom", "", b.published.size() == 1); };
            f.begin("/a");
            f.begin("/a");
            f.begin("/b");
            f.begin(CommandRequest("build", "/c"), second.slot());
            f.clock->at(17s, [&] { second.emit(asio::cancellation_type::total); });
            for (int i = 0; i < steps && !finished; ++i) finished = !f.clock->step(f.ctx);
            if (finished)
                for (const auto& end : f.ends) CHECK(end->results == 1);
            if (steps % 2 == 0) f.executor.reset();
            // No agent is left, either.
            for (const auto& [path, tree] : handoff->trees) tree->on_publish = nullptr;
        }
        for (const auto& [path, tree] : handoff->trees) CHECK_FALSE(tree->locked);
        // The next executor finds what was in flight, and leaves nothing of it.
        Many next;
        next.options.project_root = project.path();
        next.options.handoff = handoff;
        std::size_t interrupted = 0;
        std::size_t again = 0;
        next.await([&]() -> asio::awaitable<void> {
            auto found = co_await next.make().recover();
            interrupted = found.size();
            // What its agents still hold is left until they have ended.
            for (const auto& [path, tree] : handoff->trees)
                for (auto& [attempt, claim] : tree->claims) claim = ClaimState::free;
            found = co_await next.make().recover();
            again = found.size();
        });
        std::size_t open = 0;
        for (const auto& [path, tree] : handoff->trees) {
            open += tree->command.has_value();
            CHECK((!tree->command || tree->published.empty()));
            CHECK_FALSE(tree->cancel);
        }
        CHECK(open == 0);
        CHECK(interrupted <= 2);
        CHECK(again == 0);
        CHECK(records::list_running(project.path()).empty());
    }
    CHECK(steps > 100);
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE("the context may end after any handler, by the real clock, too" *
          doctest::test_suite("sweep"))
{
    constexpr int handlers = 120;
    const int step = std::max(handlers / static_cast<int>(sweep_rounds(15, handlers)), 1);
    for (int n = 0; n < handlers; n += step) {
        Many f;
        f.options.clock.reset();
        f.options.polling_interval = 1ms;
        f.options.enable_audit = f.options.enable_metrics = true;
        f.options.on_busy = OnBusy::wait;
        auto& a = f.handoff->at("/a");
        a.on_publish = [&] { a.complete(); };
        f.handoff->at("/b").lock_error = errc::worktree_busy;
        for (int i = 0; i < 3; ++i) f.begin("/a");
        f.begin("/b");
        f.begin("/c");
        asio::co_spawn(f.ctx, f.make().recover(), [](auto&&...) {});
        if (n % 3 == 0) asio::co_spawn(f.ctx, f.make().stop(), asio::detached);
        for (int i = 0; i < n && f.ctx.run_one_for(20s) > 0; ++i) {
        }
    }
}

TEST_CASE_FIXTURE(Many, "a dead executor's attempt is adopted, and its result counts")
{
    std::string execution;
    std::string attempt;
    {
        Many dead;
        dead.options.project_root = project.path();
        dead.options.handoff = handoff;
        tree.on_publish = [&] { tree.take(); };
        dead.begin("/tree");
        dead.clock->run_until(dead.ctx, 7s);
        execution = tree.published.back().execution_id;
        attempt = tree.attempt_id();
    }
    CHECK_FALSE(tree.locked);
    CHECK(tree.command);
    const AttemptReference reference(execution, attempt, 3);
    CommandRequest request("build", "/tree");
    std::optional<ExecutionResult> told;
    const auto hooks = std::make_shared<CommandHooks>();
    request.hooks = hooks;
    hooks->on_end = [&](ExecutionResult r) -> asio::awaitable<void> {
        CHECK_FALSE(tree.claims.empty());  // what is in flight is known until then
        told = std::move(r);
        co_return;
    };
    clock->at(12s, [&] { tree.complete(); });
    const auto& behind = begin("/other");
    await([&]() -> asio::awaitable<void> {
        auto r = co_await make().adopt(reference, request);
        CHECK(r.status == ExecutionStatus::completed);
        CHECK(r.execution_id == execution);
        CHECK(r.attempt_id == attempt);
        CHECK(r.duration == 15s);
        CHECK(r.attempts == 3);
        make().cancel(behind.result.execution_id);
        co_await make().stop();
    });
    CHECK_FALSE(tree.command);
    CHECK(tree.claims.empty());
    CHECK(records::list_running(project.path()).empty());
    CHECK(sink->count(EventType::execution_completed) == 1);
    CHECK(sink->metrics().front().retry_count == 2);
    REQUIRE(told);
    CHECK(told->status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Many, "an adopted attempt is verified against what was there before it")
{
    bool changes = false;
    SUBCASE("changed")
    {
        changes = true;
    }
    SUBCASE("unchanged") {}
    CommandRequest request("build", "/tree");
    request.expected_artifacts = {"report.md"};
    tree.create("report.md");
    {
        Many dead;
        dead.options.project_root = project.path();
        dead.options.handoff = handoff;
        tree.on_publish = [&] { tree.take(); };
        dead.make().async_execute_command(request, [](error_code, ExecutionResult) {});
        dead.clock->run_until(dead.ctx, 7s);
    }
    const AttemptReference reference(tree.published.back().execution_id, tree.attempt_id(), 1);
    clock->at(12s, [&] {
        if (changes) tree.create("report.md");
        tree.complete();
    });
    await([&]() -> asio::awaitable<void> {
        const auto r = co_await make().adopt(reference, request);
        CHECK(r.status == ExecutionStatus::completed);
        CHECK(r.verified == (changes ? Verification::all : Verification::none));
    });
}

TEST_CASE_FIXTURE(Many, "an adopted execution is tried again by the rules of its request")
{
    tree.published.emplace_back();
    tree.published.back().attempt_id = "a";
    tree.take();
    const AttemptReference reference("e", "a", 1);
    CommandRequest request("build", "/tree");
    request.idempotent = true;
    request.max_attempts = 3;
    std::size_t told = 0;
    const auto hooks = std::make_shared<CommandHooks>();
    request.hooks = hooks;
    hooks->on_end = [&](ExecutionResult) -> asio::awaitable<void> {
        ++told;
        co_return;
    };
    SUBCASE("when it failed")
    {
        clock->at(12s, [&] { tree.fail("as scripted"); });
    }
    SUBCASE("when its agent was lost")
    {
        clock->at(12s, [&] { tree.claims["a"] = ClaimState::free; });
    }
    tree.on_publish = [&] { tree.complete(); };
    await([&]() -> asio::awaitable<void> {
        const auto r = co_await make().adopt(reference, request);
        CHECK(r.status == ExecutionStatus::completed);
        CHECK(r.attempts == 2);
    });
    CHECK(told == 1);
    CHECK(tree.published.size() == 2);
    CHECK(sink->metrics().size() == 2);
}

TEST_CASE_FIXTURE(Many, "a result that cannot be stored leaves the attempt to be adopted")
{
    CommandRequest request("build", "/tree");
    const auto hooks = std::make_shared<CommandHooks>();
    request.hooks = hooks;
    hooks->on_end = [](ExecutionResult) -> asio::awaitable<void> {
        throw std::runtime_error("no room");
        co_return;
    };
    tree.on_publish = [&] { tree.complete(); };
    await([&]() -> asio::awaitable<void> {
        const auto first = co_await make().execute_command(request);
        CHECK(first.status == ExecutionStatus::completed);
        CHECK_FALSE(first.warnings.empty());
        const AttemptReference reference(first.execution_id, first.attempt_id, 1);
        request.hooks = nullptr;
        const auto again = co_await make().adopt(reference, request);
        CHECK(again.status == ExecutionStatus::completed);
        CHECK(again.execution_id == first.execution_id);
    });
    CHECK(tree.published.size() == 1);
    CHECK(records::list_running(project.path()).empty());
}

TEST_CASE_FIXTURE(Many, "an end during the delay before another attempt is reported, too")
{
    CommandRequest request("build", "/tree");
    request.idempotent = true;
    request.max_attempts = 2;
    const auto hooks = std::make_shared<CommandHooks>();
    request.hooks = hooks;
    hooks->before_retry = [](fs::path) -> asio::awaitable<std::string> {
        throw std::runtime_error("not as it must be");
        co_return std::string();
    };
    std::size_t told = 0;
    hooks->on_end = [&](ExecutionResult) -> asio::awaitable<void> {
        ++told;
        co_return;
    };
    tree.on_publish = [&] { tree.fail("as scripted"); };
    await([&]() -> asio::awaitable<void> {
        const auto r = co_await make().execute_command(request);
        CHECK(r.status == ExecutionStatus::failed);
        CHECK(r.attempts == 1);
    });
    CHECK(told == 1);
    CHECK(tree.published.size() == 1);
}

TEST_CASE_FIXTURE(Many, "an attempt that has never begun is made when it is adopted")
{
    const AttemptReference reference("e", "a", 1);
    const CommandRequest request("build", "/tree");
    tree.on_publish = [&] { tree.complete(); };
    await([&]() -> asio::awaitable<void> {
        const auto r = co_await make().adopt(reference, request);
        CHECK(r.status == ExecutionStatus::completed);
        CHECK(r.execution_id == "e");
        CHECK(r.attempts == 1);
    });
    CHECK(sink->metrics().size() == 1);
}

TEST_CASE_FIXTURE(Many, "an adopted attempt has its record, although a reader had the lock")
{
    protocol::RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.worktree = "/tree";
    leave_record(project.path(), record);
    const auto lock_file = fs::directory_iterator(project / layout::engines)->path();
    files::UniqueFd reader(::open(lock_file.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(::flock(reader.get(), LOCK_SH | LOCK_NB) == 0);
    clock->at(60ms, [&] { reader = files::UniqueFd(); });
    tree.claims["a"] = ClaimState::live;
    bool alive = false;
    clock->at(12s, [&] {
        const auto entries = records::list_running(project.path());
        alive = entries.size() == 1 && entries.front().alive;
        AgentStatus status;
        status.status = ReportedStatus::completed;
        status.attempt_id = "a";
        tree.write(status);
        tree.claims["a"] = ClaimState::free;
    });
    await([&]() -> asio::awaitable<void> {
        const AttemptReference reference("e", "a", 1);
        const CommandRequest request("build", "/tree");
        const auto r = co_await make().adopt(reference, request);
        CHECK(r.status == ExecutionStatus::completed);
    });
    CHECK(alive);
    CHECK(records::list_running(project.path()).empty());
}

TEST_CASE_FIXTURE(Many, "an attempt is not adopted while its executor lives")
{
    takes("/tree", 12s);
    begin("/tree");
    clock->run_until(ctx, 3s);
    const AttemptReference reference("e", tree.attempt_id(), 1);
    const CommandRequest request("build", "/tree");
    error_code refused;
    std::string why;
    auto body = [&]() -> asio::awaitable<void> {
        try {
            co_await make().adopt(reference, request);
        } catch (const system_error& e) {
            refused = e.code();
            why = e.what();
        }
        CHECK(clock->elapsed() < 4s);
    };
    SUBCASE("by the same executor") {}
    SUBCASE("by another one")
    {
        executor.reset();
    }
    await(body);
    CHECK(refused == errc::worktree_busy);
    CHECK(why.find("/tree") != std::string::npos);
    CHECK(ends.front()->result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Many, "a command waits for an adopted one in its worktree")
{
    tree.published.emplace_back();
    tree.published.back().attempt_id = "a";
    tree.take();
    const AttemptReference reference("e", "a", 1);
    const CommandRequest request("build", "/tree");
    asio::co_spawn(ctx, make().adopt(reference, request), asio::detached);
    clock->run_until(ctx, 1s);
    tree.on_publish = [&] { tree.complete(); };
    const auto& waiting = begin("/tree");
    clock->at(12s, [&] { tree.complete(); });
    clock->run(ctx);
    CHECK_FALSE(waiting.ec);
    CHECK(waiting.result.status == ExecutionStatus::completed);
    CHECK(waiting.at >= 12s);
    CHECK(tree.published.size() == 2);
}

TEST_CASE_FIXTURE(Many, "watching touches nothing")
{
    std::optional<ExecutionResult> r;
    const auto watch = [&](std::vector<std::string> artifacts) {
        await([&, artifacts]() -> asio::awaitable<void> {
            auto got = co_await make().poll_for_completion("/tree", artifacts, 62s);
            r = std::move(got);
        });
    };
    SUBCASE("a status")
    {
        clock->at(12s, [&] { tree.write_text(R"({"status": "completed"})"); });
        watch({});
        CHECK(r->status == ExecutionStatus::completed);
        CHECK(r->duration == 15s);
        CHECK(tree.root_status);
    }
    SUBCASE("a status that is there already")
    {
        tree.write_text(R"({"status": "failed", "error": "boom"})");
        watch({});
        CHECK(r->status == ExecutionStatus::failed);
        CHECK(r->error->message == "boom");
    }
    SUBCASE("artifacts")
    {
        clock->at(12s, [&] { tree.create("a"); });
        watch({"a"});
        CHECK(r->status == ExecutionStatus::completed);
        CHECK(r->completion_method == CompletionMethod::artifact_detection);
    }
    SUBCASE("nothing")
    {
        tree.command.emplace();
        watch({});
        CHECK(r->status == ExecutionStatus::timeout);
        CHECK(r->duration == 62s);
        CHECK(tree.command);
        tree.command.reset();
    }
    SUBCASE("while a command runs there")
    {
        takes("/tree", 12s);
        begin("/tree");
        watch({});
        CHECK(ends.front()->result.status == ExecutionStatus::completed);
        tree.calls.clear();
    }
    CHECK(tree.calls.empty());
    CHECK_FALSE(tree.locked);
    CHECK(sink->count(EventType::execution_failed) == 0);
}

TEST_CASE_FIXTURE(Many, "watching is cancelled, and stopped")
{
    std::optional<ExecutionResult> r;
    auto body = [&]() -> asio::awaitable<void> {
        auto got = co_await make().poll_for_completion("/tree");
        r = std::move(got);
    };
    asio::co_spawn(ctx, body, asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    SUBCASE("cancelled")
    {
        clock->at(7s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    }
    SUBCASE("stopped")
    {
        clock->at(7s, [&] { asio::co_spawn(ctx, make().stop(), asio::detached); });
    }
    clock->run(ctx);
    REQUIRE(r);
    CHECK(r->status == ExecutionStatus::cancelled);
    CHECK(r->duration == 7s);
    CHECK(tree.calls.empty());
}

TEST_CASE_FIXTURE(Many, "one look at a status changes nothing")
{
    TemporaryFolder trees;
    options.handoff.reset();
    const auto root = trees / "tree";
    const auto status = root / ".cursor-skill-status.json";
    CHECK_FALSE(make().check_status(root).status_file_exists);
    CHECK(make().check_status(root).problem.find("does not exist") != std::string::npos);
    fs::create_directory(root);
    const auto before = fs::last_write_time(root);
    const auto look = [&](std::string_view text) {
        write_file(status, text);
        return make().check_status(root);
    };
    CHECK_FALSE(make().check_status(root).status_file_exists);
    CHECK(make().check_status(root).problem.empty());

    auto check = look(R"({"status": "completed", "artifacts": ["a"]})");
    CHECK(check.status_file_exists);
    CHECK(check.completed);
    REQUIRE(check.status);
    CHECK(check.status->artifacts == std::vector<std::string>{"a"});
    check = look(R"({"status": "running"})");
    CHECK(check.status_file_exists);
    CHECK_FALSE(check.completed);
    CHECK(check.status);
    check = look(R"({"status": "comp)");
    CHECK(check.status_file_exists);
    CHECK_FALSE(check.status);
    check = look("[]");
    CHECK_FALSE(check.status);
    CHECK_FALSE(check.problem.empty());
    fs::remove(status);
    write_file(root / ".cursor/.cursor-skill-status.json", R"({"status": "failed"})");
    CHECK(make().check_status(root).completed);

    fs::remove_all(root / ".cursor");
    fs::last_write_time(root, before);
    (void)make().check_status(root);
    CHECK(fs::is_empty(root));
    CHECK(fs::last_write_time(root) == before);
}

TEST_CASE_FIXTURE(Many, "what a dead executor left is reported once, and removed")
{
    options.enable_metrics = true;
    protocol::RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.attempt = 2;
    record.workflow_id = "w";
    record.command = "build";
    record.worktree = "/tree";
    record.started_at = text::parse_iso("2026-01-19T23:59:00+00:00");
    const auto leave = [&] { leave_record(project.path(), record); };
    leave();
    bool alive = false;
    bool known = false;
    tree.command.emplace();
    tree.write_text(R"({"status": "running"})");
    SUBCASE("its agent is gone") {}
    SUBCASE("its agent is at work")
    {
        alive = true;
        tree.claims["a"] = ClaimState::live;
    }
    SUBCASE("it had been recorded")
    {
        known = true;
    }
    std::size_t first = 0;
    std::size_t second = 0;
    await([&]() -> asio::awaitable<void> {
        auto found = co_await make().recover();
        first = found.size();
        if (first == 1) {
            CHECK(found[0].execution_id == "e");
            CHECK(found[0].attempt_id == "a");
            CHECK(found[0].workflow_id == "w");
            CHECK(found[0].worktree == "/tree");
            CHECK(found[0].agent_alive == alive);
        }
        if (known) leave();  // as if it had died before it could tidy up
        auto again = co_await make().recover();
        second = again.size();
    });
    CHECK(first == 1);
    CHECK(second == 0);  // what was recorded is tidied up silently
    CHECK_FALSE(tree.command);
    CHECK_FALSE(tree.root_status);
    CHECK(tree.cancel.has_value() == alive);
    CHECK(tree.claims.contains("a") == alive);
    if (alive) CHECK(tree.cancel->reason == "interrupted");
    CHECK_FALSE(tree.locked);
    CHECK(records::list_running(project.path()).empty() != alive);
    if (alive) {  // the record stays until its agent has ended
        tree.claims["a"] = ClaimState::free;
        await([&]() -> asio::awaitable<void> {
            auto last = co_await make().recover();
            CHECK(last.empty());
        });
        CHECK_FALSE(tree.cancel);
        CHECK(tree.claims.empty());
        CHECK(records::list_running(project.path()).empty());
    }
    CHECK(sink->count(EventType::execution_interrupted) == first + second);
    const auto metrics = sink->metrics();
    REQUIRE(metrics.size() == 1);
    CHECK(metrics[0].status == ExecutionStatus::failed);
    CHECK(metrics[0].retry_count == 1);
    CHECK(metrics[0].duration == (alive ? 61s : 60s));  // it was waited for
    CHECK(names_below(project / ".tapps-agents/metrics").size() == 2);
}

TEST_CASE_FIXTURE(
    Many, "an agent that claims a dead executor's command at the last moment is asked to stop")
{
    protocol::RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.worktree = "/tree";
    leave_record(project.path(), record);
    tree.command.emplace();
    tree.on_withdraw = [&] { tree.claims["a"] = ClaimState::live; };
    bool alive = false;
    await([&]() -> asio::awaitable<void> {
        auto found = co_await make().recover();
        alive = found.size() == 1 && found[0].agent_alive;
    });
    CHECK(alive);
    CHECK(tree.cancel);
    CHECK_FALSE(records::list_running(project.path()).empty());
}

TEST_CASE_FIXTURE(Many, "what a dead executor left in a busy worktree is cleaned later")
{
    protocol::RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.worktree = "/tree";
    leave_record(project.path(), record);
    tree.claims["a"] = ClaimState::free;
    tree.locked = true;
    bool kept = true;
    SUBCASE("after another executor has ended") {}
    SUBCASE("at once where an agent has only asked for the lock")
    {
        kept = false;
        clock->at(60ms, [&] { tree.locked = false; });
    }
    std::size_t found = 0;
    const auto recover = [&]() -> asio::awaitable<void> {
        auto attempts = co_await make().recover();
        found += attempts.size();
    };
    await(recover);
    CHECK(found == (kept ? 0U : 1U));  // the other executor may have adopted it
    CHECK(sink->count(EventType::execution_interrupted) == found);
    CHECK(records::list_running(project.path()).empty() != kept);
    CHECK(tree.claims.empty() != kept);
    tree.locked = false;
    await(recover);
    CHECK(found == 1);
    CHECK(tree.claims.empty());
    CHECK(records::list_running(project.path()).empty());
}

TEST_CASE_FIXTURE(Many,
                  "recovery waits for busy worktrees a second at most, however many there are")
{
    for (int i = 0; i < 50; ++i) {
        protocol::RunningRecord record;
        record.execution_id = "e" + std::to_string(i);
        record.attempt_id = "a" + std::to_string(i);
        record.worktree = "/tree" + std::to_string(i);
        leave_record(project.path(), record);
        handoff->at(record.worktree).locked = true;
    }
    std::size_t found = 0;
    await([&]() -> asio::awaitable<void> {
        auto attempts = co_await make().recover();
        found = attempts.size();
    });
    CHECK(found == 0);
    CHECK(clock->elapsed() <= 1s);
    CHECK(records::list_running(project.path()).size() == 50);
}

TEST_CASE_FIXTURE(Many, "what another executor has in flight is left alone")
{
    protocol::RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.worktree = "/tree";
    records::RunningRecords its(project.path());
    REQUIRE_FALSE(its.put(record));
    tree.command.emplace();
    await([&]() -> asio::awaitable<void> {
        auto found = co_await make().recover();
        CHECK(found.empty());
    });
    CHECK(tree.command);
    CHECK(sink->events.empty());
    its.remove("a");
}

TEST_CASE_FIXTURE(Many, "recovering twice at once tells each attempt once")
{
    for (int i = 0; i < 5; ++i) {
        protocol::RunningRecord record;
        record.execution_id = "e" + std::to_string(i);
        record.attempt_id = "a" + std::to_string(i);
        record.worktree = "/tree";
        leave_record(project.path(), record);
    }
    write_file(project / ".tapps-agents/running/garbage.json", "[");
    write_file(project / ".tapps-agents/running/empty.json", "");
    fs::create_symlink("/dev/zero", project / ".tapps-agents/running/link.json");
    std::size_t found = 0;
    for (int i = 0; i < 2; ++i)
        asio::co_spawn(ctx, make().recover(),
                       [&](std::exception_ptr e, std::vector<InterruptedAttempt> attempts) {
                           CHECK_FALSE(e);
                           found += attempts.size();
                       });
    clock->run(ctx);
    CHECK(found == 5);
    CHECK(sink->count(EventType::execution_interrupted) == 5);
}

TEST_CASE_FIXTURE(Many, "events come in order, and a sink that is full is flushed before the next")
{
    struct Slow final : EventSink {
        std::vector<EventType> events;
        std::size_t waiting = 0;
        std::size_t most = 0;
        std::size_t flushes = 0;
        void publish(const Event& e) override
        {
            events.push_back(e.type);
            most = std::max(most, ++waiting);
        }
        bool full() const noexcept override { return waiting >= 2; }
        asio::awaitable<error_code> flush() override
        {
            const auto ex = co_await asio::this_coro::executor;
            co_await asio::post(ex, asio::use_awaitable);
            waiting = 0;
            ++flushes;
            co_return error_code{};
        }
    };
    const auto slow = std::make_shared<Slow>();
    options.retry.max_attempts = 2;
    tree.on_publish = [&] {
        if (tree.published.size() == 1)
            tree.fail("boom", "", true);
        else
            tree.complete();
    };
    make().subscribe(slow);
    begin("/tree");
    clock->run(ctx);
    using enum EventType;
    CHECK(slow->events == std::vector{command_detected, execution_started, execution_failed,
                                      execution_retry, command_detected, execution_started,
                                      execution_completed});
    CHECK(slow->most == 2);
    CHECK(slow->flushes >= 3);
    CHECK(slow->waiting == 0);
}

TEST_CASE_FIXTURE(Many, "a sink may subscribe another, and one that throws costs no result")
{
    struct Odd final : EventSink {
        BackgroundAgentAutoExecutor* executor = nullptr;
        std::shared_ptr<RecordingSink> other = std::make_shared<RecordingSink>();
        bool subscribed = false;
        void publish(const Event&) override
        {
            if (subscribed) return;
            subscribed = true;
            for (int i = 0; i < 20; ++i) executor->subscribe(other);
        }
        bool full() const noexcept override { return true; }
        asio::awaitable<error_code> flush() override
        {
            const auto ex = co_await asio::this_coro::executor;
            co_await asio::post(ex, asio::use_awaitable);
            throw std::runtime_error("no");
        }
    };
    const auto odd = std::make_shared<Odd>();
    odd->executor = &make();
    make().subscribe(odd);
    options.tree_state = nullptr;
    tree.on_publish = [&] { tree.complete(); };
    begin("/tree");
    clock->run(ctx);
    CHECK(ends.front()->result.status == ExecutionStatus::completed);
    CHECK_FALSE(ends.front()->result.warnings.empty());
    CHECK(odd->other->count(EventType::execution_completed) == 20);
    CHECK_FALSE(tree.command);
}

TEST_CASE_FIXTURE(Many, "a tree that cannot be described costs no retry")
{
    options.retry.max_attempts = 2;
    options.tree_state = [](fs::path) -> asio::awaitable<std::string> {
        throw std::runtime_error("no git here");
        co_return std::string();
    };
    tree.on_publish = [&] {
        if (tree.published.size() == 1)
            tree.fail("boom", "", true);
        else
            tree.complete();
    };
    begin("/tree");
    clock->run(ctx);
    CHECK(ends.front()->result.status == ExecutionStatus::completed);
    CHECK(ends.front()->result.attempts == 2);
}

TEST_CASE_FIXTURE(Many, "a cancellation while records are flushed cuts nothing short")
{
    struct Waiting final : EventSink {
        std::shared_ptr<VirtualClock> clock;
        int flushed = 0;
        void publish(const Event&) override {}
        asio::awaitable<error_code> flush() override
        {
            // One that throws when it is cancelled, as Asio's own operations do.
            asio::steady_timer timer(co_await asio::this_coro::executor,
                                     asio::steady_timer::time_point::max());
            clock->at(clock->elapsed() + 10s, [&timer] { timer.expires_at({}); });
            error_code ignored;
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            if (clock->elapsed() < 25s) throw std::runtime_error("cut short");
            ++flushed;
            co_return error_code{};
        }
    };
    const auto waiting = std::make_shared<Waiting>();
    waiting->clock = clock;
    make().subscribe(waiting);
    clock->at(12s, [&] { tree.complete(); });
    begin(request(), cancel.slot());
    clock->at(17s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    clock->run(ctx);
    CHECK(waiting->flushed == 1);
    CHECK(ends.front()->result.status == ExecutionStatus::completed);
    CHECK(ends.front()->result.warnings.empty());
    CHECK(ends.front()->at == 25s);
    CHECK_FALSE(tree.command);
}

TEST_CASE("fifty worktrees at once, with agents of every kind: one result each" *
          doctest::test_suite("sweep"))
{
    std::mt19937_64 random(sweep_seed());
    const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };

    Many f;
    f.options.polling_interval = 1s;
    f.options.adaptive_polling = true;
    f.options.max_parallel = 7;
    f.options.timeout = 90s;
    f.options.start_timeout = 20s;
    f.options.retry.max_attempts = 3;
    f.options.random = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
    f.options.notifier = local_notifier();
    f.options.enable_audit = f.options.enable_metrics = true;
    std::vector<asio::cancellation_signal> signals(100);

    for (int i = 0; i < 50; ++i) {
        const auto path = "/tree" + std::to_string(i);
        auto& its = f.handoff->at(path);
        its.on_publish = [&, path] {
            CHECK(its.locked);
            const auto id = its.attempt_id();
            const auto later = [&](int max_ms, auto what) {
                const auto at = f.clock->elapsed() + std::chrono::milliseconds{up_to(max_ms)};
                f.clock->at(at, [&, id, what] {
                    if (!its.command && !its.claims.contains(id)) return;  // not ours any more
                    if (!its.published.empty() && its.attempt_id() == id) what();
                });
            };
            switch (up_to(6)) {
                case 0:
                    later(30'000, [&] { its.complete(); });
                    break;
                case 1:
                    later(30'000, [&] { its.fail("boom", "", up_to(2) == 0); });
                    break;
                case 2:  // takes it, dies
                    its.take();
                    later(30'000, [&, id] { its.claims[id] = ClaimState::free; });
                    break;
                case 3:  // takes it, writes garbage, then finishes or not
                    its.take();
                    later(10'000, [&] { its.write_text("[]"); });
                    later(120'000, [&] { its.complete(); });
                    break;
                case 4:  // takes it, never reports, obeys a stop
                    its.take();
                    for (int t = 1; t < 120; ++t)
                        f.clock->at(f.clock->elapsed() + t * 1s, [&, id] {
                            if (its.cancel && its.cancel->attempt_id == id) its.claims.erase(id);
                        });
                    break;
                default:  // nobody
                    break;
            }
        };
    }
    for (int i = 0; i < 100; ++i) {
        CommandRequest r("build", "/tree" + std::to_string(up_to(50)));
        r.idempotent = up_to(2) == 0;
        auto& signal = signals[static_cast<std::size_t>(i)];
        f.begin(std::move(r), signal.slot());
        if (up_to(4) == 0) {
            const auto type = up_to(2) == 0 ? asio::cancellation_type::terminal
                                            : asio::cancellation_type::partial;
            f.clock->at(std::chrono::milliseconds{up_to(200'000)},
                        [&signal, type] { signal.emit(type); });
        }
    }
    f.clock->run(f.ctx);

    std::set<std::string> ids;
    std::size_t attempts = 0;
    for (const auto& end : f.ends) {
        CHECK(end->results == 1);
        if (end->ec) CHECK(end->ec == errc::worktree_busy_unconfirmed);
        const bool completed = !end->ec && end->result.status == ExecutionStatus::completed;
        CHECK(end->result.error.has_value() == !completed);
        CHECK(end->result.attempts <= 3);
        attempts += static_cast<std::size_t>(end->result.attempts);
        ids.insert(end->result.execution_id);
    }
    CHECK(ids.size() == f.ends.size());
    std::size_t published = 0;
    for (const auto& [path, its] : f.handoff->trees) {
        published += its->published.size();
        CHECK_FALSE(its->locked);
        CHECK_FALSE(its->command);
    }
    CHECK(published == attempts);
    std::set<std::pair<std::string, int>> keys;
    for (const auto& m : f.sink->metrics()) keys.emplace(m.execution_id, m.retry_count);
    CHECK(keys.size() == attempts);
    CHECK(f.sink->metrics().size() == attempts);
    CHECK(records::list_running(f.project.path()).empty());
}

TEST_CASE("two executors on the threads of one pool share their records")
{
    constexpr int each = 60;
    TemporaryFolder project;
    std::atomic<int> completed = 0;
    std::uint64_t recorded = 0;
    asio::thread_pool pool(4);
    {
        MetricsOptions for_metrics;
        for_metrics.project_root = project.path();
        AuditOptions for_audit;
        for_audit.project_root = project.path();
        ExecutorOptions options;
        options.project_root = project.path();
        options.polling_interval = 1ms;
        options.start_timeout = 0ms;
        options.metrics =
            std::make_shared<ExecutionMetricsCollector>(pool.get_executor(), for_metrics);
        options.audit = std::make_shared<AuditLogger>(pool.get_executor(), for_audit);
        options.notifier = local_notifier();
        options.max_parallel = 8;

        std::vector<std::unique_ptr<BackgroundAgentAutoExecutor>> executors;
        std::vector<std::shared_ptr<MemoryHandoff>> handoffs;
        for (int e = 0; e < 2; ++e) {
            auto handoff = std::make_shared<MemoryHandoff>();
            for (int i = 0; i < 10; ++i) {
                auto& tree = handoff->at("/tree" + std::to_string(i));
                tree.on_publish = [&tree] { tree.complete(); };
            }
            options.handoff = handoffs.emplace_back(std::move(handoff));
            executors.push_back(
                std::make_unique<BackgroundAgentAutoExecutor>(pool.get_executor(), options));
        }
        std::vector<std::thread> callers;
        for (auto& executor : executors)
            callers.emplace_back([&] {
                std::vector<std::future<ExecutionResult>> results;
                for (int i = 0; i < each; ++i) {
                    CommandRequest r("build", "/tree" + std::to_string(i % 10));
                    results.push_back(
                        executor->async_execute_command(std::move(r), asio::use_future));
                    executor->cancel("no such execution");
                    executor->subscribe(std::make_shared<RecordingSink>());
                }
                for (auto& result : results)
                    if (result.get().status == ExecutionStatus::completed) ++completed;
                asio::co_spawn(pool, executor->stop(), asio::use_future).get();
            });
        for (auto& caller : callers) caller.join();
        recorded = options.metrics->get_summary().total_executions;
    }
    pool.join();
    CHECK(completed == 2 * each);
    CHECK(recorded == 2 * each);
}

TEST_SUITE_END();
