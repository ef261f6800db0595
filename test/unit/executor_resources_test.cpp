#include "files/safe_files.hpp"
#include "support/descriptor_limit.hpp"
#include "support/executor_fixture.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <cerrno>
#include <new>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

error_code system_error_of(int reason)
{
    return {reason, boost::system::system_category()};
}

FoundFile unreadable(int reason)
{
    FoundFile file;
    file.state = FoundFile::State::unreadable;
    file.reason = system_error_of(reason);
    file.problem = file.reason.message();
    return file;
}

struct ThrowingHandoff final : Handoff {
    std::unique_ptr<Mailbox> open(const std::filesystem::path&, error_code&, std::string&) override
    {
        throw std::bad_alloc();
    }
};

/// Memory runs out at one of its timers.
struct ThrowingClock final : Clock {
    explicit ThrowingClock(std::shared_ptr<Clock> c) : clock(std::move(c)) {}

    time_point now() const noexcept override { return clock->now(); }
    std::chrono::system_clock::time_point system_now() const noexcept override
    {
        return clock->system_now();
    }
    std::unique_ptr<Timer> make_timer(const asio::any_io_executor& ex) override
    {
        if (--left == 0) throw std::bad_alloc();
        return clock->make_timer(ex);
    }

    std::shared_ptr<Clock> clock;
    int left = 0;  ///< Timers up to and with the one that throws.
};

}  // namespace

TEST_CASE("only a want of descriptors, processes or memory is a shortage of resources")
{
    for (const int reason : {EMFILE, ENFILE, ENOMEM, EAGAIN})
        CHECK(files::is_resource_shortage(system_error_of(reason)));
    for (const int reason : {EACCES, ENOENT, ENOSPC, EIO})
        CHECK_FALSE(files::is_resource_shortage(system_error_of(reason)));
    CHECK(files::is_resource_shortage(errc::no_resources));
    CHECK_FALSE(files::is_resource_shortage(errc::worktree_busy));
    CHECK_FALSE(files::is_resource_shortage({}));
}

