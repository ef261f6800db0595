// How many processes of git does a program start, and how much CPU do they use?
//
// Runs BENCH_GIT with its own arguments, and appends to BENCH_GIT_CALLS a line with the seconds of
// CPU that this took. As `git` first in PATH it is called in git's place.

#include "measure.hpp"

#include <fcntl.h>
#include <spawn.h>

using namespace autoexec::bench;

namespace {

const char* setting(const char* name)
{
    const char* const value = std::getenv(name);
    check(value != nullptr, name);
    return value;
}

// Without this process.
seconds children_cpu()
{
    rusage used{};
    ::getrusage(RUSAGE_CHILDREN, &used);
    return seconds(static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6);
}

}  // namespace

int main(int, char** argv)
{
    const char* const calls = setting("BENCH_GIT_CALLS");
    pid_t git = 0;
    check(::posix_spawn(&git, setting("BENCH_GIT"), nullptr, nullptr, argv, environ) == 0, "git");
    int status = 0;
    check(::waitpid(git, &status, 0) == git, "waiting for git");
    const int file = ::open(calls, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const auto line = fmt::format("{:.6f}\n", children_cpu().count());
    check(::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()), calls);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
