#include "handoff/agent_mailbox.hpp"
#include "handoff/claims.hpp"
#include "handoff/file_handoff.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"
#include "support/planted.hpp"
#include "support/sweep.hpp"

#include <boost/asio/co_spawn.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <set>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace control = autoexec::control_files;

namespace {

constexpr char completed[] = R"({"status": "completed"})";

/// One executor over real files, in virtual time.
struct FilesFixture : ExecutorFixture {
    TemporaryFolder tree;
    TemporaryFolder outside;
    fs::path status = tree / control::status;

    FilesFixture()
    {
        options.handoff.reset();
        options.timeout = 33s;
        write_file(outside / "status", completed);
    }

    /// Descriptors of this process that lead into the worktree.
    int descriptors_in_tree() const
    {
        int found = 0;
        std::error_code none;
        for (const auto& entry : fs::directory_iterator("/proc/self/fd"))
            found +=
                fs::read_symlink(entry.path(), none).native().starts_with(tree.path().native());
        return found;
    }

    CommandRequest request() const { return {"build", tree.path()}; }

    void run(CommandRequest r)
    {
        start(std::move(r));
        clock->run(ctx);
        check_nothing_is_left();
    }
    void run() { run(request()); }

    /// What holds for every way to end.
    void check_nothing_is_left()
    {
        CHECK(results == 1);
        // A second for records that could not be written before.
        CHECK(clock->elapsed() <= options.timeout + options.stop_grace + 5s + 1s);
        CHECK(left_in(tree.path()).empty());
        CHECK(records::list_running(project.path()).empty());
        CHECK(descriptors_in_tree() == 0);
        if (!fs::exists(tree.path())) return;
        error_code failure;
        std::string why;
        auto mailbox = handoff::file_handoff()->open(tree.path(), failure, why);
        REQUIRE(mailbox);
        CHECK_FALSE(mailbox->try_lock());
    }

    /// The control files, but for those that are no files.
    static std::set<std::string> left_in(const fs::path& folder)
    {
        std::set<std::string> found;
        std::error_code none;
        for (const auto& entry : fs::directory_iterator(folder, none)) {
            const auto name = entry.path().filename().string();
            if (name.starts_with(".cursor-skill") && !entry.is_directory()) found.insert(name);
        }
        return found;
    }

    void at(std::chrono::nanoseconds t, std::function<void()> what)
    {
        clock->at(t, std::move(what));
    }
    void write_at(std::chrono::nanoseconds t, std::string text)
    {
        at(t, [this, text = std::move(text)] { write_file(status, text); });
    }

    /// The agent's side, as ours does it.
    std::unique_ptr<handoff::AgentMailbox> take(const fs::path& where)
    {
        auto box = handoff::AgentMailbox::open(where, control::status);
        REQUIRE(box);
        const auto found = box->find(false);
        REQUIRE(found.state == handoff::AgentMailbox::Found::State::command);
        REQUIRE(box->claim(found, "agent"));
        attempt_id = found.command.attempt_id;
        return box;
    }
    std::string attempt_id;

    std::string status_text(ReportedStatus word) const
    {
        AgentStatus s;
        s.structured = true;
        s.status = word;
        s.attempt_id = attempt_id;
        return protocol::format_status(s);
    }
};

}  // namespace

TEST_SUITE_BEGIN("executor on files");

TEST_CASE_FIXTURE(FilesFixture, "a status in either place completes a command")
{
    SUBCASE("the worktree's root") {}
    SUBCASE("an editor's folder")
    {
        status = tree / ".cursor" / control::status;
    }
    write_at(12s, R"({"status": "completed", "artifacts": ["a"], "output": "done"})");
    run();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.output == "done");
    CHECK(result.duration == 15s);
}

TEST_CASE_FIXTURE(FilesFixture, "a status is not complete while an agent holds a claim there")
{
    write_file(status, completed);
    CHECK(make().check_status(tree.path()).completed);
    const files::UniqueFd folder(::open(tree.path().c_str(), O_RDONLY | O_DIRECTORY));
    error_code failure;
    {
        const auto claims = handoff::open_claims_folder(folder.get(), tree.path(), failure);
        auto claim = handoff::Claim::create(claims.get(), "a", "{}", failure);
        REQUIRE(claim);
        CHECK_FALSE(make().check_status(tree.path()).completed);
        claim->release();
    }
    CHECK(make().check_status(tree.path()).completed);
}

