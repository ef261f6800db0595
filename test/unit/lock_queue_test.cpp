#include "git/lock_queue.hpp"

#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <fcntl.h>
#include <sys/file.h>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;
using namespace std::chrono_literals;

namespace {

struct Queue : TemporaryFolder {
    asio::io_context io;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::filesystem::path file = *this / "autoexec/repository.lock";
    LockQueue queue{file, clock, 2s};
    std::vector<std::string> log;

    /// Wants the lock at `t` and keeps it for `held`.
    void want(std::string name, std::chrono::milliseconds t, std::chrono::milliseconds held)
    {
        asio::co_spawn(io, user(std::move(name), t, held), asio::detached);
    }
    void run() { clock->run(io); }

    /// The lock, held by another process.
    files::UniqueFd other_process() const
    {
        error_code ec;
        (void)files::make_folders(file.parent_path(), ec);
        files::UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        REQUIRE(::flock(fd.get(), LOCK_EX | LOCK_NB) == 0);
        return fd;
    }

private:
    asio::awaitable<void> user(std::string name, std::chrono::milliseconds t,
                               std::chrono::milliseconds held)
    {
        const auto timer = clock->make_timer(io.get_executor());
        co_await timer->wait_until(time_point{t});
        const auto problem = co_await queue.acquire();
        log.push_back(name + (problem.empty() ? " in" : " gave up"));
        if (!problem.empty()) co_return;
        co_await timer->wait_until(clock->now() + held);
        log.push_back(name + " out");
        queue.release();
    }
};

using Log = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("lock_queue");

TEST_CASE_FIXTURE(Queue, "within a process the lock is passed on in the order of asking")
{
    want("a", 1ms, 100ms);
    want("b", 20ms, 10ms);
    want("c", 10ms, 10ms);
    want("d", 500ms, 10ms);
    run();
    CHECK(log == Log{"a in", "a out", "c in", "c out", "b in", "b out", "d in", "d out"});
    CHECK(clock->elapsed() == 510ms);
}

TEST_CASE_FIXTURE(Queue, "another process's lock is tried again until it is free")
{
    auto held = other_process();
    clock->at(1s, [&] { held = files::UniqueFd(); });
    want("a", 0ms, 10ms);
    want("b", 0ms, 10ms);
    run();
    CHECK(log == Log{"a in", "a out", "b in", "b out"});
    CHECK(clock->elapsed() > 1s);
    CHECK(clock->elapsed() < 1s + 50ms);
}

TEST_CASE_FIXTURE(Queue, "who has waited long enough gives up, and the next one has its own time")
{
    auto held = other_process();
    clock->at(3s, [&] { held = files::UniqueFd(); });
    want("a", 0ms, 10ms);
    want("b", 0ms, 10ms);
    run();
    CHECK(log == Log{"a gave up", "b in", "b out"});
}

TEST_CASE_FIXTURE(Queue, "a lock that cannot be made is a problem, not a wait")
{
    write_file(*this / "autoexec", "a file in the way");
    want("a", 0ms, 10ms);
    want("b", 0ms, 10ms);
    run();
    CHECK(log == Log{"a gave up", "b gave up"});
    CHECK(clock->elapsed() == 0ms);
}

TEST_SUITE_END();
