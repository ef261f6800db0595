#include "autoexec/version.hpp"
#include "cli/command_line.hpp"
#include "cli/help_formatter.hpp"
#include "cli/session/color.hpp"
#include "cli/subcommand.hpp"
#include "cli/what_runs.hpp"

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
#include <memory>
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

int run(const DefinedSubcommand& subcommand, bool json)
{
    try {
        const int code = subcommand.body.run();
        if (json && code != exit_completed && !has_printed_json())
            print_json_error(Failure(static_cast<ExitCode>(code)));
        return !check_result_template() && code == exit_completed ? exit_usage : code;
    } catch (const Failure& failure) {
        print_failure(fmt::format("autoexec {}", subcommand.words), failure);
        if (json) print_json_error(failure);
        return failure.code;
    }
}

/// The options that precede every command. Those of `common` take effect there only without one.
void define_program(CLI::App& app, CommonOptions& common)
{
    app.set_version_flag("--version", std::string("autoexec ") + AUTOEXEC_VERSION);
    add_common(app, common);
    app.add_option("--color")
        ->description("Colour states: auto (default), always or never")
        ->type_name("WHEN");
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app.require_subcommand(0, 1);
}

const DefinedSubcommand* parsed_among(const std::vector<DefinedSubcommand>& subcommands)
{
    const auto parsed = std::find_if(subcommands.begin(), subcommands.end(),
                                     [](const auto& one) { return one.app->parsed(); });
    return parsed == subcommands.end() ? nullptr : &*parsed;
}

int show_overview(const CLI::App& app, const CommonOptions& common)
{
    if (!common.json) print_result(help_of(app));
    print_what_runs(common);
    return check_result_template() ? exit_completed : exit_usage;
}

void set_logger()
{
    spdlog::set_default_logger(spdlog::stderr_color_st(
        "autoexec",
        shows_color(STDERR_FILENO) ? spdlog::color_mode::always : spdlog::color_mode::never));
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S %z %^%l%$ %v");
}

int dispatch(CommandLine line)
{
    set_color(line.color);
    set_logger();
    CommonOptions common;
    CLI::App app("Run coding agents, each in its own git worktree.", "autoexec");
    app.formatter(std::make_shared<HelpFormatter>());  // the subcommands inherit it
    const auto subcommands = define_subcommands(app);
    // After the subcommands, which would inherit it.
    define_program(app, common);
    app.footer("Run 'autoexec help COMMAND' for options and examples.");
    const auto& command = put_command_first(app, line.words);
    try {
        auto reversed = line.words;
        std::reverse(reversed.begin(), reversed.end());
        app.parse(std::move(reversed));
        const auto* const parsed = parsed_among(subcommands);
        if (parsed != nullptr && parsed->body.program != nullptr)
            *parsed->body.program = std::move(line.program);
        else if (!line.program.empty())
            throw CLI::ExtrasError("--", line.program);
        return parsed == nullptr ? show_overview(app, common) : run(*parsed, line.json);
    } catch (const CLI::CallForHelp&) {
        print_result(help_of(command));
        return exit_completed;
    } catch (const CLI::CallForVersion& version) {
        print_result("{}\n", version.what());
        return exit_completed;
    } catch (const CLI::ParseError& error) {
        const auto failure = usage_failure(app, command, error);
        print_failure(full_name(command), failure);
        if (line.json) print_json_error(failure);
        return failure.code;
    }
}

bool asks_for_json(int argc, const char* const* argv)
{
    const auto* const end = std::find(argv, argv + argc, std::string_view("--"));
    return std::find(argv, end, std::string_view("--json")) != end;
}

int run_program(int argc, const char* const* argv)
{
    const auto report = [=](const Failure& failure) {
        print_failure("autoexec", failure);
        if (asks_for_json(argc, argv)) print_json_error(failure);
        return static_cast<int>(failure.code);
    };
    try {
        return dispatch(split_command_line(argc, argv));
    } catch (const Failure& failure) {
        return report(failure);
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& e) {
        return report(Failure(exit_internal, {e.what()}));
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
    std::signal(SIGPIPE, SIG_IGN);  // a write to a closed pipe fails instead
    try {
        return check_results(run_program(argc, argv));
    } catch (const std::bad_alloc&) {
        std::fputs(
            "autoexec: out of memory; run fewer commands at once (-j), or raise the limit "
            "(ulimit -v)\n",
            stderr);
        return exit_internal;
    }
}
