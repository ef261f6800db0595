#include "records/line_writer.hpp"

#include "records/audit_chain.hpp"
#include "records/audit_verification.hpp"

#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

using namespace autoexec;
using namespace std::chrono_literals;

namespace {

// A disk on which some calls fail, in one of the ways in which disks do.
struct FaultyDisk final : records::Disk {
    enum class Fault { none, error, short_write, short_write_that_stays, failed_sync };
    Fault fault = Fault::none;
    int failing_call = -1;  // of writes, or of syncs for `failed_sync`
    int failing_calls = 1;
    int calls = 0;
    int writes = 0;
    int syncs = 0;
    files::UniqueFd first_synced;  // the same open file
    bool was_open_at_second_sync = false;

    bool fails(bool is_sync)
    {
        const bool counts = is_sync == (fault == Fault::failed_sync);
        if (!counts) return false;
        const int call = calls++;
        return call >= failing_call && call < failing_call + failing_calls;
    }

    ssize_t write(int fd, std::string_view text) override
    {
        ++writes;
        if (!fails(false)) return Disk::write(fd, text);
        if (fault == Fault::error) {
            errno = ENOSPC;
            return -1;
        }
        return Disk::write(fd, text.substr(0, text.size() * 2 / 3));
    }

    int sync(int fd) override
    {
        ++syncs;
        // A lock belongs to an open file: taken anew through another one it would be refused.
        if (syncs == 1) first_synced = files::UniqueFd(::dup(fd));
        if (syncs == 2)
            was_open_at_second_sync = ::flock(first_synced.get(), LOCK_EX | LOCK_NB) == 0;
        if (!fails(true)) return 0;
        errno = EIO;
        return -1;
    }

    int truncate(int fd, off_t size) override
    {
        if (fault == Fault::short_write_that_stays) {
            errno = EIO;
            return -1;
        }
        return Disk::truncate(fd, size);
    }
};

struct WriterFixture {
    test::TemporaryFolder folder;
    std::shared_ptr<test::VirtualClock> clock = std::make_shared<test::VirtualClock>();
    FaultyDisk disk;
    Durability durability = Durability::process;
    records::Rotation rotation;
    std::size_t queue_limit = 1000;
    std::shared_ptr<const records::AuditChain> chain;
    boost::asio::io_context ctx;
    std::shared_ptr<records::LineWriter> writer;

    records::LineWriter& make()
    {
        records::LineWriter::Options options;
        options.folder = records::Folder::of(folder.path(), {}, "");
        options.rotation = rotation;
        options.durability = durability;
        options.queue_limit = queue_limit;
        options.clock = clock;
        options.disk = &disk;
        options.chain = chain;
        writer = std::make_shared<records::LineWriter>(ctx.get_executor(), options);
        return *writer;
    }

    // Starts a flush; its result arrives when the context runs.
    std::shared_ptr<std::optional<error_code>> start_flush(bool stop = false)
    {
        auto result = std::make_shared<std::optional<error_code>>();
        boost::asio::co_spawn(
            ctx, stop ? records::LineWriter::stop(writer) : records::LineWriter::flush(writer),
            [result](std::exception_ptr failure, error_code ec) {
                CHECK_FALSE(failure);
                *result = ec;
            });
        return result;
    }

    error_code flush()
    {
        const auto result = start_flush();
        clock->run(ctx);
        return result->value();
    }

    // What every log must be, whatever happened to it: each line there once, and whole.
    void check_complete(const std::vector<std::string>& found, int count)
    {
        for (int i = 0; i < count; ++i) {
            const auto line = "line " + std::to_string(i) + " of many";
            CAPTURE(line);
            CHECK(std::count(found.begin(), found.end(), line) == 1);
        }
    }

    void push_lines(int begin, int end)
    {
        for (int i = begin; i < end; ++i)
            writer->push("log", "line " + std::to_string(i) + " of many");
    }
};

}  // namespace

TEST_SUITE_BEGIN("line_writer");

TEST_CASE_FIXTURE(WriterFixture, "lines that gather before the strand runs are written at once")
{
    make();
    push_lines(0, 100);
    CHECK_FALSE(flush());
    CHECK(disk.writes == 1);
    CHECK(disk.syncs == 0);
    check_complete(folder.lines("log"), 100);
}