TEST_CASE("without a descriptor left, a file that is there is unreadable and another one absent")
{
    const TemporaryFolder folder;
    write_file(folder / "there", "text");
    const files::UniqueFd fd(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    FoundFile there;
    FoundFile missing;
    {
        const NoDescriptorsLeft limit;
        there = files::read_regular(fd.get(), "there", 100, {});
        missing = files::read_regular(fd.get(), "missing", 100, {});
    }
    CHECK(there.state == FoundFile::State::unreadable);
    CHECK(there.reason.value() == EMFILE);
    CHECK(missing.state == FoundFile::State::absent);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a result that cannot be read in time for want of descriptors "
                  "counts once it can be read")
{
    options.timeout = 20s;
    tree.on_publish = [&] { tree.take(); };
    clock->at(7s, [&] { tree.root_status = unreadable(EMFILE); });
    clock->at(23s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 23s);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a result that stays unreadable for want of descriptors is no "
                  "time-out")
{
    options.timeout = 20s;
    options.stop_grace = 4s;
    SUBCASE("of a claimed command")
    {
        tree.on_publish = [&] {
            tree.take();
            tree.root_status = unreadable(EMFILE);
        };
        clock->at(33s, [&] { tree.claims[tree.attempt_id()] = ClaimState::free; });
    }
    SUBCASE("of an agent that does not claim")
    {
        tree.on_publish = [&] { tree.root_status = unreadable(ENOMEM); };
    }
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "no_resources");
    CHECK(result.error->message.find("could not be read") != std::string::npos);
    CHECK(result.duration >= 20s + 4s + 5s);
    CHECK(result.duration < 40s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a status that cannot be read for another reason ends in time")
{
    options.timeout = 20s;
    tree.on_publish = [&] { tree.root_status = unreadable(EACCES); };
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.error->code == "timeout");
    CHECK(result.duration == 20s);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a command whose status cannot be read is not taken for one that "
                  "never started")
{
    options.start_timeout = 12s;
    options.timeout = 60s;
    options.retry.max_attempts = 2;
    tree.on_publish = [&] { tree.root_status = unreadable(EMFILE); };
    clock->at(33s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(tree.published.size() == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "an agent is told to stop as soon as there are descriptors for "
                  "it")
{
    options.timeout = 20s;
    tree.on_publish = [&] { tree.take(); };
    tree.stop_error = system_error_of(EMFILE);
    clock->at(22s, [&] { tree.stop_error = {}; });
    clock->at(24s, [&] { CHECK(tree.cancel); });
    clock->at(25s, [&] { tree.claims[tree.attempt_id()] = ClaimState::free; });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.warnings.empty());
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a command that cannot be handed over for want of resources says "
                  "so")
{
    SUBCASE("locking the worktree")
    {
        tree.lock_error = system_error_of(EMFILE);
    }
    SUBCASE("publishing")
    {
        tree.publish_error = system_error_of(ENFILE);
    }
    execute();
    CHECK(ec == errc::no_resources);
    REQUIRE(result.error);
    CHECK(result.error->code == "no_resources");
    CHECK(result.error->message.find("open files") != std::string::npos);
}

TEST_CASE_FIXTURE(ExecutorFixture, "running out of memory is an error of the operation")
{
    options.handoff = std::make_shared<ThrowingHandoff>();
    start(request());
    clock->run(ctx);
    CHECK(results == 1);
    CHECK(ec == errc::no_resources);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a command that runs out of memory at its start does not remain active")
{
    const auto throwing = std::make_shared<ThrowingClock>(clock);
    options.clock = throwing;
    SUBCASE("at its own timer")
    {
        throwing->left = 1;
    }
    SUBCASE("at the timer for requests of other processes")
    {
        throwing->left = 2;
    }
    start(request());
    clock->run(ctx);
    CHECK(results == 1);
    CHECK(ec == errc::no_resources);
    tree.on_publish = [&] {
        tree.take();
        tree.complete();
    };
    start(request());
    clock->run(ctx);  // it ends only if no execution is active
    CHECK(results == 2);
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a command waits for descriptors as long as others are in flight")
{
    auto& other = handoff->at("/other");
    other.on_publish = [&] { other.take(); };
    tree.on_publish = [&] {
        tree.take();
        tree.complete();
    };
    std::optional<NoDescriptorsLeft> limit;
    SUBCASE("that its worktree cannot be locked without")
    {
        tree.lock_error = system_error_of(EMFILE);
        clock->at(20s, [&] { tree.lock_error = {}; });
    }
    SUBCASE("that its agent will need")
    {
        clock->at(2s, [&] { limit.emplace(); });
        clock->at(20s, [&] { limit.reset(); });
    }
    clock->at(30s, [&] { other.complete(); });
    int others = 0;
    make().async_execute_command(CommandRequest("build", "/other"),
                                 [&](error_code e, const ExecutionResult& r) {
                                     CHECK_FALSE(e);
                                     CHECK(r.status == ExecutionStatus::completed);
                                     ++others;
                                 });
    clock->run_until(ctx, 3s);
    start(request());
    clock->run_until(ctx, 19s);
    CHECK(tree.published.empty());
    clock->run(ctx);
    CHECK(others == 1);
    CHECK(results == 1);
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "the only command does not wait for descriptors that it may not "
                  "need")
{
    tree.on_publish = [&] {
        tree.take();
        tree.complete();
    };
    make();
    const auto timer = clock->make_timer(ctx.get_executor());  // the context's own descriptors
    std::optional<NoDescriptorsLeft> limit;
    limit.emplace();
    start(request());
    clock->run(ctx);
    limit.reset();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::completed);
}

namespace {

/// Much is free, until the test says otherwise.
struct FreeFixture : ExecutorFixture {
    FreeFixture()
    {
        options.min_free_memory_bytes = 100 << 20;
        options.min_free_disk_bytes = 200 << 20;
        options.free_resources = [this] {
            ++asked;
            return free;
        };
        tree.on_publish = [this] { tree.complete(); };
    }
    FreeResources free{std::uint64_t{1} << 30, std::uint64_t{1} << 30};
    int asked = 0;
};

}  // namespace

TEST_CASE_FIXTURE(FreeFixture, "a command starts when memory and disk are free again")
{
    std::string reason;
    SUBCASE("memory")
    {
        free.memory_bytes = 99 << 20;
        reason =
            "99 MiB of memory are free; at least 100 MiB are required "
            "(limits.min_free_memory_bytes)";
    }
    SUBCASE("disk")
    {
        free.disk_bytes = 0;
        reason =
            "0 MiB of the project's disk are free; at least 200 MiB are required "
            "(limits.min_free_disk_bytes)";
    }
    clock->at(4500ms, [this] {
        CHECK(tree.published.empty());
        free = {std::uint64_t{1} << 30, std::uint64_t{1} << 30};
    });
    clock->at(5s + 1ms, [this] { CHECK(tree.published.size() == 1); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    REQUIRE(result.warnings.size() == 1);
    CHECK(result.warnings.front().find(reason) != std::string::npos);
    CHECK(sink->count(EventType::starts_paused) == 1);
    CHECK(sink->count(EventType::starts_resumed) == 1);
    const auto& paused = sink->events.front();
    CHECK(paused.type == EventType::starts_paused);
    CHECK(paused.execution_id == result.execution_id);
    CHECK(paused.details.at("reason") == boost::json::value(reason));
}

TEST_CASE_FIXTURE(FreeFixture, "without minimums, or with what is unknown, commands start")
{
    SUBCASE("no minimums")
    {
        options.min_free_memory_bytes = options.min_free_disk_bytes = 0;
        free = {0, 0};
    }
    SUBCASE("unknown")
    {
        free = {};
    }
    SUBCASE("just enough")
    {
        free = {100 << 20, 200 << 20};
    }
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.warnings.empty());
    CHECK(clock->elapsed() < 1s);
}

TEST_CASE_FIXTURE(FreeFixture, "after ten minutes of a pause the command fails")
{
    free.memory_bytes = 0;
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    REQUIRE(result.error);
    CHECK(result.error->code == "no_resources");
    CHECK(result.error->message.find("0 MiB of memory are free") != std::string::npos);
    CHECK(clock->elapsed() == 10min);
    CHECK(tree.published.empty());
    CHECK(sink->count(EventType::starts_paused) == 1);
}

TEST_CASE_FIXTURE(FreeFixture, "a retry waits for free resources, too")
{
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 2s;
    tree.on_publish = [this] {
        if (tree.published.size() == 1)
            tree.fail("boom", "", true);
        else
            tree.complete();
    };
    clock->at(500ms, [this] { free.memory_bytes = 0; });
    bool frees = true;
    SUBCASE("until they are there")
    {
        clock->at(60s, [this] {
            CHECK(tree.published.size() == 1);
            free.memory_bytes = std::uint64_t{1} << 30;
        });
    }
    SUBCASE("up to its limit")
    {
        frees = false;
    }
    execute();
    CHECK(result.status == (frees ? ExecutionStatus::completed : ExecutionStatus::failed));
    CHECK(result.attempts == (frees ? 2 : 1));
    if (frees) return;
    REQUIRE(result.error);
    CHECK(result.error->code == "no_resources");
    CHECK(result.error->message.starts_with("boom. Not tried again within 10m"));
}

TEST_CASE_FIXTURE(FreeFixture, "a command whose start is paused can be cancelled")
{
    free.memory_bytes = 0;
    SUBCASE("by its slot")
    {
        clock->at(1500ms, [this] { cancel.emit(asio::cancellation_type::terminal); });
    }
    SUBCASE("by the end of the executor")
    {
        clock->at(1500ms, [this] { make().async_stop([](error_code) {}); });
    }
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(clock->elapsed() == 1500ms);
    CHECK(tree.published.empty());
}

TEST_CASE_FIXTURE(FreeFixture, "those that run continue during a pause, and the order stays")
{
    options.max_parallel = 1;
    tree.on_publish = nullptr;
    std::string order;
    for (const auto* const name : {"/a", "/b", "/c"})
        handoff->at(name).on_publish = [this, name, &order] {
            order += name;
            handoff->at(name).complete();
        };
    clock->at(1500ms, [this] {
        free.memory_bytes = 0;
        for (const auto* const name : {"/a", "/b", "/c"})
            make().async_execute_command(CommandRequest("build", name), [](error_code, auto&&) {});
    });
    clock->at(3500ms, [this] { tree.complete(); });
    clock->at(7500ms, [this, &order] {
        CHECK(results == 1);
        CHECK(order.empty());
        free.memory_bytes = std::uint64_t{1} << 30;
    });
    start(request());
    clock->run(ctx);
    CHECK(order == "/a/b/c");
    CHECK(sink->count(EventType::starts_paused) == 1);
}

TEST_CASE_FIXTURE(FreeFixture, "the free resources are asked for at most once a second")
{
    for (int n = 0; n < 100; ++n) {
        const auto name = "/" + std::to_string(n);
        handoff->at(name).on_publish = [this, name] { handoff->at(name).complete(); };
        make().async_execute_command(CommandRequest("build", name), [](error_code, auto&&) {});
    }
    clock->run(ctx);
    CHECK(asked <= 2);
    CHECK(sink->count(EventType::execution_completed) == 100);
}