TEST_CASE_FIXTURE(FilesFixture, "what an agent finds in the worktree while a command runs")
{
    at(2s, [&] {
        std::string problem;
        const auto command = protocol::parse_command(read_file(tree / control::command), problem);
        REQUIRE(command);
        CHECK(command->command == "build");
        CHECK(command->attempt == 1);
        CHECK(command->worktree_path == tree.path());
        CHECK(read_file(tree / control::simple) == "build");
        CHECK(left_in(tree.path()).size() == 3);
        const auto in_flight = records::list_running(project.path());
        REQUIRE(in_flight.size() == 1);
        CHECK(in_flight.front().alive);
        CHECK(in_flight.front().record.attempt_id == command->attempt_id);
    });
    write_at(3s, completed);
    run();
}

TEST_CASE_FIXTURE(FilesFixture, "what was there before is no result")
{
    auto r = request();
    SUBCASE("a status of an earlier run")
    {
        write_file(status, completed);
    }
    SUBCASE("one in the other place")
    {
        write_file(tree / ".cursor" / control::status, completed);
    }
    SUBCASE("an expected artifact")
    {
        write_file(tree / "a", "old");
        r.expected_artifacts = {"a"};
    }
    SUBCASE("a folder with expected artifacts")
    {
        write_file(tree / "out/a", "old");
        r.expected_artifacts = {"out"};
    }
    SUBCASE("a link to a status")
    {
        fs::create_symlink(outside / "status", status);
    }
    SUBCASE("an editor's folder that leads outside")
    {
        write_file(outside / control::status, completed);
        fs::create_directory_symlink(outside.path(), tree / ".cursor");
    }
    run(std::move(r));
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration == 33s);
    CHECK(read_file(outside / "status") == completed);
}

TEST_CASE_FIXTURE(FilesFixture, "what is no status of this attempt is no result")
{
    auto r = request();
    r.workflow_id = "w";
    r.step_id = "s";
    std::string text;
    SUBCASE("another step")
    {
        text = R"({"status": "completed", "step_id": "other"})";
    }
    SUBCASE("another workflow")
    {
        text = R"({"status": "completed", "workflow_id": "other"})";
    }
    SUBCASE("another attempt")
    {
        text = R"({"status": "completed", "attempt_id": "other"})";
    }
    SUBCASE("an empty file") {}
    SUBCASE("blanks")
    {
        text = " \n\t";
    }
    SUBCASE("a list")
    {
        text = "[]";
    }
    SUBCASE("null")
    {
        text = "null";
    }
    SUBCASE("a string")
    {
        text = R"("completed")";
    }
    SUBCASE("a number")
    {
        text = "1e999";
    }
    SUBCASE("a torn file")
    {
        text = R"({"status": "completed")";
    }
    SUBCASE("100,000 levels")
    {
        text = std::string(100'000, '[');
    }
    SUBCASE("100,000 levels of objects")
    {
        for (int i = 0; i < 100'000; ++i) text += R"({"status":)";
    }
    SUBCASE("duplicate keys")
    {
        text = R"({"status": "failed", "status": "completed"})";
    }
    SUBCASE("not a word")
    {
        text = R"({"status": ["completed"]})";
    }
    SUBCASE("not UTF-8 where it matters")
    {
        text = "{\"status\": \"completed\xff\"}";
    }
    SUBCASE("NUL bytes")
    {
        text = std::string(100, '\0');
    }
    SUBCASE("two documents")
    {
        text = R"({"status": "completed"}{"status": "completed"})";
    }
    write_at(2s, text);
    run(std::move(r));
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration == 33s);
}

TEST_CASE_FIXTURE(FilesFixture, "what is no file in the status's place is no result, nor a hang")
{
    for (const auto kind : all_planted) {
        for (const bool before : {false, true}) {
            CAPTURE(name_of(kind));
            CAPTURE(before);
            FilesFixture f;
            const auto put = [&] { (void)plant(kind, f.status, f.outside / "status"); };
            if (before)
                put();
            else
                f.at(2s, put);
            f.run();
            CHECK_FALSE(f.ec);
            CHECK(f.result.status == ExecutionStatus::timeout);
            const bool told = f.sink->count(EventType::status_rejected) == 1;
            if (kind != Planted::device) CHECK(told == !before);
            CHECK(read_file(f.outside / "status") == completed);
        }
    }
}

TEST_CASE_FIXTURE(FilesFixture, "what was in the way makes room for a status later")
{
    for (const auto kind : all_planted) {
        CAPTURE(name_of(kind));
        FilesFixture f;
        f.at(2s, [&] { (void)plant(kind, f.status, f.outside / "status"); });
        f.at(12s, [&] {
            fs::remove(f.status);
            write_file(f.status, completed);
        });
        f.run();
        CHECK(f.result.status == ExecutionStatus::completed);
        CHECK(f.result.duration == 15s);
    }
}

TEST_CASE_FIXTURE(FilesFixture, "a torn status that is completed later completes")
{
    write_at(2s, R"({"status": "comple)");
    write_at(12s, completed);
    run();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 15s);
    CHECK(sink->count(EventType::status_rejected) == 0);
}

TEST_CASE_FIXTURE(FilesFixture, "a status of 100 MB fails at once, unread")
{
    at(2s, [&] {
        write_file(status, completed);
        fs::resize_file(status, 100 * 1024 * 1024);
    });
    run();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "status_too_large");
    CHECK(result.duration == 5s);
}

