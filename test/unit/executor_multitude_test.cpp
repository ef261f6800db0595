#include "support/executor_fixture.hpp"
#include "support/sweep.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

using std::chrono::milliseconds;

/// Executions in many worktrees, one after the other in each, with agents that do anything, and
/// events of which some get lost.
struct Multitude : ExecutorFixture {
    static constexpr std::size_t worktrees = 500;
    static constexpr int max_attempts = 3;

    struct Lane {
        std::string path;
        MemoryTree* tree = nullptr;
        asio::cancellation_signal cancel;
    };
    /// Without the events themselves: there are too many.
    struct Counter final : EventSink {
        std::map<std::string, int> attempts;  ///< Ended ones, by execution.
        void publish(const Event& event) override
        {
            if (event.metric) ++attempts[event.execution_id];
        }
    };

    explicit Multitude(std::size_t executions) : calls(executions)
    {
        options.notifier = notifier;
        options.timeout = 90s;
        options.start_timeout = 20s;
        options.max_parallel = 400;
        options.retry.max_attempts = max_attempts;
        options.on_busy = OnBusy::wait;  // for agents that do not stop
        options.random = [this] { return std::uniform_real_distribution<double>(0, 1)(random); };
        executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
        executor->subscribe(counter);
    }

    int up_to(int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); }
    std::chrono::nanoseconds within(milliseconds most)
    {
        return clock->elapsed() + milliseconds{up_to(static_cast<int>(most.count()))};
    }
    void notify(const Lane& lane)
    {
        if (up_to(4) > 0) notifier->notify(lane.path);  // else it is lost
    }

    /// Unless the attempt has ended.
    template <class What>
    void later(Lane& lane, milliseconds most, What what)
    {
        auto& its = *lane.tree;
        clock->at(within(most), [this, &lane, &its, id = its.attempt_id(), what] {
            if (its.attempt_id() != id || (!its.command && !its.claims.contains(id))) return;
            what(its);
            notify(lane);
        });
    }

    void serve(Lane& lane)
    {
        auto& its = *lane.tree;
        const int kind = up_to(8);
        if (kind > 1) its.take();
        switch (kind) {
            case 0:  // no agent comes
                break;
            case 1:  // an agent that does not claim
                later(lane, 30s, [](auto& t) { t.complete(); });
                break;
            case 2:
                later(lane, 30s,
                      [retry = up_to(2) == 0](auto& t) { t.fail("boom", "exit_1", retry); });
                break;
            case 3:  // it dies
                later(lane, 150s,
                      [id = its.attempt_id()](auto& t) { t.claims[id] = ClaimState::free; });
                break;
            case 4:  // writes garbage first
                later(lane, 10s, [](auto& t) { t.write_text("[]"); });
                [[fallthrough]];
            default:
                later(lane, 60s, [](auto& t) { t.complete(); });
                break;
        }
        // However it ends, its process does at some time.
        clock->at(clock->elapsed() + 150s, [&its, id = its.attempt_id()] {
            if (const auto claim = its.claims.find(id); claim != its.claims.end())
                claim->second = ClaimState::free;
        });
        if (up_to(8) == 0)
            clock->at(within(90s), [this, &lane] { notifier->notify(lane.path); });  // of nothing
    }

    void cancel_at_times(Lane& lane)
    {
        using Type = asio::cancellation_type;
        if (up_to(6) > 0) return;
        const auto type = up_to(2) == 0 ? Type::terminal : Type::partial;
        clock->at(within(120s), [&lane, type] { lane.cancel.emit(type); });
    }

    void start_next(Lane& lane)
    {
        if (started == calls.size()) return;
        CommandRequest request("build", lane.path);
        request.execution_id = std::to_string(started);
        request.idempotent = up_to(2) == 0;
        cancel_at_times(lane);
        executor->async_execute_command(
            std::move(request),
            asio::bind_cancellation_slot(
                lane.cancel.slot(),
                [this, &lane, i = started](error_code e, const ExecutionResult& r) {
                    ended(i, e, r);
                    start_next(lane);
                }));
        ++started;
    }

    void ended(std::size_t i, error_code e, const ExecutionResult& r)
    {
        ++calls[i];
        ++statuses[r.status];
        const auto counted = counter->attempts.find(r.execution_id);
        const int attempts = counted == counter->attempts.end() ? 0 : counted->second;
        // Without the cost of a check for each.
        if (r.execution_id != std::to_string(i)) FAIL("another execution's result");
        if (r.attempts != attempts || attempts > max_attempts) FAIL("its attempts are miscounted");
        if (e) FAIL(e.message());
        const bool completed = r.status == ExecutionStatus::completed;
        if (r.error.has_value() == completed) FAIL("a failure without a reason");
    }

    void run()
    {
        for (std::size_t i = 0; i < worktrees; ++i) {
            auto& lane = *lanes.emplace_back(std::make_unique<Lane>());
            lane.path = "/tree" + std::to_string(i);
            lane.tree = &handoff->at(lane.path);
            lane.tree->on_publish = [this, &lane] { serve(lane); };
            start_next(lane);
        }
        clock->run(ctx);
    }

    std::mt19937_64 random{sweep_seed()};
    std::shared_ptr<CoveringNotifier> notifier = std::make_shared<CoveringNotifier>();
    std::shared_ptr<Counter> counter = std::make_shared<Counter>();
    std::size_t started = 0;
    std::vector<std::uint8_t> calls;  ///< Of the handler of each execution.
    std::map<ExecutionStatus, std::size_t> statuses;
    std::vector<std::unique_ptr<Lane>> lanes;
};

}  // namespace

TEST_CASE("of a hundred thousand executions that end in any way, each has exactly one result" *
          doctest::test_suite("sweep"))
{
    const std::size_t executions = sweep_rounds(4000, 100'000);
    Multitude f(executions);
    f.run();
    CHECK(f.started == executions);
    CHECK(f.calls == std::vector<std::uint8_t>(executions, 1));
    // Each kind of end was there.
    for (const auto status : {ExecutionStatus::completed, ExecutionStatus::failed,
                              ExecutionStatus::timeout, ExecutionStatus::cancelled})
        CHECK_MESSAGE(f.statuses[status] > executions / 100, to_string(status));
    for (const auto& lane : f.lanes) {
        CHECK_FALSE(lane->tree->locked);
        CHECK_FALSE(lane->tree->command);
    }
    std::size_t records = 0;
    for (const auto& entry : fs::recursive_directory_iterator(f.project / ".tapps-agents/running"))
        records += entry.path().extension() == ".json";
    CHECK(records == 0);
}
