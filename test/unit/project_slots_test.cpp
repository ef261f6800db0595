#include "records/project_slots.hpp"

#include "autoexec/command.hpp"
#include "files/file_lock.hpp"
#include "protocol/layout.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Each has its own open file, as each process has.
struct SlotUser {
    explicit SlotUser(const TemporaryFolder& root, std::size_t count, const std::string& agent = {},
                      const std::string& parent_attempt = {})
        : slots(root.path(), agent, parent_attempt, clock)
    {
        slots.set_count(count);
    }

    std::size_t acquire_all(std::size_t wanted)
    {
        std::size_t acquired = 0;
        while (acquired < wanted && slots.acquire(0)) ++acquired;
        return acquired;
    }

    void pass(std::chrono::milliseconds time) const
    {
        asio::io_context io;
        clock->run_until(io, clock->elapsed() + time);
    }

    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    records::ProjectSlots slots;
};

}  // namespace

TEST_SUITE_BEGIN("project_slots");

TEST_CASE("the slots of a project are shared by its processes")
{
    const TemporaryFolder root;
    SlotUser mine(root, 4);
    SlotUser other(root, 4);
    CHECK(mine.acquire_all(3) == 3);
    CHECK(other.acquire_all(3) == 1);
    CHECK_FALSE(mine.slots.acquire(0));
    mine.slots.release();
    CHECK(other.slots.acquire(0));
    CHECK_FALSE(other.slots.acquire(0));
    CHECK(mine.slots.take_problem().empty());
}

TEST_CASE("together, processes use no more than the one that allows itself most")
{
    const TemporaryFolder root;
    SlotUser few(root, 4);
    SlotUser many(root, 8);
    SUBCASE("the one with the higher limit leaves slots to the other one")
    {
        CHECK(many.acquire_all(4) == 4);
        CHECK(few.acquire_all(8) == 4);
        CHECK_FALSE(many.slots.acquire(0));
    }
    SUBCASE("the one with the lower limit begins")
    {
        CHECK(few.acquire_all(8) == 4);
        CHECK(many.acquire_all(8) == 4);
    }
    SUBCASE("the one with the higher limit uses all of them")
    {
        CHECK(many.acquire_all(9) == 8);
        CHECK_FALSE(few.slots.acquire(0));
        many.slots.release();
        CHECK(few.slots.acquire(0));
    }
}

TEST_CASE("each agent has slots of its own")
{
    const TemporaryFolder root;
    SlotUser coder(root, 1, "coder");
    CHECK(coder.slots.acquire(0));
    CHECK_FALSE(SlotUser(root, 1, "coder").slots.acquire(0));
    CHECK(SlotUser(root, 1, "../coder").slots.acquire(0));
    CHECK(SlotUser(root, 1, "commands").slots.acquire(0));
    CHECK(SlotUser(root, 1).slots.acquire(0));
}

TEST_CASE("the processes of an attempt share one more slot")
{
    const TemporaryFolder root;
    SlotUser parent(root, 2);
    CHECK(parent.acquire_all(2) == 2);
    SlotUser first(root, 2, {}, "attempt");
    SlotUser second(root, 2, {}, "attempt");
    SlotUser of_other_attempt(root, 2, {}, "other attempt");
    CHECK(first.acquire_all(2) == 1);
    CHECK_FALSE(second.slots.acquire(0));
    CHECK(of_other_attempt.slots.acquire(0));
    parent.slots.release();
    CHECK(first.slots.acquire(0));
    first.slots.release();  // the free one, which is of use to all
    CHECK(parent.slots.acquire(0));
    CHECK_FALSE(second.slots.acquire(0));
    first.slots.release();
    CHECK(second.slots.acquire(0));
}

TEST_CASE("a process without a limit uses no slot")
{
    const TemporaryFolder root;
    SlotUser unlimited(root, 0);
    CHECK(unlimited.acquire_all(100) == 100);
    CHECK_FALSE(fs::exists(root / layout::slots));
    SlotUser limited(root, 1);
    CHECK(limited.slots.acquire(0));
}

TEST_CASE("what is released while another process waits is for that one")
{
    const TemporaryFolder root;
    SlotUser mine(root, 1);
    SlotUser other(root, 1);
    CHECK(mine.slots.acquire(0));
    CHECK_FALSE(mine.slots.others_wait(0));
    CHECK_FALSE(other.slots.acquire(0));
    other.slots.show_waiting(0);
    CHECK(mine.slots.others_wait(0));
    CHECK_FALSE(other.slots.others_wait(0));
    mine.slots.release();
    SUBCASE("it takes the slot")
    {
        CHECK_FALSE(mine.slots.acquire(0));
        CHECK(other.slots.acquire(0));
        other.slots.show_waiting(std::nullopt);
        CHECK_FALSE(mine.slots.others_wait(0));
        CHECK_FALSE(mine.slots.acquire(0));
    }
    SUBCASE("it does not")
    {
        CHECK_FALSE(mine.slots.acquire(0));
        CHECK(mine.slots.acquire(0));
    }
}