TEST_CASE_FIXTURE(FilesFixture, "another user's status is no result")
{
    if (::geteuid() != 0) return;
    at(2s, [&] {
        write_file(status, completed);
        REQUIRE(::chown(status.c_str(), 12345, 12345) == 0);
    });
    auto expected = ExecutionStatus::timeout;
    SUBCASE("a stranger's") {}
    SUBCASE("one who was allowed")
    {
        options.allowed_owners = {12345};
        expected = ExecutionStatus::completed;
    }
    run();
    CHECK(result.status == expected);
}

TEST_CASE_FIXTURE(FilesFixture, "an artifact that is or leads outside completes nothing")
{
    auto r = request();
    SUBCASE("by its name")
    {
        r.expected_artifacts = {"../" + outside.path().filename().string() + "/status"};
        run(std::move(r));
        CHECK(ec == errc::artifact_outside_worktree);
    }
    SUBCASE("by a link")
    {
        r.expected_artifacts = {"a"};
        at(2s, [&] { fs::create_symlink(outside / "status", tree / "a"); });
        run(std::move(r));
        CHECK(result.status == ExecutionStatus::timeout);
    }
    SUBCASE("by a link in its path")
    {
        r.expected_artifacts = {"out/status"};
        at(2s, [&] { fs::create_directory_symlink(outside.path(), tree / "out"); });
        run(std::move(r));
        CHECK(result.status == ExecutionStatus::timeout);
    }
}

TEST_CASE_FIXTURE(FilesFixture, "new artifacts at rest complete a command")
{
    auto r = request();
    r.expected_artifacts = {"a", (tree / "out").string()};
    write_file(tree / "a", "old");
    at(2s, [&] { write_file(tree / "a", "new"); });
    at(12s, [&] { write_file(tree / "out/deep/b", "new"); });
    run(std::move(r));
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.completion_method == CompletionMethod::artifact_detection);
    CHECK(result.duration == 20s);
}

TEST_CASE_FIXTURE(FilesFixture, "a worktree that is removed during a command ends it")
{
    SUBCASE("deleted")
    {
        at(7s, [&] { fs::remove_all(tree.path()); });
    }
    SUBCASE("deleted, and made anew with a status in it")
    {
        at(7s, [&] {
            fs::remove_all(tree.path());
            write_file(tree / "file", "");
        });
        write_at(8s, completed);
    }
    SUBCASE("replaced by a link")
    {
        at(7s, [&] {
            fs::remove_all(tree.path());
            fs::create_directory_symlink(outside.path(), tree.path());
        });
    }
    start(request());
    clock->run(ctx);
    fs::remove(status);  // another worktree's, which was rightly left alone
    check_nothing_is_left();
    CHECK_FALSE(ec);
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "worktree_lost");
    CHECK(result.duration == 10s);
    CHECK(std::distance(fs::directory_iterator(outside.path()), {}) <= 2);
    if (fs::is_symlink(tree.path())) fs::remove(tree.path());
}

TEST_CASE_FIXTURE(FilesFixture,
                  "a worktree that is removed with all its records ends the command, too")
{
    options.project_root = tree.path();
    options.enable_audit = options.enable_metrics = true;
    at(7s, [&] { fs::remove_all(tree.path()); });
    start(request());
    clock->run(ctx);
    CHECK(results == 1);
    CHECK(result.error->code == "worktree_lost");
}

TEST_CASE_FIXTURE(FilesFixture, "an agent that claims, reports, and leaves")
{
    std::unique_ptr<handoff::AgentMailbox> box;
    at(2s, [&] { box = take(tree.path()); });
    at(12s, [&] {
        CHECK_FALSE(box->write_status(status_text(ReportedStatus::completed)));
        box.reset();
    });
    options.start_timeout = 9s;
    run();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 15s);
}

