#include "autoexec/version.hpp"
#include "cli/subcommand.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

namespace {

using namespace autoexec::cli;

// Otherwise the next file that is opened gets the descriptor of a closed stream, and what is meant
// for the terminal is written to it. A closed stream still fails: its descriptor is for the other
// direction.
void occupy_closed_streams()
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
        if (::fcntl(fd, F_GETFD) < 0)  // the lowest free descriptor is this one
            (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

// The words after `--` are the program, whatever they look like.
std::vector<std::string> take_program(int& argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) != "--") continue;
        std::vector<std::string> program(argv + i + 1, argv + argc);
        argc = i;
        return program;
    }
    return {};
}

// Commands must be exact, and text that is not UTF-8 would be repaired.
bool are_exact(int argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        if (autoexec::text::valid_utf8(argv[i]) == argv[i]) continue;
        print_message("autoexec: argument {} ('{}') is not UTF-8\n", i,
                      autoexec::text::printable(autoexec::text::valid_utf8(argv[i])));
        return false;
    }
    return true;
}

int run(const DefinedSubcommand& subcommand)
{
    try {
        return subcommand.body.run();
    } catch (const Failure& failure) {
        print_errors(subcommand.words, failure.problems);
        return failure.code;
    }
}

int dispatch(int argc, char** argv)
{
    if (!are_exact(argc, argv)) return exit_usage;
    CLI::App app("Run coding agents, each in its own git worktree.", "autoexec");
    app.set_version_flag("--version", std::string("autoexec ") + AUTOEXEC_VERSION);
    app.require_subcommand(1);
    const auto subcommands = define_subcommands(app);
    // After the subcommands, which would inherit it.
    app.footer("Run 'autoexec SUBCOMMAND --help' for options and examples.");
    auto program = take_program(argc, argv);
    try {
        app.parse(argc, argv);
        const auto& parsed = *std::find_if(subcommands.begin(), subcommands.end(),
                                           [](const auto& one) { return one.app->parsed(); });
        if (parsed.body.program != nullptr)
            *parsed.body.program = std::move(program);
        else if (!program.empty())
            throw CLI::ExtrasError("--", program);
        return run(parsed);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? exit_completed : exit_usage;
    }
}

// A failed write to standard output makes the exit code a failure.
int check_results(int code)
{
    const int error = result_error();
    if (error == 0) return code;
    print_message("autoexec: cannot write all results to standard output: {}\n",
                  std::strerror(error));
    return code == exit_completed ? exit_internal : code;
}

}  // namespace

int main(int argc, char** argv)
{
#ifndef __SANITIZE_ADDRESS__  // its leak check traces the process at the end
    // The programs that agents run have the same user id: without this they could read the memory,
    // the environment and the descriptors of this process, or trace it. It also disables core
    // dumps.
    ::prctl(PR_SET_DUMPABLE, 0);
#endif
    occupy_closed_streams();
    std::signal(SIGPIPE, SIG_IGN);                      // a write to a closed pipe fails instead
    const char* const plain = std::getenv("NO_COLOR");  // no-color.org
    spdlog::set_default_logger(spdlog::stderr_color_st(
        "autoexec", plain != nullptr && *plain != '\0' ? spdlog::color_mode::never
                                                       : spdlog::color_mode::automatic));
    spdlog::set_pattern("%H:%M:%S %^%l%$ %v");
    try {
        return check_results(dispatch(argc, argv));
    } catch (const std::bad_alloc&) {
        std::fputs(
            "autoexec: out of memory; run fewer commands at once (-j), or raise the limit "
            "(ulimit -v)\n",
            stderr);
        return exit_internal;
    } catch (const std::exception& e) {
        print_message("autoexec: {}\n", e.what());
        return exit_internal;
    }
}
