#include "async/short_names.hpp"
#include "autoexec/ports.hpp"
#include "process/control.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <string>

using namespace autoexec;

/// Programs that cannot be started because the system is short of something.
namespace {

/// The exit code of a forked process that does this.
int exit_code_of(const std::function<int()>& work)
{
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// A limit of processes does not hold for root.
void become_ordinary_user()
{
    constexpr unsigned nobody = 65534;
    if (::geteuid() != 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0)
        ::_exit(100);
}

void limit(decltype(RLIMIT_NPROC) resource, rlim_t most)
{
    const rlimit both{most, most};
    if (::setrlimit(resource, &both) != 0) ::_exit(101);
}

int reason_of_refusal()
{
    asio::io_context ctx;
    ProcessSpec spec;
    spec.argv = {"true"};
    spec.directory = "/";
    error_code ec;
    std::string why;
    const auto process = supervised_spawner("/bin/true")->spawn(ctx.get_executor(), spec, ec, why);
    return process == nullptr && !why.empty() ? ec.value() : 0;
}

}  // namespace

TEST_CASE("a program that cannot be started for want of processes is refused with that reason")
{
    const int reason = exit_code_of([] {
        become_ordinary_user();
        limit(RLIMIT_NPROC, 0);
        return reason_of_refusal();
    });
    CHECK(reason == EAGAIN);
}

TEST_CASE("a program that cannot be started for want of descriptors is refused with that reason")
{
    const int reason = exit_code_of([] {
        limit(RLIMIT_NOFILE, 8);
        return reason_of_refusal();
    });
    CHECK(reason == EMFILE);
}

TEST_CASE("a supervisor without the descriptors that it needs reports it")
{
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const auto parent = std::to_string(::getpid());
    const int code = exit_code_of([&] {
        ::dup2(ends[1], control::descriptor);
        limit(RLIMIT_NOFILE, control::descriptor + 1);
        ::execl(AUTOEXEC_BINARY_DIR "/autoexec-supervise", "autoexec-supervise", control::version,
                parent.c_str(), "0", "0", control::inherited_limit, "--", "true", nullptr);
        return 102;
    });
    CHECK(code == 0);
    ::close(ends[1]);
    control::Message message;
    REQUIRE(::recv(ends[0], &message, sizeof message, 0) == sizeof message);
    CHECK(message.kind == control::Kind::not_started);
    CHECK(message.value == EMFILE);
    REQUIRE(::recv(ends[0], &message, sizeof message, 0) == sizeof message);
    CHECK(message.kind == control::Kind::all_gone);
    CHECK(::recv(ends[0], &message, sizeof message, 0) == 0);
    ::close(ends[0]);
}
