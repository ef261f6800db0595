#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace autoexec::test {

inline constexpr std::chrono::seconds default_timeout{120};

/// Looks again every few milliseconds until it is so; a test that waits in vain fails.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds bound = default_timeout)
{
    const auto deadline = std::chrono::steady_clock::now() + bound;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

/// How a program is to be started. Its standard input is `input`, then its end.
struct Start {
    std::vector<std::string> argv;
    std::filesystem::path folder = ".";
    std::vector<std::string> environment;
    std::string input = {};
    bool terminal = false;  ///< All three streams are one terminal, of 24 × 100.
};

/// How a program ended. `code` is its exit code, or the negative of the signal that ended it.
struct Ended {
    int code = 0;
    std::string out;
    std::string err;
};

/// A real program; what it writes goes to memory, so that it never waits for its reader. Killed
/// and reaped at the latest by the destructor.
class Program {
public:
    explicit Program(const Start& start)
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
    ~Program()
    {
        if (!reaped_) {
            signal(SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        for (const int fd : {out_, err_, terminal_, pidfd_})
            if (fd >= 0) ::close(fd);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const { ::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0); }

    /// Waits for its end, at most that long; true when it has ended.
    bool ends_within(std::chrono::milliseconds bound)
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

    /// Its end; a program that takes longer than that fails the test.
    Ended wait(std::chrono::milliseconds bound = default_timeout)
    {
        if (!ends_within(bound))
            throw std::runtime_error("the program has not ended; it said:\n" + out() + err());
        return {code_, out(), err()};
    }

    /// What it has written so far.
    [[nodiscard]] std::string out() const { return read_memory(out_); }
    [[nodiscard]] std::string err() const { return read_memory(err_); }

    /// All that has been sent to the terminal so far.
    const std::string& screen()
    {
        std::array<char, 4096> buffer;
        for (ssize_t n; (n = ::read(terminal_, buffer.data(), buffer.size())) > 0;)
            screen_.append(buffer.data(), static_cast<std::size_t>(n));
        return screen_;
    }
    void type(std::string_view keys) const { (void)!::write(terminal_, keys.data(), keys.size()); }
    /// Closes the terminal's window.
    void hang_up()
    {
        ::close(terminal_);
        terminal_ = -1;
    }

private:
    static std::vector<char*> pointers(const std::vector<std::string>& words)
    {
        std::vector<char*> all;
        for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
        all.push_back(nullptr);
        return all;
    }

    static std::string read_memory(int fd)
    {
        std::string text;
        std::array<char, 65536> buffer;
        for (ssize_t n; fd >= 0 && (n = ::pread(fd, buffer.data(), buffer.size(),
                                                static_cast<off_t>(text.size()))) > 0;)
            text.append(buffer.data(), static_cast<std::size_t>(n));
        return text;
    }

    void connect_memory(const std::string& input)
    {
        input_ = ::memfd_create("in", MFD_CLOEXEC);
        (void)!::pwrite(input_, input.data(), input.size(), 0);  // and its position stays
        out_ = ::memfd_create("out", MFD_CLOEXEC);
        err_ = ::memfd_create("err", MFD_CLOEXEC);
        const std::array<std::pair<int, int>, 3> all = {{{input_, 0}, {out_, 1}, {err_, 2}}};
        for (const auto& [from, to] : all) ::posix_spawn_file_actions_adddup2(&actions_, from, to);
    }

    void connect_terminal()
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

    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
    int flags_ = 0;
    pid_t pid_ = -1;
    int pidfd_ = -1;
    int out_ = -1;
    int err_ = -1;
    int input_ = -1;
    int terminal_ = -1;
    std::string screen_;
    int code_ = 0;
    bool reaped_ = false;
};

}  // namespace autoexec::test
