#include "queue/queue_folder.hpp"
#include "queue/engine_lock.hpp"
#include "queue/owner_lock.hpp"
#include "records/running.hpp"
#include "support/killed_at.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

using namespace autoexec;
using namespace autoexec::test;
using queue::QueueFolder;
using queue::RequestState;

namespace {

protocol::QueuedRequest request_of(const std::string& command, int priority = 0)
{
    CommandRequest r(command, "/tree");
    r.execution_id = text::new_uuid();
    protocol::QueuedRequest request(std::move(r));
    request.submitted_at = std::chrono::system_clock::now();
    request.request.priority = priority;
    return request;
}

protocol::QueuedResult completed(const std::string& id)
{
    protocol::QueuedResult result;
    result.id = id;
    result.ended_at = std::chrono::system_clock::now();
    result.result = {{"status", "completed"}};
    return result;
}

std::string status_of(const QueueFolder& folder, const std::string& id)
{
    std::string problem;
    const auto ended = folder.result(id, problem);
    return ended ? std::string(ended->result.at("status").as_string()) : problem;
}

/// A queue, with one request in it.
struct Queue {
    Queue() { REQUIRE_FALSE(folder.submit(request, Durability::process)); }

    [[nodiscard]] fs::path path() const { return root / ".tapps-agents/queue"; }
    [[nodiscard]] const std::string& id() const { return request.id(); }

    TemporaryFolder root;
    QueueFolder folder{root.path()};
    protocol::QueuedRequest request = request_of("make");
};

// Calls `check` after each death of a process at `work`, in a queue of its own, and at last without
// a death.
void at_each_death(const std::function<void(Queue&)>& prepare,
                   const std::function<void(Queue&)>& work,
                   const std::function<void(Queue&)>& check)
{
    constexpr int more_than_it_needs = 1000;
    bool killed = true;
    int n = 0;
    for (; killed && n < more_than_it_needs; ++n) {
        Queue queue;
        prepare(queue);
        killed = is_killed_at(n, [&] { work(queue); });
        CAPTURE(n);
        check(queue);
        CHECK(queue.folder.broken().empty());
    }
    CHECK_FALSE(killed);
    CHECK(n > 5);
}

}  // namespace

TEST_SUITE_BEGIN("queue folder");

TEST_CASE("requests start by priority, then by age")
{
    TemporaryFolder root;
    QueueFolder folder(root.path());
    CHECK(folder.list_waiting().empty());
    CHECK(folder.list_startable().empty());
    for (const auto& [command, priority] :
         {std::pair("third", 0), {"fourth", 0}, {"first", 7}, {"last", -1}, {"second", 7}})
        REQUIRE_FALSE(folder.submit(request_of(command, priority), Durability::none));
    Words commands;
    for (const auto& request : folder.list_waiting()) commands.push_back(request->request.command);
    CHECK(commands == Words{"first", "second", "third", "fourth", "last"});
    CHECK(folder.list_startable().size() == 5);
}

