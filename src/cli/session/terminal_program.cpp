#include "cli/session/terminal_program.hpp"

#include "cli/session/output.hpp"
#include "files/safe_files.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace autoexec::cli {
namespace {

/// The keys of the terminal that end programs do not end this one.
class KeysIgnored {
public:
    KeysIgnored() : interrupt_(std::signal(SIGINT, SIG_IGN)), quit_(std::signal(SIGQUIT, SIG_IGN))
    {}
    ~KeysIgnored()
    {
        (void)std::signal(SIGINT, interrupt_);
        (void)std::signal(SIGQUIT, quit_);
    }
    KeysIgnored(const KeysIgnored&) = delete;
    KeysIgnored& operator=(const KeysIgnored&) = delete;

private:
    void (*interrupt_)(int);
    void (*quit_)(int);
};

/// What happens in the child between fork and exec.
class ChildSetup {
public:
    explicit ChildSetup(int input)
    {
        ::posix_spawn_file_actions_init(&actions_);
        if (input >= 0) ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
        sigset_t ignored;
        ::sigemptyset(&ignored);
        for (const int number : {SIGINT, SIGQUIT, SIGPIPE}) ::sigaddset(&ignored, number);
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawnattr_setsigdefault(&attributes_, &ignored);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
    }
    ~ChildSetup()
    {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&actions_);
    }
    ChildSetup(const ChildSetup&) = delete;
    ChildSetup& operator=(const ChildSetup&) = delete;

    [[nodiscard]] pid_t spawn(std::vector<std::string> words) const
    {
        std::vector<char*> argv;
        argv.reserve(words.size() + 1);
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        pid_t pid = -1;
        const int error =
            ::posix_spawn(&pid, "/bin/sh", &actions_, &attributes_, argv.data(), ::environ);
        return error == 0 ? pid : -1;
    }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

int wait_for(pid_t pid)
{
    constexpr int signal_base = 128;
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : signal_base + WTERMSIG(status);
}

}  // namespace

std::optional<std::string> variable_value(const char* name)
{
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

int run_on_terminal(const std::string& line, const std::vector<std::string>& arguments,
                    std::optional<std::string_view> input)
{
    std::vector<std::string> words{"sh", "-c", line + " \"$@\"", line};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::array<int, 2> ends{-1, -1};
    if (input && ::pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
    files::UniqueFd reading(ends[0]);
    files::UniqueFd writing(ends[1]);
    const KeysIgnored ignored;
    const auto pid = ChildSetup(reading.get()).spawn(std::move(words));
    reading = files::UniqueFd();
    if (pid < 0) return -1;
    // A pager that has ended does not read the rest.
    if (input) (void)files::write_all(writing.get(), *input);
    writing = files::UniqueFd();
    return wait_for(pid);
}

std::optional<std::string> users_editor()
{
    auto editor = variable_value("VISUAL");
    return editor ? editor : variable_value("EDITOR");
}

void run_editor(const std::string& editor, const std::string& path)
{
    const int code = run_on_terminal(editor, {path});
    if (code == program_not_found || code < 0)
        fail(exit_usage, "cannot run the editor '{}'; check VISUAL and EDITOR", editor);
    if (code != 0) fail(exit_failed, "the editor '{}' ended with exit code {}", editor, code);
}

}  // namespace autoexec::cli
