// What does a program cost that runs below the supervisor?
//
// The limit is the same supervisor started by hand, without a word said to it. Beside it: the
// program alone, and by way of a shell. All one after the other; CPU of the children included.

#include "autoexec/ports.hpp"

#include "files/safe_files.hpp"
#include "measure.hpp"
#include "process/control.hpp"
#include "process/run_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

using namespace autoexec;
using namespace autoexec::bench;

namespace {

constexpr int count = 200;
constexpr const char* program = "/bin/true";

void check(bool holds, const std::string& what)
{
    if (holds) return;
    say("failed: {}", what);
    std::exit(1);
}

void spawn_and_wait(std::vector<std::string> words, const posix_spawn_file_actions_t* actions)
{
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    check(::posix_spawn(&pid, argv[0], actions, nullptr, argv.data(), environ) == 0, words[0]);
    int status = 0;
    check(::waitpid(pid, &status, 0) == pid && status == 0, words[0]);
}

void supervisor_by_hand()
{
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    const files::UniqueFd ours(ends[0]);
    const files::UniqueFd theirs(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), control::descriptor);
    spawn_and_wait({AUTOEXEC_SUPERVISOR, control::version, std::to_string(::getpid()), "1000", "0",
                    "--", program},
                   &actions);
    ::posix_spawn_file_actions_destroy(&actions);
}

asio::awaitable<void> supervised(std::shared_ptr<Spawner> spawner, int times)
{
    for (int i = 0; i < times; ++i) {
        std::vector<std::string> argv{program};
        const auto result = co_await process::run_program(spawner, std::move(argv), "/");
        check(result.ok(), result.exit.error);
    }
}

template <class Work>
std::function<Cost()> repeated(Work work)
{
    return [work] {
        return cost_of([&] {
            for (int i = 0; i < count; ++i) work();
        });
    };
}

Cost below_the_supervisor()
{
    asio::io_context ctx(1);
    const auto spawner = supervised_spawner(AUTOEXEC_SUPERVISOR);
    return cost_of([&] {
        asio::co_spawn(ctx, supervised(spawner, count), [](std::exception_ptr failure) {
            if (failure) std::rethrow_exception(failure);
        });
        ctx.run();
    });
}

}  // namespace

int main()
{
    const auto alone = [] { spawn_and_wait({program}, nullptr); };
    const auto by_shell = [] { spawn_and_wait({"/bin/sh", "-c", program}, nullptr); };
    std::vector<Contender> all = {
        {"the program alone", repeated(alone), {}},
        {"sh -c", repeated(by_shell), {}},
        {"the supervisor by hand", repeated(supervisor_by_hand), {}},
        {"the engine's spawner", below_the_supervisor, {}},
    };
    run_in_turn(all, 7);
    const auto& by_hand = all[2];
    say("{} times {}, one after the other", count, program);
    say("  {:<26}{:>12}{:>16}{:>16}{:>26}", "", "programs/s", "CPU each, µs", "of it alone",
        "of the supervisor by hand");
    for (const auto& c : all)
        say("  {:<26}{:>12.0f}{:>16.0f}{:>15.2f}×{:>25.2f}×", c.name, count / c.wall(),
            c.cpu() / count * 1e6, c.cpu_ratio(all[0]), c.cpu_ratio(by_hand));
}
