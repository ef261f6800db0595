#pragma once

#include "autoexec/command.hpp"
#include "autoexec/workflow.hpp"
#include "autoexec/workflow_result.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// The transitions of a workflow run, as its journal holds them. Format: `doc/file-protocol.md`.
namespace autoexec::protocol {

struct RunStarted {
    struct Step {
        std::string id;
        std::string agent;
        std::string action;
    };
    std::string run_id;
    std::string workflow_id;
    std::string name;
    std::string path;  ///< Of the workflow's file.
    std::string hash;
    std::int64_t pid = 0;
    bool automatic = true;
    bool fail_fast = false;
    std::size_t max_parallel = 0;
    std::optional<WorktreeMode> worktrees;  ///< Absent: not recorded, or unknown to this version.
    std::string worktree;
    std::string base;  ///< A commit; empty: none.
    std::string branch;
    std::string merge_into;
    std::string parent_run;  ///< Of a child run; otherwise empty.
    std::string parent_step;
    boost::json::object params;              ///< Redacted.
    std::map<std::string, std::string> env;  ///< Redacted.
    std::vector<Step> steps;
};

/// For its concurrency group; the next transition ends it. Repeated if another run gets the group.
struct RunWaiting {
    std::string group;   ///< Redacted.
    std::string run_id;  ///< The run that has it; empty: not known.
    bool cancels = false;
    std::int64_t pid = 0;  ///< Of the executor that waits.
};

/// Steps run again because of a resumption: `roots`, and all steps that depend on them.
struct Restarted {
    std::vector<std::string> roots;
    std::vector<std::string> steps;
};

/// An artifact in a commit of ignored artifacts.
struct LaidArtifact {
    std::string commit;
    std::string path;
};

/// The worktree in which a step works.
struct StepTree {
    std::string name;
    std::string base;  ///< The commit that the step starts from.
    std::vector<LaidArtifact> laid;
};

struct StepStarted {
    std::string step;
    int round = 0;  ///< 0: not recorded; so for all below.
    std::string execution_id;
    std::string worktree;
    std::optional<StepTree> tree;  ///< Present where it continues in an existing worktree.
    std::string child_run = {};    ///< Its run, which need not exist yet, if it uses a workflow.
};

struct StepPrepared {
    std::string step;
    int round = 0;
    StepTree tree;
    std::string branch;
    std::string worktree;
};

struct StepReady {
    std::string step;
    int round = 0;
    std::string worktree;
    std::optional<ArtifactBaseline> artifacts;
};

/// Of a workflow with a limit of retries.
struct StepRetried {
    std::string step;
    int round = 0;
    int attempt = 0;  ///< The number of the attempt that follows.
};

struct StepWaiting {
    std::string step;
    int round = 0;
    std::optional<ManualWait> wait = {};  ///< Absent: people do all steps of the run.
};

/// A step's command has ended; its work is not committed yet.
struct StepExecuted {
    StepResult result;  ///< As before the end, but for `execution`.
    StepState state = StepState::completed;
    std::string reason;
    std::vector<std::string> missing;
    std::string output = {};  ///< As `journal_output`, if something uses it.
    std::string cached = {};  ///< The entry whose work is taken instead; empty: none.
};

struct StepEnded {
    StepResult result;
    bool discarded = false;  ///< A gate has gone back to a step before it.
    bool late = false;       ///< It had completed; its work cannot be merged, or no item be picked.
    std::vector<std::string> provided;
    std::string kept;            ///< The commit of its ignored artifacts.
    std::string output = {};     ///< As `journal_output`, if something uses it.
    std::string cache_key = {};  ///< Of its work, for later runs.
};

struct StepSkipped {
    std::string step;
    int round = 0;
    std::string reason;
    bool goes_on = false;  ///< Steps that wait for it may run.
};

/// A step has read its items: it runs as `part_id(step, 1)` … for each of them.
struct StepExpanded {
    std::string step;
    int round = 0;
    boost::json::array items;
};

/// The best of a step's items is known.
struct StepPicked {
    std::string step;
    int round = 0;
    std::string picked;  ///< The id of the step for it.
    double value = 0;
};

/// The id of the step for an item, counted from 1.
std::string part_id(std::string_view step, std::size_t number);

struct GateJudged {
    std::string step;
    int round = 0;
    std::optional<bool> passed;      ///< Absent: it cannot be judged.
    std::optional<StepState> state;  ///< Of the step, after that.
    std::string reason;
};

struct SentBack {
    std::string step;
    int round = 0;
    std::string to;
    std::vector<std::string> steps;
};

struct Merged {
    std::string branch;
    std::string commit;
};

struct RunEnded {
    WorkflowStatus status = WorkflowStatus::failed;
    std::string error;
};

/// In the order of `WorkflowEvent::Type`. `std::monostate`: an event of a later version.
using Transition =
    std::variant<std::monostate, RunStarted, RunWaiting, StepStarted, StepPrepared, StepReady,
                 StepRetried, StepWaiting, StepExecuted, StepEnded, StepSkipped, StepExpanded,
                 StepPicked, GateJudged, SentBack, Restarted, Merged, RunEnded>;

/// Nothing for an event of a later version.
std::optional<WorkflowEvent::Type> type_of(const Transition& transition);

/// The id of the step that it is about; null: it is about the run.
const std::string* step_of(const Transition& transition);

/// The part of a command's output that other steps can use: the journal holds no more.
std::string journal_output(std::string_view output);

/// When a transition was recorded; absent: not known.
using EntryTime = std::optional<std::chrono::system_clock::time_point>;

/// One line of a journal.
struct JournalEntry {
    std::int64_t seq = 0;
    EntryTime time;
    Transition transition;
};

/// The line, without a newline. Long texts of agents are shortened. Empty if readers would not
/// accept it, for example because it is nested too deeply.
std::string format_journal_entry(std::int64_t seq, std::chrono::system_clock::time_point time,
                                 const Transition& transition);

/// Empty for a line that is no transition, or whose number is not above `after`. Fields of a wrong
/// type count as absent.
std::optional<JournalEntry> read_journal_entry(std::string_view line, std::int64_t after);

}  // namespace autoexec::protocol