TEST_CASE_FIXTURE(FilesFixture, "an agent that dies is lost at the next look")
{
    std::unique_ptr<handoff::AgentMailbox> box;
    at(2s, [&] {
        box = take(tree.path());
        CHECK_FALSE(box->write_status(status_text(ReportedStatus::running)));
    });
    at(12s, [&] { box.reset(); });
    run();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "agent_lost");
    CHECK(result.duration == 15s);
}

TEST_CASE_FIXTURE(FilesFixture, "an agent that does not stop keeps the worktree until it does")
{
    std::unique_ptr<handoff::AgentMailbox> box;
    at(2s, [&] { box = take(tree.path()); });
    start(request());
    clock->run(ctx);
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(left_in(tree.path()) == std::set<std::string>{control::cancel});

    results = 0;
    start(request());
    clock->run(ctx);
    CHECK(ec == errc::worktree_busy_unconfirmed);
    CHECK(result.error->message.find(attempt_id) != std::string::npos);

    box.reset();
    results = 0;
    write_at(clock->elapsed() + 2s, completed);
    start(request());
    clock->run(ctx);
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(left_in(tree.path()).empty());
}

TEST_CASE_FIXTURE(FilesFixture, "without a claim the command is withdrawn before that is reported")
{
    options.start_timeout = 9s;
    run();
    CHECK(result.error->code == "not_started");
    CHECK(result.duration == 9s);
}

TEST_CASE_FIXTURE(FilesFixture,
                  "for any number of free descriptors a command ends, and leaves nothing")
{
    rlimit old{};
    ::getrlimit(RLIMIT_NOFILE, &old);
    const rlimit low{64, old.rlim_max};
    bool went_well = false;
    int free = 0;
    for (; !went_well && free < 40; ++free) {
        CAPTURE(free);
        FilesFixture f;
        f.options.enable_audit = f.options.enable_metrics = true;
        write_file(f.outside / "ready", completed);
        f.at(2s, [&] { (void)::rename((f.outside / "ready").c_str(), f.status.c_str()); });
        (void)f.make();

        REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
        std::vector<int> taken;
        for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
            taken.push_back(fd);
        const auto give_back = [&](int n) {
            for (; n > 0 && !taken.empty(); --n) {
                ::close(taken.back());
                taken.pop_back();
            }
        };
        give_back(free);
        f.start(f.request());
        bool runs = true;
        while (f.results == 0 && runs) runs = f.clock->step(f.ctx);
        give_back(64);
        ::setrlimit(RLIMIT_NOFILE, &old);
        f.clock->run(f.ctx);

        f.check_nothing_is_left();
        CHECK(f.result.status != ExecutionStatus::timeout);
        if (f.ec) {
            CHECK((f.ec == errc::no_resources || f.ec == errc::worktree_busy));
            REQUIRE(f.result.error);
            CHECK(f.result.error->message.find("open files") != std::string::npos);
        } else {
            went_well = f.result.status == ExecutionStatus::completed && f.result.warnings.empty();
        }
    }
    CHECK(went_well);
    CHECK(free > 3);
}

TEST_CASE_FIXTURE(FilesFixture,
                  "for any size at which the disk is full a command ends, and leaves nothing")
{
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ::getrlimit(RLIMIT_FSIZE, &old);
    bool went_well = false;
    rlim_t size = 0;
    for (; !went_well && size < 100'000; size = size * 5 / 4 + 1) {
        CAPTURE(size);
        FilesFixture f;
        f.options.enable_audit = f.options.enable_metrics = true;
        write_file(f.outside / "ready", completed);
        f.at(2s, [&] { (void)::rename((f.outside / "ready").c_str(), f.status.c_str()); });
        const rlimit low{size, old.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &low);
        f.start(f.request());
        bool runs = true;
        while (f.results == 0 && runs) runs = f.clock->step(f.ctx);
        ::setrlimit(RLIMIT_FSIZE, &old);
        f.clock->run(f.ctx);

        f.check_nothing_is_left();
        if (f.ec) {
            CHECK(f.ec.value() == EFBIG);
            CHECK(f.result.error->message.find("Cannot publish the command") != std::string::npos);
        } else {
            went_well = f.result.status == ExecutionStatus::completed && f.result.warnings.empty();
        }
    }
    ::signal(SIGXFSZ, SIG_DFL);
    CHECK(went_well);
    CHECK(size > 1000);
}