TEST_CASE("a free slot is left to a process that waits with a higher priority")
{
    const TemporaryFolder root;
    SlotUser low(root, 2);
    SlotUser high(root, 2);
    high.slots.show_waiting(5);
    CHECK_FALSE(low.slots.acquire(4));
    CHECK(low.slots.others_wait(5));
    CHECK_FALSE(low.slots.others_wait(6));
    CHECK_FALSE(high.slots.others_wait(-max_priority));
    SUBCASE("which takes it")
    {
        CHECK(high.slots.acquire(5));
        high.slots.show_waiting(std::nullopt);
        CHECK(low.slots.acquire(4));
    }
    SUBCASE("but not to one with the same priority")
    {
        CHECK(low.slots.acquire(5));
    }
    SUBCASE("until that shows a lower one")
    {
        high.slots.show_waiting(4);
        CHECK(low.slots.acquire(4));
        CHECK_FALSE(low.slots.acquire(3));
        high.slots.show_waiting(-max_priority);
        CHECK(low.slots.acquire(3));
    }
    SUBCASE("with the highest and the lowest one, too")
    {
        high.slots.show_waiting(max_priority);
        CHECK_FALSE(low.slots.acquire(max_priority - 1));
        CHECK(low.slots.acquire(max_priority));
        high.slots.show_waiting(1 - max_priority);
        CHECK_FALSE(low.slots.acquire(-max_priority));
    }
}

TEST_CASE("a slot that stays free for 2 s is no longer left to others")
{
    const TemporaryFolder root;
    SlotUser low(root, 2);
    SlotUser suspended(root, 2);
    SlotUser first(root, 2);
    suspended.slots.show_waiting(1);
    CHECK_FALSE(low.slots.acquire(0));
    low.pass(1999ms);
    CHECK_FALSE(low.slots.acquire(0));
    SUBCASE("then others take it, and the next free one at once")
    {
        low.pass(1ms);
        CHECK(low.acquire_all(3) == 2);
    }
    SUBCASE("the time counts again once all were in use")
    {
        for (int i = 0; i < 2; ++i) REQUIRE(first.slots.acquire(1));
        CHECK_FALSE(low.slots.acquire(0));
        first.slots.release();
        low.pass(1ms);
        CHECK_FALSE(low.slots.acquire(0));
        low.pass(2000ms);
        CHECK(low.slots.acquire(0));
    }
    SUBCASE("the time counts again for another wait")
    {
        low.slots.show_waiting(0);
        low.slots.show_waiting(std::nullopt);
        low.pass(2000ms);
        CHECK_FALSE(low.slots.acquire(0));
        low.pass(2000ms);
        CHECK(low.slots.acquire(0));
    }
}

TEST_CASE("a process of an earlier version waits with priority 0")
{
    const TemporaryFolder root;
    SlotUser mine(root, 1);
    CHECK(mine.slots.acquire(0));
    const auto path = root / layout::slots / "commands.lock";
    const files::UniqueFd earlier(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    constexpr auto waiting = std::int64_t{1} << 60;
    REQUIRE_FALSE(files::set_byte_lock(earlier.get(), waiting, files::ByteLock::shared));
    CHECK(mine.slots.others_wait(0));
    CHECK_FALSE(mine.slots.others_wait(1));
    mine.slots.release();
    CHECK_FALSE(mine.slots.acquire(-1));
    CHECK(mine.slots.acquire(1));
    REQUIRE_FALSE(files::set_byte_lock(earlier.get(), waiting, files::ByteLock::none));
    CHECK_FALSE(files::is_byte_locked(earlier.get(), waiting));
    mine.slots.show_waiting(0);
    CHECK(files::is_byte_locked(earlier.get(), waiting));
    mine.slots.show_waiting(-1);
    CHECK_FALSE(files::is_byte_locked(earlier.get(), waiting));
}

TEST_CASE("commands of an attempt's program are not held back by a priority")
{
    const TemporaryFolder root;
    SlotUser high(root, 2);
    high.slots.show_waiting(1);
    SlotUser nested(root, 2, {}, "attempt");
    CHECK(nested.slots.acquire(0));
    CHECK_FALSE(nested.slots.acquire(0));
}

TEST_CASE("a process that is killed releases its slots")
{
    const TemporaryFolder root;
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        SlotUser killed(root, 1);
        killed.slots.show_waiting(0);
        ::_exit(killed.slots.acquire(0) ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    SlotUser next(root, 1);
    CHECK(next.slots.acquire(0));
    CHECK_FALSE(next.slots.others_wait(0));
}

TEST_CASE("slots that cannot be locked stop nothing")
{
    const TemporaryFolder root;
    SUBCASE("a folder in place of the file")
    {
        fs::create_directories(root / layout::slots / "commands.lock");
    }
    SUBCASE("a link in place of the folder")
    {
        const auto elsewhere = root / "elsewhere";
        fs::create_directories(elsewhere);
        fs::create_directories((root / layout::slots).parent_path());
        fs::create_directory_symlink(elsewhere, root / layout::slots);
    }
    SlotUser mine(root, 1);
    CHECK(mine.acquire_all(3) == 3);
    CHECK(mine.slots.take_problem().find("commands.lock") != std::string::npos);
    CHECK(mine.slots.take_problem().empty());
    for (int i = 0; i < 3; ++i) mine.slots.release();
    CHECK_FALSE(mine.slots.others_wait(0));
}

TEST_SUITE_END();