TEST_CASE("only its owner can read a request")
{
    const Queue queue;
    struct stat st {};
    REQUIRE(::stat(queue.path().c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0700);
    REQUIRE(::stat((queue.path() / (queue.id() + ".json")).c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE("one of two processes starts a request")
{
    Queue queue;
    QueueFolder other(queue.root.path());
    REQUIRE(other.list_waiting().size() == 1);
    CHECK(queue.folder.state_of(queue.id()) == RequestState::waiting);
    CHECK(queue.folder.start(queue.id()));
    CHECK_FALSE(other.start(queue.id()));
    CHECK_FALSE(other.cancel_waiting(queue.id()));
    CHECK(other.list_waiting().empty());
    REQUIRE(other.list_started().size() == 1);
    CHECK(queue.folder.state_of(queue.id()) == RequestState::started);
    CHECK_FALSE(queue.folder.put_result(completed(queue.id())));
    queue.folder.remove_started(queue.id());
    CHECK(queue.folder.state_of(queue.id()) == RequestState::ended);
    CHECK(queue.folder.list_ended() == Words{queue.id()});
    CHECK(status_of(other, queue.id()) == "completed");
    CHECK(other.list_started().empty());
    CHECK(queue.folder.state_of(text::new_uuid()) == RequestState::absent);
}

TEST_CASE("a result keeps its request, unless no reader would accept it")
{
    Queue queue;
    auto ended = completed(queue.id());
    ended.request = protocol::json_of_request(queue.request);
    SUBCASE("kept") {}
    SUBCASE("too large")
    {
        ended.request["more"] = std::string(protocol::queue_file_limit, 'x');
    }
    const bool is_kept = !ended.request.contains("more");
    CHECK_FALSE(queue.folder.put_result(ended));
    std::string problem;
    const auto read = queue.folder.result(queue.id(), problem);
    REQUIRE_MESSAGE(read, problem);
    CHECK(read->request.empty() != is_kept);
}

TEST_CASE("a started request can be replaced and asked to cancel")
{
    Queue queue;
    REQUIRE(queue.folder.start(queue.id()));
    auto changed = queue.request;
    changed.request.worktree = "/other";
    CHECK_FALSE(queue.folder.update_started(changed));
    CHECK(queue.folder.list_started().at(0)->request.worktree == "/other");
    CHECK_FALSE(queue.folder.request_cancel(queue.id()));
    CHECK_FALSE(queue.folder.request_cancel(queue.id()));
    CHECK(queue.folder.consume_cancel_requests() == Words{queue.id()});
    CHECK(queue.folder.consume_cancel_requests().empty());
}

TEST_CASE("a started request of which nothing was published can wait again")
{
    Queue queue;
    REQUIRE(queue.folder.start(queue.id()));
    queue.folder.put_back(queue.id());
    CHECK(queue.folder.state_of(queue.id()) == RequestState::waiting);
    CHECK(queue.folder.list_waiting().size() == 1);
    CHECK(queue.folder.list_started().empty());
}

TEST_CASE("a cancelled request shows no secret")
{
    Queue queue;
    const auto secret = request_of("curl -H 'Authorization: Bearer abcdefghijklmnopqrstuvwx'");
    REQUIRE_FALSE(queue.folder.submit(secret, Durability::process));
    REQUIRE(queue.folder.cancel_waiting(secret.id()));
    CHECK(status_of(queue.folder, secret.id()) == "cancelled");
    const auto text = read_file(queue.path() / "ended" / (secret.id() + ".json"));
    CHECK_FALSE(contains(text, "abcdefghijklmnop"));
    CHECK(contains(text, "\"ended_at\": \"2"));
}

TEST_CASE("what is no request is reported and left alone")
{
    Queue queue;
    const auto add = [&](const std::string& id, std::string_view text) {
        write_file(queue.path() / (id + ".json"), text);
        fs::permissions(queue.path() / (id + ".json"), fs::perms(0600));
    };
    const auto other = text::new_uuid();
    add(text::new_uuid(), "{");
    add(text::new_uuid(), protocol::format_queued(queue.request));
    add(text::new_uuid(), R"({"version": "9.0"})");
    fs::create_symlink(queue.path() / (queue.id() + ".json"), queue.path() / (other + ".json"));
    REQUIRE(::mkfifo((queue.path() / (text::new_uuid() + ".json")).c_str(), 0600) == 0);
    const auto large = text::new_uuid();
    add(large, "");
    REQUIRE(::truncate((queue.path() / (large + ".json")).c_str(),
                       protocol::queue_file_limit + 1) == 0);
    const auto open = text::new_uuid();
    add(open, "");
    fs::permissions(queue.path() / (open + ".json"), fs::perms(0666));
    const auto cloned = request_of("evil");
    add(cloned.id(), protocol::format_queued(cloned));
    fs::permissions(queue.path() / (cloned.id() + ".json"), fs::perms(0644));
    add("pause", "{}");
    add("../escape", "{}");

    REQUIRE(queue.folder.list_waiting().size() == 1);
    CHECK(queue.folder.broken().size() == 8);
    for (const auto& broken : queue.folder.broken()) CHECK_FALSE(broken.problem.empty());
    REQUIRE(queue.folder.list_waiting().size() == 1);
    CHECK(queue.folder.broken().size() == 8);
    CHECK(fs::exists(queue.path() / (large + ".json")));
}

TEST_CASE("a folder of the queue that is a link is not used")
{
    TemporaryFolder root;
    TemporaryFolder elsewhere;
    fs::create_directories(root / ".tapps-agents");
    fs::create_symlink(elsewhere.path(), root / ".tapps-agents/queue");
    QueueFolder folder(root.path());
    CHECK(folder.submit(request_of("make"), Durability::none));
    CHECK(folder.list_waiting().empty());
    CHECK(fs::is_empty(elsewhere.path()));
}

TEST_CASE("a request that is killed while it is submitted exists as a whole or not at all")
{
    const auto more = request_of("more");
    at_each_death(
        [](Queue&) {}, [&](Queue& queue) { (void)queue.folder.submit(more, Durability::power); },
        [&](Queue& queue) {
            const auto waiting = queue.folder.list_waiting();
            for (const auto& request : waiting)
                CHECK((request->request.command == "make" || request->request.command == "more"));
            CHECK(waiting.size() ==
                  (queue.folder.state_of(more.id()) == RequestState::waiting ? 2 : 1));
        });
}

TEST_CASE("a request whose start is killed waits, or is started")
{
    at_each_death(
        [](Queue&) {}, [](Queue& queue) { (void)queue.folder.start(queue.id()); },
        [](Queue& queue) {
            CHECK(queue.folder.list_waiting().size() + queue.folder.list_started().size() == 1);
        });
}

TEST_CASE("a request whose cancellation is killed waits, or is cancelled")
{
    at_each_death([](Queue&) {},
                  [](Queue& queue) { (void)queue.folder.cancel_waiting(queue.id()); },
                  [](Queue& queue) {
                      CHECK(queue.folder.list_started().empty());
                      if (!queue.folder.list_waiting().empty()) return;
                      CHECK(status_of(queue.folder, queue.id()) == "cancelled");
                      queue.folder.sweep();
                      std::string problem;
                      CHECK(queue.folder.result(queue.id(), problem)->ended_at);
                  });
}

TEST_CASE("a request whose end is killed is still started, or has its result")
{
    at_each_death([](Queue& queue) { REQUIRE(queue.folder.start(queue.id())); },
                  [](Queue& queue) {
                      if (!queue.folder.put_result(completed(queue.id())))
                          queue.folder.remove_started(queue.id());
                  },
                  [](Queue& queue) {
                      const auto state = queue.folder.state_of(queue.id());
                      CHECK((state == RequestState::started || state == RequestState::ended));
                      if (queue.folder.list_started().empty()) CHECK(state == RequestState::ended);
                      if (state == RequestState::ended)
                          CHECK(status_of(queue.folder, queue.id()) == "completed");
                  });
}

TEST_CASE("a recovered attempt of a started request is noted, and the note goes with it")
{
    Queue queue;
    const auto is_noted = [&] { return queue.folder.is_interrupted(queue.id()); };
    records::note_interrupted(queue.root.path(), queue.id());
    CHECK_FALSE(is_noted());
    REQUIRE(queue.folder.start(queue.id()));
    records::note_interrupted(queue.root.path(), "../" + queue.id());
    CHECK_FALSE(is_noted());
    records::note_interrupted(queue.root.path(), queue.id());
    CHECK(is_noted());
    queue.folder.sweep();
    CHECK(is_noted());
    fs::remove(queue.path() / "started" / (queue.id() + ".json"));
    queue.folder.sweep();
    CHECK_FALSE(is_noted());
}

TEST_CASE("results are removed after their time")
{
    Queue queue;
    REQUIRE(queue.folder.start(queue.id()));
    REQUIRE_FALSE(queue.folder.put_result(completed(queue.id())));
    const auto file = queue.path() / "ended" / (queue.id() + ".json");
    queue.folder.sweep();
    CHECK(fs::exists(file));
    fs::last_write_time(file, fs::file_time_type::clock::now() - queue::max_age_of_results -
                                  std::chrono::minutes(1));
    queue.folder.sweep();
    CHECK_FALSE(fs::exists(file));
}

TEST_CASE("a request of the foreground is kept for its time, unless it contains a secret")
{
    const Queue queue;
    CHECK_FALSE(queue.folder.kept(queue.id()));
    REQUIRE_FALSE(queue.folder.keep(queue.request));
    const auto kept = queue.folder.kept(queue.id());
    REQUIRE(kept);
    CHECK(protocol::format_queued(*kept) == protocol::format_queued(queue.request));
    const auto secret = request_of("curl -H 'Authorization: Bearer abcdefghijklmnopqrstuvwx'");
    REQUIRE_FALSE(queue.folder.keep(secret));
    CHECK_FALSE(queue.folder.kept(secret.id()));

    const auto younger = request_of("younger");
    REQUIRE_FALSE(queue.folder.keep(younger));
    const auto file = queue.path() / "kept" / (queue.id() + ".json");
    const auto age = [&](std::chrono::hours hours) {
        fs::last_write_time(file, fs::file_time_type::clock::now() - hours);
        queue.folder.sweep_kept();
        return fs::exists(file);
    };
    CHECK(age(queue::max_age_of_results - std::chrono::hours(1)));
    CHECK_FALSE(age(queue::max_age_of_results + std::chrono::hours(1)));
    CHECK(queue.folder.kept(younger.id()));
}

TEST_CASE("one process is the engine of the queue, and others read which")
{
    TemporaryFolder root;
    CHECK_FALSE(queue::probe_engine(root.path()).alive);
    protocol::QueueEngineFile mine;
    mine.pid = 42;
    mine.version = "1.2.3";
    mine.variables = {"PATH"};
    error_code ec;
    {
        const auto lock = queue::EngineLock::acquire(root.path(), mine, ec);
        REQUIRE(lock);
        const auto probe = queue::probe_engine(root.path());
        CHECK(probe.alive);
        REQUIRE(probe.engine);
        CHECK(probe.engine->pid == 42);
        CHECK(probe.engine->variables == Words{"PATH"});
        CHECK_FALSE(queue::EngineLock::acquire(root.path(), {}, ec));
        CHECK_FALSE(ec);
        CHECK(queue::probe_engine(root.path()).engine->pid == 42);
    }
    CHECK_FALSE(queue::probe_engine(root.path()).alive);
    CHECK(queue::EngineLock::acquire(root.path(), {}, ec));
}

TEST_CASE("an engine is elected although its predecessor was killed at any time")
{
    at_each_death([](Queue&) {},
                  [](Queue& queue) {
                      error_code ec;
                      (void)queue::EngineLock::acquire(queue.root.path(), {}, ec);
                  },
                  [](Queue& queue) {
                      error_code ec;
                      protocol::QueueEngineFile mine;
                      mine.pid = 7;
                      const auto lock = queue::EngineLock::acquire(queue.root.path(), mine, ec);
                      REQUIRE(lock);
                      CHECK(queue::probe_engine(queue.root.path()).engine->pid == 7);
                  });
}

TEST_CASE("an engine's lock is no link and no FIFO")
{
    TemporaryFolder root;
    fs::create_directories(root / ".tapps-agents/queue");
    const auto lock = root / ".tapps-agents/queue/engine.lock";
    write_file(root / "precious", "text");
    error_code ec;
    SUBCASE("a link")
    {
        fs::create_symlink(root / "precious", lock);
    }
    SUBCASE("a second name")
    {
        fs::create_hard_link(root / "precious", lock);
    }
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo(lock.c_str(), 0600) == 0);
    }
    CHECK_FALSE(queue::EngineLock::acquire(root.path(), {}, ec));
    CHECK(ec);
    CHECK(read_file(root / "precious") == "text");
}

TEST_CASE("an engine is asked to stop")
{
    TemporaryFolder root;
    CHECK_FALSE(queue::request_stop(root.path()));
    CHECK(queue::is_stopping(root.path()));
    CHECK(fs::exists(root.path() / ".tapps-agents/queue/drain"));  // what an older engine knows
    queue::end_drain(root.path());
    CHECK_FALSE(queue::is_stopping(root.path()));
    CHECK_FALSE(queue::is_draining(root.path()));
}

TEST_CASE("an engine is asked to drain")
{
    TemporaryFolder root;
    CHECK_FALSE(queue::is_draining(root.path()));
    CHECK_FALSE(queue::request_drain(root.path()));
    CHECK_FALSE(queue::request_drain(root.path()));
    CHECK(queue::is_draining(root.path()));
    queue::end_drain(root.path());
    CHECK_FALSE(queue::is_draining(root.path()));
}

TEST_CASE("a request is left to the run in the foreground that owns it, while that lives")
{
    Queue queue;
    error_code ec;
    auto owner = queue::OwnerLock::create(queue.root.path(), ec);
    REQUIRE_MESSAGE(owner, ec.message());
    auto owned = request_of("owned");
    owned.owner = owner->id();
    REQUIRE_FALSE(queue.folder.submit(owned, Durability::none));
    QueueFolder other(queue.root.path());
    CHECK(other.list_waiting().size() == 2);
    REQUIRE(other.list_startable().size() == 1);
    CHECK(other.list_startable().front()->id() == queue.id());
    CHECK(other.has_owner(owned));
    const auto next = queue::OwnerLock::create(queue.root.path(), ec);
    owner.reset();
    CHECK(other.list_startable().size() == 2);
    CHECK_FALSE(other.has_owner(owned));
}

TEST_CASE("whenever a run in the foreground is killed, a command that it owns is kept or cancelled")
{
    at_each_death([](Queue&) {},
                  [](Queue& queue) {
                      auto ended = completed(queue.id());
                      ended.result["status"] = "failed";
                      CHECK(queue.folder.end_waiting(ended));
                  },
                  [](Queue& queue) {
                      const auto state = queue.folder.state_of(queue.id());
                      if (state == RequestState::waiting) return;
                      CHECK(state == RequestState::ended);
                      const auto status = status_of(queue.folder, queue.id());
                      CHECK((status == "failed" || status == "cancelled"));
                  });
}

TEST_CASE("versions are compared number by number")
{
    CHECK(queue::is_older_version("1.2.3", "1.2.10"));
    CHECK(queue::is_older_version("1.9", "2.0.0"));
    CHECK(queue::is_older_version("1.2", "1.2.1"));
    CHECK_FALSE(queue::is_older_version("1.2.3", "1.2.3"));
    CHECK_FALSE(queue::is_older_version("1.10.0", "1.9.9"));
    CHECK(queue::is_older_version("", "1.0"));
}

TEST_SUITE_END();
