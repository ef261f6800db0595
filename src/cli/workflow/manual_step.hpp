#pragma once

#include "cli/subcommand.hpp"
#include "workflow/journal/journal.hpp"

#include <optional>
#include <string>
#include <vector>

/// What `autoexec workflow approve`, `reject`, `done`, `fail` and `autoexec answer` share.
namespace autoexec::cli {

struct ManualStepOptions : CommonOptions {
    std::vector<std::string> words;  ///< `[RUN] STEP`
    std::string run;                 ///< Empty: the one in which that step waits.
    std::string reason;
    std::optional<int> round;  ///< The only one that is answered.
    std::string question;      ///< The same by its execution id.
    /// Absent: the step is rejected if that is a decision, else it has failed.
    std::optional<StepDecision> decision;
    bool no_wait = false;

    [[nodiscard]] const std::string& step() const { return words.back(); }
};

void add_manual_step(CLI::App& app, ManualStepOptions& options);

/// Defines a subcommand that answers so.
template <StepDecision Decision>
void define_manual_step(CLI::App& app, ManualStepOptions& options)
{
    options.decision = Decision;
    add_manual_step(app, options);
}

/// How many runs are read to find what waits, which may be in one that was interrupted long ago.
inline constexpr std::size_t max_waiting_runs = 100'000;

/// Answers for a person to a step that waits; returns the exit code.
int mark_step(const ManualStepOptions& options);

/// Prints what a person is to do in a step that waits; returns the exit code.
int show_step(const ManualStepOptions& options);

/// An answer to a manual step counts also while its run has no executor; a step of a manual run
/// waits only as long as that lives.
bool waits_for_person(const RunEntry& run, const StepEntry& step);

/// `waits for the release manager until 2026-11-27T12:00:00+00:00: May it be released?`
std::string waiting_sentence(const StepEntry& step);
/// The same, with a note if the run was interrupted.
std::string waiting_sentence(const RunEntry& run, const StepEntry& step);

/// `approved by ada@host: it works`
std::string words_of(const StepAnswer& answer);

/// The keys of a step that waits for a person.
boost::json::object to_json(const RunEntry& run, const StepEntry& step);

}  // namespace autoexec::cli