TEST_CASE_FIXTURE(WriterFixture, "lines that one handler pushes are written at once")
{
    make();
    boost::asio::post(ctx, [&] { push_lines(0, 100); });
    clock->run(ctx);
    CHECK(disk.writes == 1);
    check_complete(folder.lines("log"), 100);
}

TEST_CASE_FIXTURE(WriterFixture, "a flush with nothing to write completes at once")
{
    make();
    CHECK_FALSE(flush());
    CHECK(clock->elapsed() == 0s);
    CHECK_FALSE(std::filesystem::exists(folder.path() / "log"));
}

TEST_CASE_FIXTURE(WriterFixture, "lines of several files keep to their files and their order")
{
    make();
    writer->push("a", "1");
    writer->push("b", "2");
    writer->push("a", "3");
    CHECK_FALSE(flush());
    CHECK(folder.read("a") == "1\n3\n");
    CHECK(folder.read("b") == "2\n");
    CHECK(disk.writes == 2);
}

TEST_CASE_FIXTURE(WriterFixture, "the log is for its owner only")
{
    folder.write("unrelated", "");
    make();
    push_lines(0, 1);
    CHECK_FALSE(flush());
    struct stat st {};
    REQUIRE(::stat((folder.path() / "log").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE_FIXTURE(WriterFixture, "without durability lines wait for a second, but not for a flush")
{
    durability = Durability::none;
    make();
    push_lines(0, 1);
    clock->run_until(ctx, 999ms);
    CHECK(disk.writes == 0);
    clock->run_until(ctx, 1s);
    CHECK(disk.writes == 1);

    push_lines(1, 2);
    CHECK_FALSE(flush());
    CHECK(clock->elapsed() == 1s);
    check_complete(folder.lines("log"), 2);
}

TEST_CASE_FIXTURE(WriterFixture, "without durability a full queue is written at once")
{
    durability = Durability::none;
    queue_limit = 10;
    make();
    push_lines(0, 1);
    ctx.poll();
    push_lines(1, 10);
    CHECK(writer->full());
    ctx.poll();
    CHECK_FALSE(writer->full());
    check_complete(folder.lines("log"), 10);
}

TEST_CASE_FIXTURE(WriterFixture, "flushes that wait together share one sync, and the folder's once")
{
    durability = Durability::power;
    make();
    push_lines(0, 10);
    const auto first = start_flush();
    push_lines(10, 20);
    const auto second = start_flush();
    clock->run(ctx);
    CHECK(first->value() == error_code{});
    CHECK(second->value() == error_code{});
    CHECK(disk.syncs == 2);  // the log, and the folder in which it is new

    push_lines(20, 21);
    CHECK_FALSE(flush());
    CHECK(disk.syncs == 3);
}

TEST_CASE_FIXTURE(WriterFixture,
                  "what many write and wait for, again and again, is synced together")
{
    durability = Durability::power;
    make();
    constexpr int each = 5;
    for (int i = 0; i < 20; ++i)
        boost::asio::co_spawn(
            ctx,
            [](std::shared_ptr<records::LineWriter> to,
               int number) -> boost::asio::awaitable<void> {
                for (int n = 0; n < each; ++n) {
                    to->push("log", "line " + std::to_string(number * each + n) + " of many");
                    CHECK_FALSE(co_await records::LineWriter::flush(to));
                }
            }(writer, i),
            [](std::exception_ptr failure) { CHECK_FALSE(failure); });
    clock->run(ctx);
    check_complete(folder.lines("log"), 20 * each);
    CHECK(disk.syncs <= 2 * each + 1);  // those whom a sync releases may be in the next two
}

TEST_CASE_FIXTURE(WriterFixture,
                  "a queue at its limit is full, and at twice that refuses and counts")
{
    queue_limit = 10;
    make();
    push_lines(0, 25);
    CHECK(writer->full());
    CHECK(writer->lost_lines() == 5);
    CHECK_FALSE(flush());
    CHECK_FALSE(writer->full());
    check_complete(folder.lines("log"), 20);
}

TEST_CASE("whichever call fails and however, every line is there once and whole")
{
    using Fault = FaultyDisk::Fault;
    for (const auto fault :
         {Fault::error, Fault::short_write, Fault::short_write_that_stays, Fault::failed_sync}) {
        for (int n = 0;; ++n) {
            CAPTURE(static_cast<int>(fault));
            CAPTURE(n);
            WriterFixture fixture;
            fixture.disk.fault = fault;
            fixture.disk.failing_call = n;
            if (fault == Fault::failed_sync) fixture.durability = Durability::power;
            fixture.rotation = {150, 5};
            fixture.make();
            for (int i = 0; i < 20; i += 5) {
                fixture.push_lines(i, i + 5);
                CHECK_FALSE(fixture.flush());  // one fault is made good by its second try
            }

            std::vector<std::string> found;
            for (const auto* name : {"log", "log.1", "log.2", "log.3", "log.4", "log.5"})
                for (const auto& line : fixture.folder.lines(name)) found.push_back(line);
            fixture.check_complete(found, 20);
            if (fault != Fault::short_write_that_stays) CHECK(found.size() == 20);
            if (fixture.disk.calls <= n) break;  // nothing failed any more
        }
    }
}

TEST_CASE("whichever call fails and however, the chain of hashes is continued")
{
    using Fault = FaultyDisk::Fault;
    for (const auto fault :
         {Fault::error, Fault::short_write, Fault::short_write_that_stays, Fault::failed_sync}) {
        for (int n = 0;; ++n) {
            CAPTURE(static_cast<int>(fault));
            CAPTURE(n);
            WriterFixture fixture;
            fixture.disk.fault = fault;
            fixture.disk.failing_call = n;
            if (fault == Fault::failed_sync) fixture.durability = Durability::power;
            fixture.rotation = {1000, 0};
            fixture.chain = std::make_shared<const records::AuditChain>("");
            fixture.make();
            for (int i = 0; i < 20; ++i) {
                fixture.writer->push(
                    "execution_audit.log",
                    "2026-01-20 10:00:00 | INFO | {\"timestamp\": \"" + std::to_string(i) + "\"}");
                if (i % 5 == 4) CHECK_FALSE(fixture.flush());
            }
            const auto found = records::verify_audit(
                records::Folder::of(fixture.folder.path(), {}, ""), *fixture.chain);
            CHECK(found.is_intact());
            CHECK(found.first_seq == 1);
            CHECK(found.last_seq == 20);
            CHECK(found.chained_lines == 20);
            if (fault != Fault::short_write_that_stays) CHECK(found.problems.empty());
            if (fixture.disk.calls <= n) break;  // nothing failed any more
        }
    }
}

TEST_CASE_FIXTURE(WriterFixture, "a descriptor whose sync failed is not synced again")
{
    durability = Durability::power;
    disk.fault = FaultyDisk::Fault::failed_sync;
    disk.failing_call = 0;
    make();
    push_lines(0, 1);
    CHECK_FALSE(flush());
    CHECK_FALSE(disk.was_open_at_second_sync);
    check_complete(folder.lines("log"), 1);
}

TEST_CASE_FIXTURE(WriterFixture, "a write error is returned by flush, and the write is retried")
{
    disk.fault = FaultyDisk::Fault::error;
    disk.failing_call = 0;
    disk.failing_calls = 2;  // the drain's own try, and the flush's
    make();
    push_lines(0, 3);
    const auto result = start_flush();
    ctx.poll();
    CHECK(result->value().value() == ENOSPC);
    CHECK(disk.writes == 2);
    clock->run(ctx);
    CHECK(disk.writes == 3);
    CHECK(clock->elapsed() == records::LineWriter::retry_interval);
    check_complete(folder.lines("log"), 3);
}

TEST_CASE_FIXTURE(WriterFixture, "stopping writes what is left, then refuses and counts")
{
    durability = Durability::none;
    make();
    push_lines(0, 3);
    const auto stopped = start_flush(true);
    clock->run(ctx);
    CHECK(stopped->value() == error_code{});
    push_lines(3, 5);
    CHECK(writer->lost_lines() == 2);
    check_complete(folder.lines("log"), 3);

    const auto again = start_flush(true);
    clock->run(ctx);
    CHECK(again->value() == error_code{});
}

TEST_CASE_FIXTURE(WriterFixture, "a stop on a failing disk ends, and closing tries once more")
{
    disk.fault = FaultyDisk::Fault::error;
    disk.failing_call = 0;
    disk.failing_calls = 2;  // the drain's own try, and the flush's
    make();
    push_lines(0, 3);
    const auto stopped = start_flush(true);
    clock->run(ctx);
    CHECK(clock->elapsed() == 0s);
    CHECK(stopped->value().value() == ENOSPC);
    CHECK(writer->lost_lines() == 3);

    writer->close();
    CHECK(writer->lost_lines() == 0);
    check_complete(folder.lines("log"), 3);
}

TEST_CASE_FIXTURE(WriterFixture, "what is not written is kept until the stop, and lost after it")
{
    disk.fault = FaultyDisk::Fault::error;
    disk.failing_call = 0;
    disk.failing_calls = 3;
    make();
    push_lines(0, 3);
    CHECK(writer->unwritten().lost == 0);
    const auto flushed = start_flush();
    clock->run_until(ctx, 0s);
    REQUIRE(flushed->has_value());
    auto left = writer->unwritten();
    CHECK(left.queued == 3);
    CHECK(left.lost == 0);
    CHECK(left.path == folder.path() / "log");
    CHECK(left.reason.value() == ENOSPC);
    CHECK(records::queued_sentence(left).find("3 records not yet written to " +
                                              left.path.string()) == 0);

    const auto stopped = start_flush(true);
    clock->run(ctx);
    REQUIRE(stopped->has_value());
    left = writer->unwritten();
    CHECK(left.queued == 0);
    CHECK(left.lost == 3);
    CHECK(records::lost_sentence(left).find("3 records lost") == 0);
    CHECK(records::lost_sentence(left).find("No space left") != std::string::npos);
}

TEST_CASE_FIXTURE(WriterFixture, "written lines are not reported as missing")
{
    make();
    push_lines(0, 3);
    CHECK_FALSE(flush());
    const auto left = writer->unwritten();
    CHECK(left.queued == 0);
    CHECK(left.lost == 0);
    CHECK(left.path.empty());
}

TEST_CASE_FIXTURE(WriterFixture, "closing without a stop writes what is left")
{
    make();
    push_lines(0, 3);
    writer->close();
    check_complete(folder.lines("log"), 3);
    clock->run(ctx);  // the drain finds nothing to do
    CHECK(folder.lines("log").size() == 3);
}

TEST_CASE("lines survive whenever the context is destroyed")
{
    for (int handlers = 0; handlers < 8; ++handlers) {
        CAPTURE(handlers);
        WriterFixture fixture;
        fixture.make();
        fixture.push_lines(0, 3);
        fixture.start_flush();
        for (int i = 0; i < handlers; ++i) fixture.ctx.poll_one();
        fixture.writer->close();
        fixture.writer.reset();
        fixture.check_complete(fixture.folder.lines("log"), 3);
    }
}

TEST_CASE_FIXTURE(WriterFixture, "a log that another process holds for a moment is waited for")
{
    folder.write("log", "");
    const files::UniqueFd other(::open((folder.path() / "log").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    clock->at(62ms, [&] { ::flock(other.get(), LOCK_UN); });
    make();
    push_lines(0, 3);
    CHECK_FALSE(flush());
    CHECK(clock->elapsed() == 65ms);
    check_complete(folder.lines("log"), 3);
}

TEST_CASE_FIXTURE(WriterFixture, "a log that another process holds for 5 s delays records")
{
    folder.write("log", "");
    const files::UniqueFd other(::open((folder.path() / "log").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    make();
    push_lines(0, 3);
    const auto first = start_flush();
    clock->run_until(ctx, 4999ms);
    CHECK_FALSE(first->has_value());
    clock->run_until(ctx, 5s);
    CHECK(first->value() == errc::records_delayed);

    // Who flushes later does not wait for another 5 s.
    const auto second = start_flush();
    ctx.poll();
    CHECK(second->value() == errc::records_delayed);
    CHECK(folder.read("log").empty());

    clock->at(7s, [&] { ::flock(other.get(), LOCK_UN); });
    clock->run(ctx);
    check_complete(folder.lines("log"), 3);
    CHECK_FALSE(flush());
}

TEST_CASE_FIXTURE(WriterFixture, "a process that stops after a rotation does not block others")
{
    folder.write("log", "old\n");
    const files::UniqueFd other(::open((folder.path() / "log").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    make();
    push_lines(0, 3);
    clock->at(20ms,
              [&] { std::filesystem::rename(folder.path() / "log", folder.path() / "log.1"); });
    CHECK_FALSE(flush());
    check_complete(folder.lines("log"), 3);
    CHECK(folder.read("log.1") == "old\n");
}

TEST_CASE_FIXTURE(WriterFixture, "a log that is removed or moved away meanwhile is made anew")
{
    make();
    push_lines(0, 1);
    CHECK_FALSE(flush());
    SUBCASE("the file")
    {
        std::filesystem::remove(folder.path() / "log");
    }
    SUBCASE("the whole folder")
    {
        std::filesystem::remove_all(folder.path());
    }
    SUBCASE("moved")
    {
        std::filesystem::rename(folder.path() / "log", folder.path() / "elsewhere");
    }
    push_lines(1, 2);
    CHECK_FALSE(flush());
    CHECK(folder.read("log") == "line 1 of many\n");
}

TEST_CASE_FIXTURE(WriterFixture,
                  "what is no regular file is an error, neither followed nor waited for")
{
    const auto log = folder.path() / "log";
    SUBCASE("a link")
    {
        folder.write("target", "");
        std::filesystem::create_symlink("target", log);
    }
    SUBCASE("a link to nothing")
    {
        std::filesystem::create_symlink("target", log);
    }
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo(log.c_str(), 0600) == 0);
    }
    SUBCASE("a folder")
    {
        std::filesystem::create_directory(log);
    }
    make();
    push_lines(0, 1);
    const auto result = start_flush(true);
    clock->run(ctx);
    CHECK(result->value() == errc::unsafe_path);
    CHECK(folder.read("target").empty());
}

TEST_CASE("a log cut at any byte keeps its whole lines and takes new ones")
{
    const std::string whole = "first\nsecond one\nthird\n";
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        CAPTURE(cut);
        WriterFixture fixture;
        fixture.folder.write("log", whole.substr(0, cut));
        fixture.make();
        fixture.writer->push("log", "new");
        CHECK_FALSE(fixture.flush());

        const auto complete = whole.substr(0, cut).rfind('\n') + 1;
        const auto text = fixture.folder.read("log");
        CHECK(text.substr(0, complete) == whole.substr(0, complete));
        CHECK(fixture.folder.lines("log").back() == "new");
        CHECK(text.find("\n\n") == std::string::npos);
    }
}

TEST_CASE_FIXTURE(WriterFixture, "a log is rotated before the line that would reach its limit")
{
    rotation = {30, 2};  // a line is 15 bytes
    make();
    push_lines(0, 5);
    CHECK_FALSE(flush());
    CHECK(folder.read("log") == "line 4 of many\n");
    CHECK(folder.read("log.1") == "line 3 of many\n");
    CHECK(folder.read("log.2") == "line 2 of many\n");
    CHECK_FALSE(std::filesystem::exists(folder.path() / "log.3"));

    SUBCASE("one byte more of room takes one line more")
    {
        rotation = {31, 2};
        make();
        push_lines(5, 6);
        CHECK_FALSE(flush());
        CHECK(folder.lines("log").size() == 2);
    }
}

TEST_CASE_FIXTURE(WriterFixture, "a line larger than the limit has a log of its own")
{
    rotation = {30, 2};
    make();
    writer->push("log", "short");
    writer->push("log", std::string(100, 'x'));
    writer->push("log", "short again");
    CHECK_FALSE(flush());
    CHECK(folder.read("log") == "short again\n");
    CHECK(folder.read("log.1").size() == 101);
    CHECK(folder.read("log.2") == "short\n");
}

TEST_CASE_FIXTURE(WriterFixture, "without a limit of backups all are kept")
{
    rotation = {30, 0};
    make();
    push_lines(0, 20);
    CHECK_FALSE(flush());
    CHECK(folder.read("log") == "line 19 of many\n");
    CHECK(folder.read("log.19") == "line 0 of many\n");
}

TEST_CASE_FIXTURE(WriterFixture, "a gap left by an interrupted rotation is filled, nothing is lost")
{
    folder.write("log", "newest\n");
    folder.write("log.2", "oldest\n");
    rotation = {20, 2};
    make();
    push_lines(0, 1);
    CHECK_FALSE(flush());
    CHECK(folder.read("log.1") == "newest\n");
    CHECK(folder.read("log.2") == "oldest\n");
}

TEST_CASE_FIXTURE(WriterFixture, "a log that cannot be rotated grows")
{
    std::filesystem::create_directories(folder.path() / "log.1" / "in the way");
    rotation = {30, 1};
    make();
    push_lines(0, 5);
    CHECK_FALSE(flush());
    check_complete(folder.lines("log"), 5);
}

TEST_CASE_FIXTURE(WriterFixture, "lines of two files in turn are one write for each file")
{
    make();
    for (int n = 0; n < 100; ++n)
        for (const auto* file : {"a", "b"}) writer->push(file, std::to_string(n));
    CHECK_FALSE(flush());
    CHECK(disk.writes == 2);
    CHECK(test::read_file(folder / "a") == test::read_file(folder / "b"));
    CHECK(writer->unwritten().queued == 0);
}

TEST_CASE_FIXTURE(WriterFixture, "lines that are more than a batch are further writes, in order")
{
    queue_limit = 100'000;
    make();
    const std::string padding(1000, '.');
    std::string a;
    std::string b;
    for (int n = 0; n < 2500; ++n) {
        const auto line = std::to_string(n) + padding;
        writer->push("a", line);
        writer->push("b", std::to_string(n));
        a += line + '\n';
        b += std::to_string(n) + '\n';
    }
    const std::string large(2 * records::LineWriter::max_batch, 'x');
    writer->push("a", large);
    writer->push("a", "last");
    CHECK_FALSE(flush());
    CHECK(test::read_file(folder / "a") == a + large + "\nlast\n");
    CHECK(test::read_file(folder / "b") == b);
    CHECK(disk.writes == 6);  // three of lines, one of the large line, one after it, one for `b`
    CHECK(writer->unwritten().queued == 0);

    // The memory of what is written is used again, for these lines only.
    writer->push("b", "next");
    writer->push("a", "next");
    CHECK_FALSE(flush());
    CHECK(test::read_file(folder / "a") == a + large + "\nlast\nnext\n");
    CHECK(test::read_file(folder / "b") == b + "next\n");
}

TEST_CASE_FIXTURE(WriterFixture, "what is left of a batch is counted, and written later")
{
    queue_limit = 100'000;
    constexpr std::size_t lines = records::LineWriter::max_batch / 1024;  // of a batch
    rotation = {records::LineWriter::max_batch / 2, 0};
    disk.fault = FaultyDisk::Fault::error;
    disk.failing_call = 4;
    make();
    for (std::size_t n = 0; n < 3 * lines; ++n) writer->push("log", std::string(1023, '.'));
    while (disk.writes <= disk.failing_call) REQUIRE(ctx.run_one() == 1);
    // The first batch is in three files, and the third of them was filled with the second batch.
    CHECK(writer->unwritten().queued == 2 * lines - (lines / 2 - 3));
    CHECK_FALSE(flush());
    CHECK(writer->unwritten().queued == 0);
    std::uintmax_t size = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder.path()))
        size += file.file_size();
    CHECK(size == 3 * records::LineWriter::max_batch);
}

TEST_CASE_FIXTURE(WriterFixture, "what one of two files cannot take is written later, once")
{
    disk.fault = FaultyDisk::Fault::error;
    disk.failing_call = 1;
    make();
    writer->push("a", "1");
    writer->push("b", "2");
    writer->push("a", "3");
    while (disk.writes < 2) REQUIRE(ctx.run_one() == 1);
    CHECK(writer->unwritten().queued == 1);
    CHECK_FALSE(flush());
    CHECK(disk.writes == 3);
    CHECK(test::read_file(folder / "a") == "1\n3\n");
    CHECK(test::read_file(folder / "b") == "2\n");
}

TEST_SUITE_END();
