#include "records/running.hpp"

#include "handoff/claims.hpp"
#include "protocol/layout.hpp"
#include "support/descriptor_limit.hpp"
#include "support/executor_fixture.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

protocol::RunningRecord record_named(const std::string& attempt_id)
{
    protocol::RunningRecord record;
    record.execution_id = "execution-of-" + attempt_id;
    record.attempt_id = attempt_id;
    record.worktree = "/tree";
    return record;
}

struct RunningFixture {
    TemporaryFolder project;

    [[nodiscard]] fs::path running() const { return project / layout::running; }

    [[nodiscard]] std::optional<records::RunningEntry> entry(const std::string& attempt_id) const
    {
        for (auto& found : records::list_running(project.path()))
            if (found.record.attempt_id == attempt_id) return std::move(found);
        return std::nullopt;
    }

    /// The lock of the only executor.
    [[nodiscard]] fs::path lock_file() const
    {
        return fs::directory_iterator(project / layout::engines)->path();
    }
};

std::ptrdiff_t count_descriptors()
{
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}

}  // namespace

TEST_SUITE_BEGIN("running records");

TEST_CASE_FIXTURE(RunningFixture, "all records of an executor share its descriptors")
{
    records::RunningRecords its(project.path());
    REQUIRE_FALSE(its.put(record_named("first")));
    const auto before = count_descriptors();
    for (int i = 0; i < 100; ++i) REQUIRE_FALSE(its.put(record_named(std::to_string(i))));
    CHECK(count_descriptors() == before);
    CHECK(records::list_running(project.path()).size() == 101);
    for (const auto& entry : records::list_running(project.path())) CHECK(entry.alive);
}

TEST_CASE_FIXTURE(RunningFixture, "an executor that ends cleanly leaves neither lock nor folder")
{
    {
        records::RunningRecords its(project.path());
        CHECK_FALSE(fs::exists(running()));  // created with the first record
        REQUIRE_FALSE(its.put(record_named("a")));
        REQUIRE_FALSE(its.put(record_named("b")));
        its.remove("a");
        its.remove("b");
    }
    CHECK(fs::is_empty(running()));
}

TEST_CASE_FIXTURE(RunningFixture, "a record is written again after a user has cleared the folder")
{
    records::RunningRecords its(project.path());
    REQUIRE_FALSE(its.put(record_named("a")));
    fs::remove_all(running());
    REQUIRE_FALSE(its.put(record_named("b")));
    REQUIRE(entry("b"));
    CHECK(entry("b")->alive);
    CHECK_FALSE(entry("a"));
}

TEST_CASE_FIXTURE(RunningFixture, "a child of a fork does not keep the lock of an ended executor")
{
    int over[2];
    REQUIRE(::pipe2(over, O_CLOEXEC) == 0);
    pid_t child = 0;
    {
        records::RunningRecords its(project.path());
        REQUIRE_FALSE(its.put(record_named("a")));
        child = ::fork();
        if (child == 0) {
            char byte = 0;
            ::close(over[1]);
            (void)!::read(over[0], &byte, 1);
            ::_exit(0);
        }
    }
    REQUIRE(entry("a"));
    CHECK_FALSE(entry("a")->alive);
    ::close(over[0]);
    ::close(over[1]);
    ::waitpid(child, nullptr, 0);
}

TEST_CASE_FIXTURE(RunningFixture, "of two processes that recover at once one gets the records")
{
    for (const auto* id : {"a", "b"}) leave_record(project.path(), record_named(id));
    std::optional<UnsharedRecord> old(std::in_place, project.path(), record_named("old"));
    old.reset();
    auto first = records::lock_orphaned(project.path());
    CHECK(first.size() == 3);
    CHECK(records::lock_orphaned(project.path()).empty());
    records::sweep_running(project.path());
    CHECK(records::list_running(project.path()).size() == 3);

    const auto removed = first.back().record().attempt_id;
    first.back().remove();
    first.clear();  // killed before it has removed the others
    const auto second = records::lock_orphaned(project.path());
    CHECK(second.size() == 2);
    for (const auto& orphan : second) {
        CHECK(orphan.record().attempt_id != removed);
        orphan.remove();
    }
}

