#pragma once

#include "cli/cli.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

/// The words of the command line: which command they name, and what is wrong with them.
namespace autoexec::cli {

/// The arguments of the program, in order.
struct CommandLine {
    std::vector<std::string> words;    ///< Those before `--`, without `--color`.
    std::vector<std::string> program;  ///< Those after it, whatever they look like.
    std::string color;                 ///< The value of `--color`; empty: not given.
    bool json = false;                 ///< Errors are also printed as JSON.
};

/// Throws `Failure` if an argument is not UTF-8, since text would be repaired and commands must be
/// exact.
CommandLine split_command_line(int argc, const char* const* argv);

/// Moves options that many commands have behind the command, so that they can also precede it.
/// Returns the command, or `app` if none is named; throws `Failure` if there is no such command.
const CLI::App& put_command_first(const CLI::App& app, std::vector<std::string>& words);

/// The command with this name, such as `workflow run`, or `app` for none. Throws `Failure` if there
/// is none.
const CLI::App& find_command(const CLI::App& app, const std::vector<std::string>& words);

/// `autoexec workflow run`
std::string full_name(const CLI::App& command);

/// Its description, usage, options and examples.
std::string help_of(const CLI::App& command);

/// What `error` says about the command line of `command`.
Failure usage_failure(const CLI::App& app, const CLI::App& command, const CLI::ParseError& error);

}  // namespace autoexec::cli
