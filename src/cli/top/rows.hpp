#pragma once

#include "autoexec/view.hpp"
#include "cli/top/frame.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

/// In the order in which they are shown.
enum class Section { needs_you, failing, running, queued, ended };
inline constexpr std::array all_sections = {Section::needs_you, Section::failing, Section::running,
                                            Section::queued, Section::ended};
std::string_view title_of(Section section);
Style style_of(Section section);

/// A line of `autoexec top`: an execution, a manual step that waits for a person, or a run.
struct TopRow {
    enum class Kind { execution, manual_step, run };
    using Time = std::optional<std::chrono::system_clock::time_point>;

    Kind kind = Kind::execution;
    Section section = Section::running;
    /// An execution's or run's id, or `RUN/STEP`: what subcommands call it.
    std::string id;
    std::string attempt_id;  ///< Empty: none was published.
    int attempt = 0;
    std::string state;
    std::string agent;
    std::string command;
    std::filesystem::path worktree;
    std::string note;  ///< What it asks, its progress, or why it failed.
    Time started_at;
    Time ended_at;
    std::optional<Question> question;
    std::optional<ManualWait> wait;  ///< Of a manual step.
    std::string wait_id;             ///< Of its round: an execution id.

    // Of executions: what the program's exit said, what the agent claimed, what was verified.
    std::string exit;
    std::string claimed;
    std::string verified;

    std::vector<std::string> steps;  ///< Of a run: a line each.

    bool can_be_cancelled = false;
    bool can_run_again = false;
    [[nodiscard]] std::chrono::milliseconds age(std::chrono::system_clock::time_point now) const;
};

/// All rows, section by section.
std::vector<TopRow> rows_of(const ProjectState& project);

/// Its line in a list.
std::string line_of(const TopRow& row, std::size_t columns,
                    std::chrono::system_clock::time_point now);

/// A line about paused starts, agents that are held back, the engine of the queue, and what cannot
/// be read.
std::string engine_line(const ProjectState& project);

/// How a program ended; empty: not known.
std::string exit_text(const std::optional<int>& exit_code, const std::optional<int>& signal);

/// What was verified of the expected artifacts.
std::string verified_text(const std::optional<Verification>& verified,
                          const std::vector<std::string>& missing);

}  // namespace autoexec::cli
