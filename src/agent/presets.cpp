#include "agent/presets.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::agent {
namespace {

constexpr std::string_view head =
    R"(# The agents of this project, for `autoexec run` and `autoexec agent`.
# After a change: `autoexec agents validate`.
#
# In `commands`, {command} is replaced by the text of the command, as one argument, whatever it
# contains. If several agents accept commands, `autoexec run --agent NAME` selects one.
#
# Programs change: compare their calls with --help of each program.
)";

std::string commented(std::string_view lines)
{
    std::string text;
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size());
        text += fmt::format("  # {}\n", lines.substr(0, end));
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
    return text;
}

// For unattended programs: there is no terminal and no person.
std::string environment_of(const programs::KnownProgram& program)
{
    std::string text = R"(CI: "1", NO_COLOR: "1", TERM: dumb)";
    for (const auto& [name, value] : program.environment)
        text += fmt::format(", {}: \"{}\"", name, value);
    return text;
}

std::string entry(const programs::KnownProgram& program, Comments comments)
{
    std::string text;
    if (comments == Comments::all)
        text += fmt::format("\n{}  # {}\n", commented(program.notes),
                            program.compared == "unverified"
                                ? "Not tried with the program itself."
                                : "Compared with version " + program.compared + ".");
    if (comments == Comments::all && !program.acp.empty())
        text += fmt::format("  # With `driver: acp`, its command is: {}{}\n", program.acp,
                            program.acp_mode.empty() ? "" : "; mode: " + program.acp_mode);
    text += fmt::format("  - name: {}\n    type: background\n", program.name);
    if (comments == Comments::all) text += fmt::format("    description: {}\n", program.title);
    text += fmt::format("    commands:\n      - {}\n", program.command);
    if (!program.input.empty()) text += fmt::format("    stdin: \"{}\"\n", program.input);
    const auto put = [&text](std::string_view key, const std::string& value) {
        if (!value.empty()) text += fmt::format("    {}: {}\n", key, value);
    };
    put("resume", program.resume);
    put("new_session", program.new_session);
    put("budget", program.budget);
    if (!program.outcome.events.empty())
        text += fmt::format("    outcome: {}\n", program.outcome.name);
    if (program.accept_argv) text += "    accept_argv: true\n";
    return text + fmt::format("    environment: {{{}}}\n", environment_of(program));
}

}  // namespace

std::string agents_file_text(std::span<const programs::KnownProgram* const> chosen,
                             Comments comments)
{
    std::string text;
    if (comments == Comments::all) text = head;
    text += "agents:\n";
    for (const auto* const program : chosen) text += entry(*program, comments);
    return text;
}

}  // namespace autoexec::agent