TEST_CASE_FIXTURE(RunningFixture, "a dead executor's many records are recovered at once")
{
    {
        records::RunningRecords dead(project.path());
        for (int i = 0; i < 1000; ++i)
            REQUIRE_FALSE(dead.put(record_named("a" + std::to_string(i))));
    }
    {
        const FewDescriptorsLeft few(10);
        auto orphans = records::lock_orphaned(project.path());
        CHECK(orphans.size() == 1000);
        for (const auto& orphan : orphans) orphan.remove();
    }
    CHECK(fs::is_empty(running()));
}

TEST_CASE_FIXTURE(RunningFixture, "a lock of another host is unknown, not free")
{
    leave_record(project.path(), record_named("a"));
    protocol::ExecutorLockFile lock;
    lock.host = handoff::host_name() + "-2";
    bool may_live = true;
    SUBCASE("of another kernel")
    {
        lock.boot_id = "6a2a9e62-0000-4000-8000-000000000000";
    }
    SUBCASE("of an unknown kernel") {}
    SUBCASE("of this kernel, as in another container")
    {
        lock.boot_id = protocol::parse_executor_lock(read_file(lock_file())).boot_id;
        may_live = lock.boot_id.empty();
    }
    write_file(lock_file(), protocol::format_executor_lock(lock));
    REQUIRE(entry("a"));
    CHECK(entry("a")->alive == may_live);
    CHECK(entry("a")->other_host == (may_live ? lock.host : ""));
    CHECK(records::lock_orphaned(project.path()).empty() == may_live);
    records::RunningRecords adopter(project.path());
    CHECK(adopter.adopt("a") != may_live);
    records::sweep_running(project.path());
    CHECK(entry("a"));
}

TEST_CASE_FIXTURE(RunningFixture, "an executor whose lock was removed counts as dead")
{
    leave_record(project.path(), record_named("a"));
    SUBCASE("the file")
    {
        fs::remove(lock_file());
    }
    SUBCASE("with its folder")
    {
        fs::remove_all(project / layout::engines);
    }
    REQUIRE(entry("a"));
    CHECK_FALSE(entry("a")->alive);
    auto orphans = records::lock_orphaned(project.path());
    REQUIRE(orphans.size() == 1);
    orphans.front().remove();
    orphans.clear();
    CHECK(fs::is_empty(running()));
}

TEST_CASE_FIXTURE(RunningFixture, "an executor adopts a record only of a dead one")
{
    records::RunningRecords adopter(project.path());
    std::optional<records::RunningRecords> its(std::in_place, project.path());
    REQUIRE_FALSE(its->put(record_named("a")));
    REQUIRE_FALSE(its->put(record_named("b")));
    CHECK_FALSE(adopter.adopt("a"));
    its.reset();
    CHECK(adopter.adopt("a"));
    CHECK(adopter.adopt("a"));  // is its own by now
    CHECK_FALSE(adopter.adopt("c"));
    CHECK(entry("a")->alive);
    CHECK_FALSE(entry("b")->alive);
    CHECK(adopter.adopt("b"));
    adopter.close();
    CHECK_FALSE(entry("b")->alive);
    CHECK(records::list_running(project.path()).size() == 2);
}

TEST_CASE_FIXTURE(RunningFixture, "records of version 1.1 are listed, adopted and recovered")
{
    std::optional<UnsharedRecord> old(std::in_place, project.path(), record_named("a"));
    records::RunningRecords adopter(project.path());
    REQUIRE(entry("a"));
    CHECK(entry("a")->alive);
    CHECK_FALSE(adopter.adopt("a"));
    CHECK(records::lock_orphaned(project.path()).empty());
    old.reset();
    CHECK_FALSE(entry("a")->alive);
    CHECK(records::lock_orphaned(project.path()).size() == 1);
    CHECK(adopter.adopt("a"));
    CHECK(entry("a")->alive);
    CHECK_FALSE(fs::exists(running() / "a.json"));
}

