#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

inline constexpr std::chrono::seconds default_timeout{120};

/// Looks again every few milliseconds until it is so; a test that waits in vain fails.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds bound = default_timeout);

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
    explicit Program(const Start& start);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const;

    /// Waits for its end, at most that long; true when it has ended.
    bool ends_within(std::chrono::milliseconds bound);

    /// Its end; a program that takes longer than that fails the test.
    Ended wait(std::chrono::milliseconds bound = default_timeout);

    /// What it has written so far.
    [[nodiscard]] std::string out() const { return read_memory(out_); }
    [[nodiscard]] std::string err() const { return read_memory(err_); }

    /// All that has been sent to the terminal so far.
    const std::string& screen();
    void type(std::string_view keys) const;
    void resize(unsigned short rows, unsigned short columns) const;
    /// The side of the terminal that its window has.
    [[nodiscard]] int terminal() const noexcept { return terminal_; }
    /// Closes the terminal's window.
    void hang_up();

private:
    static std::vector<char*> pointers(const std::vector<std::string>& words);

    static std::string read_memory(int fd);

    void connect_memory(const std::string& input);

    void connect_terminal();

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
