#include "agent/presets.hpp"

#include "agent/agents_file_reader.hpp"
#include "agent/outcome.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace autoexec::agent {
namespace {

constexpr std::array<Preset, 7> table{{
    {"claude", "Claude Code",
     "claude -p --output-format stream-json --verbose --permission-mode acceptEdits -- {command}",
     OutcomeRule::claude, false,
     "It may edit files and run the tools that its settings allow. A denied tool makes "
     "the\ncommand fail: allow tools by --allowedTools, before another option or the --.\nIt may "
     "need up to 30 s to stop: --stop-grace 30s."},
    {"codex", "Codex", "codex exec --json --sandbox workspace-write --cd {worktree} -- {command}",
     OutcomeRule::codex, false,
     "Its sandbox allows writing only in the worktree. The git directory of a linked worktree "
     "is\noutside: to let it commit, add --add-dir with the path of the repository's .git.\nCodex "
     "does not fail if the sandbox denies an access: specify the results by --expect.\nWithout a "
     "network it retries until the time-out."},
    {"cursor", "Cursor", "cursor-agent -p --output-format stream-json --force --trust -- {command}",
     OutcomeRule::exit_code, false,
     "It may not exit when it has finished: give the command a --timeout, and specify the\nresults "
     "by --expect."},
    {"gemini", "Gemini",
     "gemini -o stream-json --approval-mode yolo --skip-trust --prompt={command}",
     OutcomeRule::exit_code, false,
     "Exit codes: 41 not signed in, 42 bad input, 53 too many turns, 55 the folder is not "
     "trusted."},
    {"opencode", "opencode", "opencode run --format json --auto -- {command}",
     OutcomeRule::exit_code, false,
     "It may not exit when it has finished: give the command a --timeout, and specify the\nresults "
     "by --expect."},
    {"aider", "aider",
     "aider --yes-always --no-stream --no-pretty --no-check-update --analytics-disable "
     "--message={command}",
     OutcomeRule::exit_code, false,
     "It exits with code 0 even if the model could not be reached: specify the results "
     "by\n--expect, or let a second command run the tests."},
    {shell_name, "Runs commands as shell scripts", "/bin/sh -c -- {command}",
     OutcomeRule::exit_code, true, "The command is the script; its exit code is the result."},
}};

// For unattended programs: there is no terminal and no person.
constexpr std::string_view environment = R"({CI: "1", NO_COLOR: "1", TERM: dumb})";

constexpr std::string_view head =
    R"(# The agents of this project, for `autoexec run` and `autoexec agent`.
# After a change: `autoexec agents validate`.
#
# In `commands`, {{command}} is replaced by the text of the command, as one argument, whatever it
# contains. If several agents accept commands, `autoexec run --agent NAME` selects one.
#
# These are the calls as of {}. Programs change: compare them with --help of each program.
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

std::string entry(const Preset& preset, Comments comments)
{
    std::string text;
    if (comments == Comments::all) text += "\n" + commented(preset.notes);
    text += fmt::format("  - name: {}\n    type: background\n", preset.name);
    if (comments == Comments::all) text += fmt::format("    description: {}\n", preset.description);
    text += fmt::format("    commands:\n      - {}\n", preset.command);
    if (preset.outcome != OutcomeRule::exit_code)
        text += fmt::format("    outcome: {}\n", name_of(preset.outcome));
    if (preset.accept_argv) text += "    accept_argv: true\n";
    return text + fmt::format("    environment: {}\n", environment);
}

}  // namespace

std::span<const Preset> presets()
{
    return table;
}

const Preset* find_preset(std::string_view name)
{
    const auto* const found = std::find_if(table.begin(), table.end(),
                                           [&](const auto& preset) { return preset.name == name; });
    return found == table.end() ? nullptr : found;
}

std::string agents_file_text(std::span<const Preset> chosen, Comments comments)
{
    std::string text;
    if (comments == Comments::all) text = fmt::format(head, presets_written);
    text += "agents:\n";
    for (const auto& preset : chosen) text += entry(preset, comments);
    return text;
}

}  // namespace autoexec::agent
