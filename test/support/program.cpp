#include "support/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace autoexec::test {

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds bound)
{
    const auto deadline = std::chrono::steady_clock::now() + bound;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

Program::Program(const Start& start)
{
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_addchdir_np(&actions_, start.folder.c_str());
    if (start.terminal)
        connect_terminal();
    else
        connect_memory(start.input);
    // A test may be started with any of them blocked or ignored.
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    flags_ |= POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags_));
    const int error =
        ::posix_spawnp(&pid_, start.argv.front().c_str(), &actions_, &attributes_,
                       pointers(start.argv).data(), pointers(start.environment).data());
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
    if (input_ >= 0) ::close(input_);
    if (error != 0) throw std::system_error(error, std::generic_category(), start.argv.front());
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
}

Program::~Program()
{
    if (!reaped_) {
        signal(SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    for (const int fd : {out_, err_, terminal_, pidfd_})
        if (fd >= 0) ::close(fd);
}

void Program::signal(int number) const
{
    ::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0);
}

bool Program::ends_within(std::chrono::milliseconds bound)
{
    const auto deadline = std::chrono::steady_clock::now() + bound;
    while (!reaped_) {
        if (terminal_ >= 0) (void)screen();  // else it may wait for its reader
        pollfd wanted{pidfd_, POLLIN, 0};
        ::poll(&wanted, 1, terminal_ >= 0 ? 5 : static_cast<int>(bound.count()));
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            reaped_ = true;
            code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        } else if (std::chrono::steady_clock::now() >= deadline) {
            return false;
        }
    }
    return true;
}

Ended Program::wait(std::chrono::milliseconds bound)
{
    if (!ends_within(bound))
        throw std::runtime_error("the program has not ended; it said:\n" + out() + err());
    return {code_, out(), err()};
}

const std::string& Program::screen()
{
    std::array<char, 4096> buffer;
    for (ssize_t n; (n = ::read(terminal_, buffer.data(), buffer.size())) > 0;)
        screen_.append(buffer.data(), static_cast<std::size_t>(n));
    return screen_;
}

void Program::type(std::string_view keys) const
{
    (void)!::write(terminal_, keys.data(), keys.size());
}

void Program::resize(unsigned short rows, unsigned short columns) const
{
    const winsize size{rows, columns, 0, 0};
    ::ioctl(terminal_, TIOCSWINSZ, &size);
}

void Program::hang_up()
{
    ::close(terminal_);
    terminal_ = -1;
}

std::vector<char*> Program::pointers(const std::vector<std::string>& words)
{
    std::vector<char*> all;
    for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
}

std::string Program::read_memory(int fd)
{
    std::string text;
    std::array<char, 65536> buffer;
    for (ssize_t n; fd >= 0 && (n = ::pread(fd, buffer.data(), buffer.size(),
                                            static_cast<off_t>(text.size()))) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(n));
    return text;
}

void Program::connect_memory(const std::string& input)
{
    input_ = ::memfd_create("in", MFD_CLOEXEC);
    (void)!::pwrite(input_, input.data(), input.size(), 0);  // and its position stays
    out_ = ::memfd_create("out", MFD_CLOEXEC);
    err_ = ::memfd_create("err", MFD_CLOEXEC);
    const std::array<std::pair<int, int>, 3> all = {{{input_, 0}, {out_, 1}, {err_, 2}}};
    for (const auto& [from, to] : all) ::posix_spawn_file_actions_adddup2(&actions_, from, to);
}

void Program::connect_terminal()
{
    terminal_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    std::array<char, 64> name{};
    if (terminal_ < 0 || ::grantpt(terminal_) != 0 || ::unlockpt(terminal_) != 0 ||
        ::ptsname_r(terminal_, name.data(), name.size()) != 0)
        throw std::system_error(errno, std::generic_category(), "terminal");
    const winsize size{24, 100, 0, 0};
    ::ioctl(terminal_, TIOCSWINSZ, &size);
    // The first terminal that a session's leader opens is the one whose Ctrl-C it gets.
    flags_ |= POSIX_SPAWN_SETSID;
    ::posix_spawn_file_actions_addopen(&actions_, 0, name.data(), O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 2);
}

}  // namespace autoexec::test