TEST_CASE_FIXTURE(FilesFixture, "an executor that died is cleaned up after")
{
    std::unique_ptr<handoff::AgentMailbox> box;
    bool alive = false;
    SUBCASE("its agent is gone, too") {}
    SUBCASE("its agent is at work")
    {
        alive = true;
    }

    int published[2];
    int over[2];
    REQUIRE(::pipe2(published, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(over, O_CLOEXEC) == 0);
    const pid_t engine = ::fork();
    if (engine == 0) {
        const auto dies = [&]() noexcept {
            char byte = 0;
            ::close(over[1]);
            start(request());
            clock->run_until(ctx, 3s);
            (void)!::write(published[1], "x", 1);
            (void)!::read(over[0], &byte, 1);
            ::_exit(0);  // as kill -9 would
        };
        dies();
    }
    char byte = 0;
    ::close(published[1]);
    REQUIRE(::read(published[0], &byte, 1) == 1);
    if (alive) box = take(tree.path());
    const auto recover = [&] {
        std::vector<InterruptedAttempt> found;
        asio::co_spawn(ctx, make().recover(),
                       [&](std::exception_ptr e, std::vector<InterruptedAttempt> attempts) {
                           CHECK_FALSE(e);
                           found = std::move(attempts);
                       });
        clock->run(ctx);
        return found;
    };
    CHECK(recover().empty());  // it lives
    start(request());
    clock->run(ctx);
    CHECK(ec == errc::worktree_busy);
    (void)!::write(over[1], "x", 1);
    ::waitpid(engine, nullptr, 0);
    for (const int end : {published[0], over[0], over[1]}) ::close(end);

    const auto found = recover();
    REQUIRE(found.size() == 1);
    CHECK(found.front().agent_alive == alive);
    CHECK(found.front().worktree == tree.path());
    CHECK(recover().empty());
    CHECK(left_in(tree.path()) ==
          (alive ? std::set<std::string>{control::cancel} : std::set<std::string>{}));
    CHECK(sink->count(EventType::execution_interrupted) == 1);
    CHECK(sink->metrics().size() == 1);

    start(request());
    write_at(clock->elapsed() + 2s, completed);
    clock->run(ctx);
    if (alive) {
        CHECK(ec == errc::worktree_busy_unconfirmed);
        box.reset();  // its agent has ended
        CHECK(recover().empty());
        CHECK(left_in(tree.path()).empty());
        CHECK(records::list_running(project.path()).empty());
    } else
        CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(FilesFixture,
                  "twenty folders of one repository at once, each with its own agent" *
                      doctest::test_suite("sweep"))
{
    std::mt19937 random(sweep_seed());
    write_file(tree / ".git/HEAD", "ref: refs/heads/main\n");
    fs::create_directories(tree / ".git/objects");
    fs::create_directories(tree / ".git/refs");
    options.start_timeout = 20s;

    struct Place {
        fs::path where;
        std::unique_ptr<handoff::AgentMailbox> box;
        std::string attempt_id;
        int kind = 0;
        int results = 0;
        ExecutionResult result;
    };
    std::vector<Place> places(20);
    for (std::size_t i = 0; i < places.size(); ++i) {
        auto& p = places[i];
        p.where = tree / ("part" + std::to_string(i));
        fs::create_directory(p.where);
        p.kind = static_cast<int>(random() % 3);
        const auto taken = std::chrono::milliseconds{100 + random() % 9'000};
        const auto ended = taken + std::chrono::milliseconds{1 + random() % 9'000};
        at(taken, [&] {
            p.box = take(p.where);
            p.attempt_id = attempt_id;
        });
        at(ended, [&] {
            attempt_id = p.attempt_id;
            if (p.kind == 0)
                CHECK_FALSE(p.box->write_status(status_text(ReportedStatus::completed)));
            if (p.kind == 1) CHECK_FALSE(p.box->write_status(status_text(ReportedStatus::failed)));
            p.box.reset();  // the third kind just dies
        });
        make().async_execute_command(CommandRequest("build", p.where),
                                     [&](error_code e, ExecutionResult r) {
                                         CHECK_FALSE(e);
                                         ++p.results;
                                         p.result = std::move(r);
                                     });
    }
    clock->run(ctx);
    for (const auto& p : places) {
        CHECK(p.results == 1);
        CHECK(p.result.attempt_id == p.attempt_id);
        CHECK((p.result.status == ExecutionStatus::completed) == (p.kind == 0));
        if (p.kind == 2) CHECK(p.result.error->code == "agent_lost");
        CHECK(left_in(p.where).empty());
    }
    CHECK(fs::is_empty(tree / ".git/autoexec/claims"));
}

TEST_SUITE_END();
