#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "git/repository.hpp"
#include "protocol/workflow_journal.hpp"
#include "workflow/run/scheduler.hpp"
#include "workflow/run/step_commands.hpp"
#include "workflow/run/step_outcome.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace autoexec::workflow {

/// A step that another one builds on.
struct Parent {
    std::string step;
    std::string commit;
};

/// Not in flight: it waits, or has ended.
struct Idle {
    bool merge_failed = false;  ///< It completed, but its work could not be merged.
};
struct Running {
    time_point since = {};
    bool reuses_tree = false;                  ///< Continues in an existing worktree.
    std::optional<int> attempts_left = {};     ///< If an earlier executor made some.
    std::optional<StepOutcome> executed = {};  ///< Recorded: its command has ended.
};
struct WaitingForPerson {
    time_point since = {};
    std::optional<time_point> deadline = {};
};

/// A step of a run.
struct StepRun {
    explicit StepRun(StepCommand c) : command(std::move(c)) {}

    StepCommand command;
    StepResult result;
    std::variant<Idle, Running, WaitingForPerson> phase;

    // With git:
    std::string tree;    ///< The name of its worktree; empty: it gets a new one.
    std::string base;    ///< The commit that it starts from.
    std::string commit;  ///< Its work, once that is committed.
    std::string kept;    ///< A commit of its artifacts that git ignores; empty: none.
    std::vector<git::ArtifactSource> laid;  ///< Artifacts of others that it starts with.
    Parent feedback;  ///< Of the gate that went back to it; a parent of its next round.

    [[nodiscard]] const std::filesystem::path& worktree() const { return command.request.worktree; }
    [[nodiscard]] bool in_flight() const { return !std::holds_alternative<Idle>(phase); }
    [[nodiscard]] bool waits_for_person() const
    {
        return std::holds_alternative<WaitingForPerson>(phase);
    }
    [[nodiscard]] Running* running() { return std::get_if<Running>(&phase); }
    [[nodiscard]] time_point since() const;
    /// Its worktree, for the journal.
    [[nodiscard]] protocol::StepTree step_tree() const;
};

/// The artifacts in each worktree before the first attempt of the step that works there.
class Baselines {
public:
    void set(const StepRun& step, ArtifactBaseline artifacts);
    [[nodiscard]] std::optional<ArtifactBaseline> of(const StepRun& step) const;
    void drop(const StepRun& step);
    /// Once another step works there, what it finds later is not the earlier one's work.
    void drop_of_others(const StepRun& step);

private:
    struct Entry {
        std::string step;
        ArtifactBaseline artifacts;
    };
    std::map<std::filesystem::path, Entry> by_worktree_;
};

/// The scheduler and the steps of a run. Pure: `apply` folds over the transitions of a journal; the
/// live run changes it by the same operations. It has many members because of an overload for each
/// kind of transition.
class RunState {
public:
    /// `inputs` must outlive it.
    RunState(const RunInputs& inputs, std::vector<StepCommand> commands, Scheduler::Limits limits);

    void apply(const protocol::JournalEntry& entry);

    [[nodiscard]] std::size_t size() const noexcept { return steps_.size(); }
    [[nodiscard]] StepRun& step(std::size_t i) { return steps_[i]; }
    [[nodiscard]] const StepRun& step(std::size_t i) const { return steps_[i]; }
    [[nodiscard]] Scheduler& scheduler() noexcept { return scheduler_; }
    [[nodiscard]] const Scheduler& scheduler() const noexcept { return scheduler_; }
    [[nodiscard]] Baselines& baselines() noexcept { return baselines_; }

    /// A round of a step begins.
    void start(std::size_t i, int round, std::string started_at, time_point now);
    /// A gate has sent the run back.
    void send_back(std::size_t gate, const Verdict& verdict);
    /// Lets steps run again, and all that depend on them: returns all.
    std::vector<std::size_t> restart(const std::vector<std::size_t>& roots);
    /// Its gate did not pass, or could not be judged: the result has the reason.
    void fail_by_gate(std::size_t i);

    /// Whether a run that continues would start, or judge, anything.
    [[nodiscard]] bool anything_left() const;
    [[nodiscard]] std::vector<std::string> ids_of(const std::vector<std::size_t>& steps) const;

    /// The steps with work that `i` builds on.
    [[nodiscard]] std::set<std::size_t> work_before(std::size_t i) const;
    /// The artifacts of a step that exist now.
    [[nodiscard]] std::set<std::string> provided_by(const StepOutcome& outcome) const;
    /// The steps with the longest durations, one after the other.
    [[nodiscard]] std::vector<std::string> critical_path() const;

    std::filesystem::path trees_folder;  ///< Of the worktrees of the run.
    std::string last_commit;             ///< Where the run's branch was left.
    std::optional<WorkflowStatus> ended_as;

private:
    void apply(std::monostate, const std::string&) {}
    void apply(const protocol::RunStarted&, const std::string&) { ended_as.reset(); }
    void apply(const protocol::Restarted& restarted, const std::string&);
    void apply(const protocol::StepStarted& start, const std::string& time);
    void apply(const protocol::StepPrepared& prepared, const std::string&);
    void apply(const protocol::StepReady& ready, const std::string&);
    void apply(const protocol::StepWaiting& waiting, const std::string&);
    void apply(const protocol::StepExecuted& executed, const std::string&);
    void apply(const protocol::StepEnded& end, const std::string&);
    void apply(const protocol::StepSkipped& skipped, const std::string&);
    void apply(const protocol::GateJudged& judged, const std::string&);
    void apply(const protocol::SentBack&, const std::string&) {}  // follows from the judgement
    void apply(const protocol::Merged& merged, const std::string&) { last_commit = merged.commit; }
    void apply(const protocol::RunEnded& end, const std::string&) { ended_as = end.status; }

    [[nodiscard]] StepRun* find(const std::string& id);
    [[nodiscard]] std::size_t index(const StepRun& step) const
    {
        return static_cast<std::size_t>(&step - steps_.data());
    }
    void use_tree(StepRun& step, const protocol::StepTree& tree);
    void forget_work(const std::vector<std::size_t>& steps);
    void find_work(std::size_t i, std::vector<bool>& seen, std::set<std::size_t>& found) const;

    const RunInputs& inputs_;
    Scheduler scheduler_;
    std::vector<StepRun> steps_;
    Baselines baselines_;
};

}  // namespace autoexec::workflow
