#include "records/project_slots.hpp"

#include "protocol/layout.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

/// Each has its own open file, as each process has.
struct Process {
    explicit Process(const TemporaryFolder& root, std::size_t count, const std::string& agent = {},
                     const std::string& parent_attempt = {})
        : slots(root.path(), agent, parent_attempt)
    {
        slots.set_count(count);
    }

    std::size_t acquire_all(std::size_t wanted)
    {
        std::size_t acquired = 0;
        while (acquired < wanted && slots.acquire()) ++acquired;
        return acquired;
    }

    records::ProjectSlots slots;
};

}  // namespace

TEST_SUITE_BEGIN("project_slots");

TEST_CASE("the slots of a project are shared by its processes")
{
    const TemporaryFolder root;
    Process mine(root, 4);
    Process other(root, 4);
    CHECK(mine.acquire_all(3) == 3);
    CHECK(other.acquire_all(3) == 1);
    CHECK_FALSE(mine.slots.acquire());
    mine.slots.release();
    CHECK(other.slots.acquire());
    CHECK_FALSE(other.slots.acquire());
    CHECK(mine.slots.take_problem().empty());
}

TEST_CASE("together, processes use no more than the one that allows itself most")
{
    const TemporaryFolder root;
    Process few(root, 4);
    Process many(root, 8);
    SUBCASE("the one with the higher limit leaves slots to the other one")
    {
        CHECK(many.acquire_all(4) == 4);
        CHECK(few.acquire_all(8) == 4);
        CHECK_FALSE(many.slots.acquire());
    }
    SUBCASE("the one with the lower limit begins")
    {
        CHECK(few.acquire_all(8) == 4);
        CHECK(many.acquire_all(8) == 4);
    }
    SUBCASE("the one with the higher limit uses all of them")
    {
        CHECK(many.acquire_all(9) == 8);
        CHECK_FALSE(few.slots.acquire());
        many.slots.release();
        CHECK(few.slots.acquire());
    }
}

TEST_CASE("each agent has slots of its own")
{
    const TemporaryFolder root;
    Process coder(root, 1, "coder");
    CHECK(coder.slots.acquire());
    CHECK_FALSE(Process(root, 1, "coder").slots.acquire());
    CHECK(Process(root, 1, "../coder").slots.acquire());
    CHECK(Process(root, 1, "commands").slots.acquire());
    CHECK(Process(root, 1).slots.acquire());
}

TEST_CASE("the processes of an attempt share one more slot")
{
    const TemporaryFolder root;
    Process parent(root, 2);
    CHECK(parent.acquire_all(2) == 2);
    Process first(root, 2, {}, "attempt");
    Process second(root, 2, {}, "attempt");
    Process of_other_attempt(root, 2, {}, "other attempt");
    CHECK(first.acquire_all(2) == 1);
    CHECK_FALSE(second.slots.acquire());
    CHECK(of_other_attempt.slots.acquire());
    parent.slots.release();
    CHECK(first.slots.acquire());
    first.slots.release();  // the free one, which is of use to all
    CHECK(parent.slots.acquire());
    CHECK_FALSE(second.slots.acquire());
    first.slots.release();
    CHECK(second.slots.acquire());
}

TEST_CASE("a process without a limit uses no slot")
{
    const TemporaryFolder root;
    Process unlimited(root, 0);
    CHECK(unlimited.acquire_all(100) == 100);
    CHECK_FALSE(fs::exists(root / layout::slots));
    Process limited(root, 1);
    CHECK(limited.slots.acquire());
}

TEST_CASE("what is released while another process waits is for that one")
{
    const TemporaryFolder root;
    Process mine(root, 1);
    Process other(root, 1);
    CHECK(mine.slots.acquire());
    CHECK_FALSE(mine.slots.others_wait());
    CHECK_FALSE(other.slots.acquire());
    other.slots.show_waiting(true);
    CHECK(mine.slots.others_wait());
    CHECK_FALSE(other.slots.others_wait());
    mine.slots.release();
    SUBCASE("it takes the slot")
    {
        CHECK_FALSE(mine.slots.acquire());
        CHECK(other.slots.acquire());
        other.slots.show_waiting(false);
        CHECK_FALSE(mine.slots.others_wait());
        CHECK_FALSE(mine.slots.acquire());
    }
    SUBCASE("it does not")
    {
        CHECK_FALSE(mine.slots.acquire());
        CHECK(mine.slots.acquire());
    }
}

TEST_CASE("a process that is killed releases its slots")
{
    const TemporaryFolder root;
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        Process killed(root, 1);
        killed.slots.show_waiting(true);
        ::_exit(killed.slots.acquire() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    Process next(root, 1);
    CHECK(next.slots.acquire());
    CHECK_FALSE(next.slots.others_wait());
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
    Process mine(root, 1);
    CHECK(mine.acquire_all(3) == 3);
    CHECK(mine.slots.take_problem().find("commands.lock") != std::string::npos);
    CHECK(mine.slots.take_problem().empty());
    for (int i = 0; i < 3; ++i) mine.slots.release();
    CHECK_FALSE(mine.slots.others_wait());
}

TEST_SUITE_END();
