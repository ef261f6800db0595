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