TEST_CASE_FIXTURE(RunningFixture, "the baseline of the artifacts is found in either place")
{
    auto record = record_named("a");
    record.artifacts["out"] = "1-2-3-4";
    SUBCASE("of an executor that shares its lock")
    {
        leave_record(project.path(), record);
    }
    SUBCASE("of version 1.1")
    {
        const UnsharedRecord old(project.path(), record);
    }
    CHECK(records::artifacts_before(project.path(), "a") == record.artifacts);
    CHECK_FALSE(records::artifacts_before(project.path(), "b"));
}

TEST_CASE_FIXTURE(RunningFixture, "an execution is listed once, also between two attempts")
{
    auto first = record_named("first");
    first.execution_id = "execution";
    first.attempt = 1;
    auto second = first;
    second.attempt_id = "second";
    second.attempt = 2;
    const auto listed = [this] {
        std::string ids;
        for (const auto& record : records::list_executions(project.path()))
            ids += record.attempt_id + " ";
        return ids;
    };
    CHECK(listed().empty());
    leave_record(project.path(), record_named("dead"));
    CHECK(listed().empty());
    {
        records::RunningRecords records(project.path());
        REQUIRE_FALSE(records.put(first));
        CHECK(listed() == "first ");
        REQUIRE(records.announce_retry("first"));
        CHECK(listed() == "first ");
        REQUIRE_FALSE(records.put(second));
        CHECK(listed() == "second ");
        records.withdraw_retry("first");
        CHECK(listed() == "second ");
        REQUIRE(records.announce_retry("second"));
    }
    CHECK(listed().empty());
}

TEST_CASE_FIXTURE(RunningFixture, "a sweep keeps what belongs to a record, and removes the rest")
{
    records::RunningRecords living(project.path());
    REQUIRE_FALSE(living.put(record_named("living")));
    REQUIRE_FALSE(living.put(record_named("waits")));
    REQUIRE(living.announce_retry("waits"));
    leave_record(project.path(), record_named("dead"));
    for (const auto* id : {"living", "waits", "dead", "ended"})
        REQUIRE_FALSE(records::request_cancel(project.path(), id));
    write_file(running() / "of-nobody/text.json", "text");
    write_file(running() / "of-nobody/.cursor-skill-tmp.1", "");
    write_file(running() / "engines/old.lock", "");
    CHECK(records::find_broken_records(project.path()).size() == 1);
    CHECK(records::find_broken_records(project.path()).front().name == "of-nobody/text.json");

    records::sweep_running(project.path());
    CHECK(records::list_running(project.path()).size() == 2);
    CHECK(records::find_broken_records(project.path()).empty());
    CHECK_FALSE(fs::exists(running() / "of-nobody"));
    CHECK_FALSE(fs::exists(running() / "engines/old.lock"));
    auto requests = records::find_cancel_requests(project.path());
    std::sort(requests.begin(), requests.end());
    CHECK(requests == std::vector<std::string>{"dead", "living", "waits"});
}

TEST_CASE_FIXTURE(RunningFixture, "a link in place of an executor's folder is not followed")
{
    const TemporaryFolder elsewhere;
    write_file(elsewhere / "a.json", protocol::format_running(record_named("a")));
    fs::create_directories(running());
    fs::create_directory_symlink(elsewhere.path(), running() / "link");
    CHECK(records::list_running(project.path()).empty());
    CHECK(records::lock_orphaned(project.path()).empty());
    records::sweep_running(project.path());
    CHECK(fs::exists(elsewhere / "a.json"));
}

TEST_SUITE_END();
