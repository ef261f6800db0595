#include "process/control.hpp"
#include "process/supervisor/descendants.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>

/// autoexec-supervise runs one program and ends all its descendants when the program ends, when it
/// must stop, or when the spawning process dies. It is a separate process, because only a subreaper
/// keeps track of orphaned descendants, and a library must not make its host a subreaper.
namespace autoexec::supervisor {
namespace {

constexpr std::int64_t kill_again_ms = 20;

struct Arguments {
    pid_t parent = 0;
    std::int64_t grace_ms = 0;
    std::int64_t orphan_grace_ms = 0;
    rlim_t max_open_files = RLIM_INFINITY;
    char** program = nullptr;
};

bool parse(int argc, char** argv, Arguments& arguments)
{
    if (argc <= control::first_program_argument || std::strcmp(argv[1], control::version) != 0 ||
        std::strcmp(argv[control::first_program_argument - 1], "--") != 0)
        return false;
    arguments.parent = static_cast<pid_t>(std::strtol(argv[2], nullptr, 10));
    arguments.grace_ms = std::max(0LL, std::strtoll(argv[3], nullptr, 10));
    arguments.orphan_grace_ms = std::max(0LL, std::strtoll(argv[4], nullptr, 10));
    if (std::strcmp(argv[5], control::inherited_limit) != 0)
        arguments.max_open_files = std::strtoull(argv[5], nullptr, 10);
    arguments.program = argv + control::first_program_argument;
    return true;
}

std::int64_t now_ms()
{
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

// The spawner may have ended; the work does not change.
void send(const control::Message& message)
{
    (void)::send(control::descriptor, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::int64_t microseconds(const timeval& t)
{
    return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_usec;
}

void report_end(std::size_t survivors)
{
    rusage usage{};
    ::getrusage(RUSAGE_CHILDREN, &usage);
    send({control::Kind::all_gone, static_cast<std::int32_t>(survivors),
          microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss});
}

void lower_limit_of_files(rlim_t soft)
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || soft >= limit.rlim_cur) return;
    limit.rlim_cur = soft;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// The child of vfork shares this memory until exec, so its error needs no pipe.
pid_t start(const Arguments& arguments, int& error)
{
    volatile int failure = 0;
    const pid_t child = ::vfork();
    if (child == 0) {
        ::setpgid(0, 0);
        // If the supervisor itself is killed, at least the program ends, too.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        lower_limit_of_files(arguments.max_open_files);
        ::execvp(arguments.program[0], arguments.program);
        failure = errno;
        ::_exit(127);
    }
    if (child < 0) failure = errno;
    if (child > 0 && failure != 0) ::waitpid(child, nullptr, 0);
    error = failure;
    return error == 0 ? child : -1;
}

class Supervisor {
public:
    Supervisor(pid_t program, const Arguments& arguments, int signals, int parent)
        : program_(program), arguments_(arguments), signals_(signals), parent_(parent)
    {}

    /// Returns the number of processes that could not be killed.
    std::size_t run()
    {
        while (reap()) {
            const std::int64_t now = now_ms();
            if (phase_ == Phase::running && orphaned_ && deadline_ == 0)
                deadline_ = now + arguments_.orphan_grace_ms;
            const bool overdue = orphaned_ && now >= deadline_;
            if (phase_ == Phase::running && (ended_ || stop_requested_ || overdue)) terminate(now);
            if (phase_ == Phase::terminating && now >= deadline_) {
                phase_ = Phase::killing;
                deadline_ = now + control::kill_timeout_ms;
            }
            if (phase_ == Phase::killing) {
                if (now >= deadline_) return count_descendants();
                signal_descendants(SIGKILL, program_);
            }
            wait_for_news(now);
        }
        return 0;
    }

private:
    enum class Phase { running, terminating, killing };

    // Returns false if no child, and so no descendant, is left.
    bool reap()
    {
        for (;;) {
            int status = 0;
            const pid_t pid = ::waitpid(-1, &status, WNOHANG);
            if (pid <= 0) return pid == 0;
            if (pid != program_ || ended_) continue;
            ended_ = true;
            send({control::Kind::ended, status, 0, 0});
        }
    }

    void terminate(std::int64_t now)
    {
        phase_ = Phase::terminating;
        deadline_ = now + arguments_.grace_ms;
        signal_descendants(SIGTERM, program_);
        // A stopped process handles SIGTERM only after SIGCONT.
        signal_descendants(SIGCONT, program_);
    }

    void wait_for_news(std::int64_t now)
    {
        pollfd sources[] = {{signals_, POLLIN, 0}, {control_, POLLIN, 0}, {parent_, POLLIN, 0}};
        if (::poll(sources, std::size(sources), timeout(now)) <= 0) return;
        if (sources[0].revents) read_signals();
        if (sources[1].revents) read_control();
        if (sources[2].revents) {
            orphaned_ = true;
            parent_ = -1;
        }
    }

    int timeout(std::int64_t now) const
    {
        if (phase_ == Phase::running && !orphaned_) return -1;
        const std::int64_t left = std::clamp<std::int64_t>(deadline_ - now, 0, 3'600'000);
        return static_cast<int>(phase_ == Phase::killing ? std::min(left, kill_again_ms) : left);
    }

    void read_signals()
    {
        signalfd_siginfo info;
        while (::read(signals_, &info, sizeof info) == sizeof info)
            if (info.ssi_signo != SIGCHLD) stop_requested_ = true;
    }

    void read_control()
    {
        control::Message message;
        const ssize_t size = ::recv(control_, &message, sizeof message, MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (size <= 0) {
            control_ = -1;
            // The spawner no longer waits for the stop, so the grace is over.
            if (phase_ == Phase::terminating) deadline_ = now_ms();
            orphaned_ = true;
            return;
        }
        stop_requested_ = true;
    }

    const pid_t program_;
    const Arguments& arguments_;
    const int signals_;
    int control_ = control::descriptor;
    int parent_;
    Phase phase_ = Phase::running;
    bool ended_ = false;
    bool stop_requested_ = false;
    bool orphaned_ = false;
    std::int64_t deadline_ = 0;
};

int open_signals()
{
    sigset_t handled;
    ::sigemptyset(&handled);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        ::sigaddset(&handled, signal);
    return ::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
}

int run(const Arguments& arguments)
{
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    // Started by a descriptor, the process is named after its number until now.
    ::prctl(PR_SET_NAME, "autoexec-supervise");
    for (int fd = control::descriptor; fd < control::first_free; ++fd)
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::setsid();
    // It keeps the claim's lock: the program, which has the same user, must not access its
    // descriptors.
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);

    int error = 0;
    const int signals = open_signals();
    if (signals < 0) error = errno;
    // The socket also reports the parent's death, unless a fork of the parent keeps its end open.
    const int parent = static_cast<int>(::syscall(SYS_pidfd_open, arguments.parent, 0));
    if (::getppid() != arguments.parent) return 0;

    const pid_t program = error == 0 ? start(arguments, error) : -1;
    // Readers of the output wait until every writer has closed it; the supervisor is not a writer.
    // Nor does it keep the program's input.
    const int null = ::open("/dev/null", O_RDWR);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (null < 0 || ::dup2(null, fd) < 0) ::close(fd);
    if (program < 0) {
        send({control::Kind::not_started, error, 0, 0});
        report_end(0);
        return 0;
    }
    report_end(Supervisor(program, arguments, signals, parent).run());
    return 0;
}

}  // namespace
}  // namespace autoexec::supervisor

int main(int argc, char** argv)
{
    autoexec::supervisor::Arguments arguments;
    if (!autoexec::supervisor::parse(argc, argv, arguments)) {
        constexpr char text[] =
            "autoexec-supervise must be started by autoexec of the same version.\n";
        (void)!::write(STDERR_FILENO, text, sizeof text - 1);
        return 2;
    }
    return autoexec::supervisor::run(arguments);
}
