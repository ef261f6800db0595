#include "git/git.hpp"
#include "git/repository.hpp"

#include "support/scripted_spawner.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;
using namespace std::chrono_literals;

namespace {

/// Calls of a git that never ends by itself, in virtual time.
struct Hanging {
    asio::io_context io;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<ScriptedSpawner> spawner = std::make_shared<ScriptedSpawner>();
    std::shared_ptr<Interrupt> interrupt = std::make_shared<Interrupt>();
    Git git{spawner, clock, interrupt};
    GitContext context{"/repository", "/tree"};
    std::vector<std::string> reasons;
    std::vector<std::chrono::nanoseconds> times;

    void call(Words words) { call_by(git, std::move(words)); }
    void call_by(const Git& caller, Words words)
    {
        asio::co_spawn(io, caller.run(context, std::move(words)),
                       [this](std::exception_ptr failure, ProgramOutput output) {
                           CHECK_FALSE(failure);
                           reasons.push_back(output.ok() ? "" : reason_of(output));
                           times.push_back(clock->elapsed());
                       });
    }
    void run() { clock->run(io); }
};

bool contains(const std::string& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE_BEGIN("git_limits");

TEST_CASE_FIXTURE(Hanging, "a call that hangs is stopped at its time limit, and reported")
{
    call({"status", "--porcelain"});
    call({"-c", "core.sparseCheckout=false", "read-tree", "HEAD"});
    run();
    REQUIRE(times.size() == 2);
    CHECK(times[0] == reading_limit);
    CHECK(contains(reasons[0], "'git status' did not end within 2m00s"));
    CHECK(times[1] == writing_limit);
    CHECK(contains(reasons[1], "'git read-tree' did not end within 10m00s"));
    CHECK(contains(reasons[1], "filter"));
    for (const auto& program : spawner->programs) CHECK(program->stops == 1);
}

TEST_CASE_FIXTURE(Hanging, "a call that ends in time is not stopped later")
{
    spawner->on_wait = [this](ScriptedProgram& program) {
        clock->at(1min, [&program] { program.exit(0); });
    };
    call({"status"});
    run();
    REQUIRE(times.size() == 1);
    CHECK(times[0] == 1min);
    CHECK(reasons[0].empty());
    CHECK(spawner->last().stops == 0);
}

TEST_CASE_FIXTURE(Hanging, "a call that succeeds at its time limit is not a failure")
{
    spawner->on_wait = [this](ScriptedProgram& program) {
        program.deaf = true;
        clock->at(reading_limit + 1s, [&program] { program.exit(0); });
    };
    call({"status"});
    run();
    CHECK(reasons.at(0).empty());
    CHECK(spawner->last().stops == 1);
}

TEST_CASE_FIXTURE(Hanging, "a cancellation gives calls their grace, and a second one none")
{
    call({"add", "--all"});
    call({"status"});
    clock->at(5s, [this] { interrupt->cancel(*clock, asio::cancellation_type::partial); });
    std::chrono::nanoseconds expected = 5s + cancel_grace;
    SUBCASE("once") {}
    SUBCASE("twice")
    {
        clock->at(8s, [this] { interrupt->cancel(*clock, asio::cancellation_type::terminal); });
        expected = 8s;
    }
    SUBCASE("a later and gentler one changes nothing")
    {
        clock->at(6s, [this] { interrupt->cancel(*clock, asio::cancellation_type::partial); });
    }
    run();
    REQUIRE(times.size() == 2);
    for (const auto time : times) CHECK(time == expected);
    for (const auto& reason : reasons)
        CHECK(contains(reason, "was stopped: the operation was cancelled"));
}

TEST_CASE_FIXTURE(Hanging, "after the time of a cancellation no call begins")
{
    interrupt->end_by(clock->now());
    call({"add", "--all"});
    run();
    CHECK(contains(reasons.at(0), "'git add' was not started"));
    CHECK(spawner->programs.empty());
}

TEST_CASE_FIXTURE(Hanging, "what undoes is not ended by the cancellation that it follows")
{
    interrupt->end_by(clock->now());
    const auto caller = git.uninterrupted();
    spawner->on_wait = [this](ScriptedProgram& program) {
        clock->at(1min, [&program] { program.exit(0); });
    };
    call_by(caller, {"worktree", "remove", "--force", "/tree"});
    run();
    CHECK(reasons.at(0).empty());
    CHECK(times.at(0) == 1min);
}

TEST_CASE_FIXTURE(Hanging, "what undoes has the limit of any call")
{
    interrupt->end_by(clock->now());
    const auto caller = git.uninterrupted();
    call_by(caller, {"worktree", "remove", "--force", "/tree"});
    run();
    CHECK(times.at(0) == writing_limit);
    CHECK(contains(reasons.at(0), "did not end within"));
}

TEST_CASE_FIXTURE(Hanging, "calls whose start throws give back their turns")
{
    constexpr int more_than_turns = 40;
    spawner->lacks_memory = true;
    int thrown = 0;
    for (int i = 0; i < more_than_turns; ++i)
        asio::co_spawn(io, git.run(context, {"status"}),
                       [&](std::exception_ptr failure, auto) { thrown += failure ? 1 : 0; });
    run();
    CHECK(thrown == more_than_turns);
    spawner->lacks_memory = false;
    spawner->on_wait = [](ScriptedProgram& program) { program.exit(0); };
    call({"status"});
    run();
    CHECK(reasons.at(0).empty());
}

TEST_CASE_FIXTURE(Hanging, "a call whose start throws gives back the repository's lock")
{
    const TemporaryFolder folder;
    RepositoryOptions options;
    options.project_root = folder.path();
    options.spawner = spawner;
    options.clock = clock;
    options.interrupt = interrupt;
    Repository repository(options, git, context, folder / ".git");
    int thrown = 0;
    std::vector<int> codes;
    const auto begin = [&] {
        asio::co_spawn(io, repository.locked({"worktree", "prune"}),
                       [&](std::exception_ptr failure, const ProgramOutput& output) {
                           thrown += failure ? 1 : 0;
                           if (!failure) codes.push_back(output.exit.exit_code.value_or(-1));
                       });
    };
    spawner->lacks_memory = true;
    begin();
    run();
    CHECK(thrown == 1);
    spawner->lacks_memory = false;
    spawner->on_wait = [](ScriptedProgram& program) { program.exit(0); };
    begin();
    run();
    CHECK(codes == std::vector<int>{0});
}

TEST_CASE_FIXTURE(Hanging, "a program that cannot be started is reported as such")
{
    spawner->refusal = make_error_code(boost::system::errc::no_such_file_or_directory);
    call({"status"});
    run();
    CHECK(reasons.at(0) == "It cannot be started.");
}

TEST_SUITE_END();
