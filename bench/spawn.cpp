// What does a program cost that runs below the supervisor?
//
// The limit is the same supervisor, started by hand and told nothing. Beside it, the program alone.
// All one after the other; CPU of the children included.
//
// usage: spawn alone|by-hand|autoexec [COUNT [PARENT_MIB]]

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

constexpr const char* program = "/bin/true";

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
                    control::inherited_limit, "--", program},
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

void below_the_supervisor(int times)
{
    asio::io_context ctx(1);
    const auto spawner = supervised_spawner(AUTOEXEC_SUPERVISOR);
    asio::co_spawn(ctx, supervised(spawner, times), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    ctx.run();
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const auto& way = arguments.way();
    const auto count = static_cast<int>(arguments.number(0, 200));
    const std::string memory(arguments.number(1, 0) << 20, 'm');
    const auto cost = cost_of([&] {
        if (way == "autoexec") return below_the_supervisor(count);
        for (int i = 0; i < count; ++i) {
            if (way == "alone") spawn_and_wait({program}, nullptr);
            if (way == "by-hand") supervisor_by_hand();
        }
    });
    print_figures({{"cpu", cost.cpu},
                   {"wall", cost.wall},
                   {"count", count},
                   {"parent_bytes", static_cast<double>(memory.size())}});
}
