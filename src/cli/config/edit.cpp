#include "cli/config/config_file.hpp"
#include "cli/subcommand.hpp"
#include "files/safe_files.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr char new_file[] =
    R"(# Settings of autoexec: see doc/configuration.md, or 'autoexec config reference'.
auto_execution:
  version: "1.1"
)";

/// A file for an editor, which is removed at the end unless it is kept.
class EditedCopy {
public:
    explicit EditedCopy(std::string_view text)
    {
        path_ = (fs::temp_directory_path() / "autoexec-XXXXXX.yaml").string();
        constexpr int suffix = 5;
        const files::UniqueFd fd(::mkostemps(path_.data(), suffix, O_CLOEXEC));
        if (!fd || files::write_all(fd.get(), text))
            fail(exit_internal, "cannot write {}: {}", path_, std::strerror(errno));
    }
    ~EditedCopy()
    {
        if (!is_kept_) (void)::unlink(path_.c_str());
    }
    EditedCopy(const EditedCopy&) = delete;
    EditedCopy& operator=(const EditedCopy&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    void keep() noexcept { is_kept_ = true; }

    [[nodiscard]] std::string text() const
    {
        std::string problem;
        auto text = read_text(path_, problem);
        if (!text) fail(exit_internal, "cannot read {}: {}", path_, problem);
        return *std::move(text);
    }

private:
    std::string path_;
    bool is_kept_ = false;
};

std::string editor()
{
    for (const auto* const name : {"VISUAL", "EDITOR"})
        if (const char* const value = std::getenv(name); value != nullptr && *value != '\0')
            return value;
    return "vi";
}

// As git does: the editor may have options, and Ctrl-C is for it alone.
void run_editor(const std::string& path)
{
    const auto command = editor();
    auto script = command + " \"$@\"";
    std::string shell = "sh";
    std::string option = "-c";
    std::string name = command;
    std::string argument = path;
    char* const argv[] = {shell.data(), option.data(),   script.data(),
                          name.data(),  argument.data(), nullptr};
    const auto interrupt = std::signal(SIGINT, SIG_IGN);
    const auto quit = std::signal(SIGQUIT, SIG_IGN);
    posix_spawnattr_t attributes;
    sigset_t defaults;
    ::sigemptyset(&defaults);
    for (const int number : {SIGINT, SIGQUIT, SIGPIPE}) ::sigaddset(&defaults, number);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, "/bin/sh", nullptr, &attributes, argv, environ);
    ::posix_spawnattr_destroy(&attributes);
    int status = -1;
    while (error == 0 && ::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    std::signal(SIGINT, interrupt);
    std::signal(SIGQUIT, quit);
    if (error != 0) fail(exit_internal, "cannot start the editor: {}", std::strerror(error));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail(exit_internal, "the editor '{}' failed; set EDITOR to another one", command);
}

bool wants_to_edit_again()
{
    if (::isatty(STDIN_FILENO) != 1) return false;
    print_message("Edit again? [Y/n] ");
    std::string answer;
    return std::getline(std::cin, answer) && answer != "n" && answer != "N" && answer != "no";
}

int edit_config(const ConfigFileOptions& options)
{
    const ConfigFile file(options);
    const auto before = file.text().empty() ? std::string(new_file) : file.text();
    EditedCopy copy(before);
    for (;;) {
        run_editor(copy.path());
        const auto after = copy.text();
        if (after == before) {
            print_message("Nothing has changed.\n");
            return exit_completed;
        }
        if (file.check(after)) {
            file.write(after);
            return exit_completed;
        }
        if (wants_to_edit_again()) continue;
        copy.keep();
        fail(exit_invalid, "{} was not changed; your text is {}", shown_path(file.path()),
             copy.path());
    }
}

void define_config_edit(CLI::App& app, ConfigFileOptions& o)
{
    add_project(app, o);
    add_config_file(app, o);
    app.footer("The editor is that of VISUAL or EDITOR, else vi. An invalid text changes nothing.");
}

}  // namespace

extern const Subcommand config_edit_subcommand = subcommand(
    "config edit", "Edit the configuration file and check it", define_config_edit, edit_config);

}  // namespace autoexec::cli
