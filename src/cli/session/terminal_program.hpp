#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Programs of the user that use this terminal: editors and pagers.
namespace autoexec::cli {

/// The value of a variable of the environment; nothing if it is not set, or empty.
std::optional<std::string> variable_value(const char* name);

/// Runs a line of the shell with these arguments behind it, and waits for its end. While it runs,
/// Ctrl-C is for it alone. Returns its exit code as a shell has it; -1: it was not started.
/// `input`: its standard input; without it, that of this process.
int run_on_terminal(const std::string& line, const std::vector<std::string>& arguments,
                    std::optional<std::string_view> input = std::nullopt);

/// The exit code of a line whose program does not exist.
inline constexpr int program_not_found = 127;

/// The editor of the user, a line of the shell: that of VISUAL or EDITOR; nothing if neither is
/// set.
std::optional<std::string> users_editor();

/// Opens a file or a folder in an editor, and waits for its end. Throws `Failure` if it fails.
void run_editor(const std::string& editor, const std::string& path);

}  // namespace autoexec::cli
