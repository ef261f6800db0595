#pragma once

#include "async/launch.hpp"
#include "autoexec/workflow_executor.hpp"
#include "protocol/workflow_journal.hpp"
#include "workflow/journal/journal.hpp"
#include "workflow/journal/markers.hpp"
#include "workflow/plan/names.hpp"
#include "workflow/plan/plan.hpp"
#include "workflow/run/git_trees.hpp"
#include "workflow/run/scheduler.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace autoexec::workflow {

using Outcome = async::Outcome<WorkflowResult>;

/// What the runs of one executor share. On its strand.
struct RunContext {
    RunContext(BackgroundAgentAutoExecutor& e, WorkflowExecutorOptions o)
        : engine(e), options(std::move(o)), strand(e.get_executor())
    {}

    [[nodiscard]] std::filesystem::path absolute(const std::filesystem::path& path) const;

    BackgroundAgentAutoExecutor& engine;
    WorkflowExecutorOptions options;
    async::Strand strand;

    std::map<std::string, std::size_t, std::less<>> busy_agents;
    std::set<std::string> busy_trees;
    std::set<Timer*> waiting;  ///< Whom to wake when somebody is busy no more.
};

/// A run to go on with.
struct Resumption {
    std::string run_id;
    WorkflowResumeOptions what;
    std::vector<protocol::JournalEntry> entries = {};  ///< Of its journal, once that is read.
};

/// One run from its start to its end. Everything on the strand.
class Run : public std::enable_shared_from_this<Run> {
public:
    Run(std::shared_ptr<RunContext> around, Workflow workflow, WorkflowRunOptions options,
        std::optional<Resumption> resumption = {});
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// `keep` is this.
    asio::awaitable<Outcome> execute(std::shared_ptr<Run> keep);

private:
    /// A step's part in this run.
    struct Step {
        explicit Step(CommandRequest r) : request(std::move(r)) {}

        CommandRequest request;  ///< Of each round, but for its execution id and hooks.
        std::function<asio::awaitable<std::string>(std::filesystem::path)> before_retry;
        bool runs_nothing = false;
        std::string agent;  ///< Whose limit counts.
        std::string turn;   ///< Who names the same takes turns with it; empty: nobody.
        StepResult result;
        time_point started;
        std::optional<time_point> deadline;  ///< Of a manual one.
        asio::cancellation_signal cancel;

        // With git:
        bool in_git = false;  ///< Its worktree is one of the run's.
        std::string tree;     ///< Its worktree's name.
        std::string base;     ///< What it begins from.
        std::string commit;   ///< Its work, once that is committed.
        std::string kept;     ///< A commit of its artifacts that git ignores; empty: none.
        std::vector<git::ArtifactSource> laid;  ///< Artifacts of others that it begins with.
        Parent feedback;       ///< Of the gate that has sent back to it; also built upon.
        bool goes_on = false;  ///< In the worktree of an attempt that did not come to its end.

        bool failed_late = false;          ///< Its work could not be brought together.
        bool recorded = false;             ///< How its command has ended stands in the journal.
        std::optional<int> attempts_left;  ///< Of this round, where an engine before made some.
    };
    /// The artifacts in a worktree before a step's first attempt.
    struct StepBaseline {
        std::size_t step = 0;
        ArtifactBaseline artifacts;
    };
    struct Ended {
        std::size_t step = 0;
        error_code ec = {};
        std::optional<ExecutionResult> execution = {};  ///< Absent: no command was run.
        StepState state = StepState::completed;
        std::string reason = {};
        /// Of its artifacts, where `execution` doesn't say.
        std::vector<std::string> missing = {};
        std::string code = {};
        std::vector<std::string> warnings = {};
        bool settled = false;  ///< Its work is committed, or there is none to commit.
    };

    // Before anything begins.
    std::string prepare();
    std::string take_params();
    std::string make_step(std::size_t i);
    [[nodiscard]] std::string unknown_params_of(std::size_t i) const;
    std::string what_is_missing() const;
    CommandRequest make_request(std::size_t i) const;
    [[nodiscard]] std::string built_command(const WorkflowStep& step, const PlanStep& plan) const;

    // The life of a run.
    asio::awaitable<std::string> open(error_code& ec);
    asio::awaitable<void> go_through();
    void look_around(asio::cancellation_type asked);
    void advance();
    void begin(std::size_t i, int round);
    void hand_over(std::size_t i);
    void run_command(std::size_t i);
    CommandRequest request_of(std::size_t i);
    asio::awaitable<void> note_baseline(std::shared_ptr<Run> keep, std::size_t i,
                                        ArtifactBaseline baseline);
    [[nodiscard]] std::optional<ArtifactBaseline> baseline_of(std::size_t i) const;
    void drop_baseline(std::size_t i);
    void drop_baseline_of_others(std::size_t i);
    void drop_baselines(const std::vector<std::size_t>& steps,
                        const std::vector<std::size_t>& continued = {});
    asio::awaitable<void> note_early(std::shared_ptr<Run> keep, std::size_t i,
                                     ExecutionResult result);
    [[nodiscard]] Ended ended_with(std::size_t i, ExecutionResult result) const;
    [[nodiscard]] static Ended ended_by(std::size_t i, const std::exception_ptr& failure);
    bool record_executed(const Ended& ended);
    bool record_begin(std::size_t i);
    void begin_work(std::size_t i);
    [[nodiscard]] bool is_unwanted(std::size_t i) const;
    void end_unwanted(std::size_t i);
    void spawn(std::size_t i, asio::awaitable<void> work);
    void note_execution(std::size_t i, error_code ec, ExecutionResult result);
    void note_ended(Ended ended);
    void publish_for_people(std::size_t i);
    error_code put_files(std::size_t i, std::string& why);
    void look_at_manual_steps();
    void take_back(std::size_t i, StepState state, std::string reason);
    void conclude(Ended ended);
    void judge(std::size_t i);
    void send_back(std::size_t gate, const Verdict& verdict);
    void note_skip(const Decision& decision);
    void note_failed_condition(const Decision& decision);
    void stop(std::string reason, asio::cancellation_type how);
    void cancel_step(std::size_t i, asio::cancellation_type how);
    WorkflowResult finish();
    void fail_by_journal(WorkflowResult& result) const;

    // With git.
    [[nodiscard]] git::RepositoryOptions repository_options() const;
    asio::awaitable<std::string> open_trees();
    asio::awaitable<std::string> what_is_missing_in_git();
    asio::awaitable<void> prepare_tree(std::shared_ptr<Run> keep, std::size_t i);
    asio::awaitable<std::string> make_tree(std::size_t i);
    void set_before_retry(std::size_t i);
    asio::awaitable<std::string> reset_tree(std::size_t i, std::string reason);
    asio::awaitable<void> save_work(Ended& ended);
    [[nodiscard]] git::CommitRules commit_rules(std::size_t i) const;

    // Artifacts.
    [[nodiscard]] std::vector<std::string> artifacts_of(std::size_t i) const;
    std::vector<git::ArtifactSource> artifacts_for(std::size_t i, std::string& problem) const;
    [[nodiscard]] protocol::StepTree step_tree(std::size_t i) const;
    [[nodiscard]] std::string missing_requirement(std::size_t i) const;
    [[nodiscard]] std::string origin_of(std::size_t i, const std::string& artifact) const;
    [[nodiscard]] std::string tree_name_of(std::size_t i) const;
    asio::awaitable<void> commit(std::shared_ptr<Run> keep, Ended ended);
    [[nodiscard]] bool needs_commit(const Ended& ended) const;
    void begin_commit(Ended ended);
    [[nodiscard]] std::vector<Parent> parents_of(std::size_t i) const;
    void find_parents(std::size_t i, std::vector<bool>& seen, std::set<std::size_t>& found) const;
    [[nodiscard]] std::vector<Parent> all_work() const;
    asio::awaitable<void> merge_all();
    asio::awaitable<void> merge_into_target();
    void note_resolved(std::size_t i);
    void fail_late(std::size_t i, std::string code, std::string reason);
    void forget_work(const std::vector<std::size_t>& steps);

    // Going on.
    asio::awaitable<std::string> read_journal(error_code& ec);
    asio::awaitable<void> take_journal(error_code& ec);
    asio::awaitable<bool> settle_calls();
    std::string take_back_options(const protocol::RunStarted& start);
    void replay(const protocol::JournalEntry& entry);
    void replay(const protocol::StepStarted& start, const std::string& time);
    void replay(const protocol::StepPrepared& prepared);
    void replay(const protocol::StepReady& ready);
    void replay(const protocol::StepWaiting& waiting);
    void replay(const protocol::StepExecuted& executed);
    void replay(const protocol::StepEnded& end);
    void replay(const protocol::StepSkipped& skipped);
    void replay(const protocol::GateJudged& judged);
    void replay(const protocol::Restarted& restart);
    void use_tree(std::size_t i, const protocol::StepTree& tree);
    void note_skipped_by_restart();
    std::string restart_what_is_asked();
    [[nodiscard]] bool anything_left() const;
    void settle_in_flight();
    void adopt(std::size_t i);
    asio::awaitable<ExecutionResult> adopt_attempt(AttemptReference attempt,
                                                   CommandRequest request);
    void note_adopted(std::size_t i, ExecutionResult result);
    void settle_by_records(std::size_t i);
    void note_lost(std::size_t i, int attempts, const std::string& reason);
    [[nodiscard]] int max_attempts(std::size_t i) const;
    [[nodiscard]] std::optional<ExecutionMetric> last_metric(std::size_t i) const;

    // Records.
    bool record(const protocol::Transition& transition);
    void record_start();
    void tell_start() const;
    void record_end(std::size_t i, bool discarded, bool late = false);
    void mark(std::size_t i) const;
    void tell(WorkflowEvent event) const;
    void tell_step(WorkflowEvent::Type type, std::size_t i, std::string message = {}) const;

    // Values for conditions.
    [[nodiscard]] ExpressionValues values_for(std::size_t i, bool in_gate);
    std::optional<boost::json::value> value_of(std::size_t i, bool in_gate,
                                               const ExpressionName& name, std::string& problem);
    [[nodiscard]] bool exists(std::size_t i, bool in_gate, const std::string& path) const;
    [[nodiscard]] boost::json::value field_of(std::size_t i, StepField field,
                                              std::string& problem) const;
    std::optional<boost::json::object> results_of(std::size_t i, std::string& problem) const;

    [[nodiscard]] Scheduler::Asks asks();
    [[nodiscard]] bool has_room(std::size_t i) const;
    void occupy(std::size_t i);
    void release(std::size_t i);
    void give_back(std::size_t i);
    std::set<std::string> provided_by(std::size_t i, const Ended& ended) const;
    [[nodiscard]] std::string sentence_of(const std::vector<std::size_t>& failures) const;
    [[nodiscard]] std::vector<std::string> critical_path() const;
    [[nodiscard]] std::string now_text() const;

    std::shared_ptr<RunContext> context_;
    Workflow workflow_;
    WorkflowRunOptions options_;
    Plan plan_;
    StepIndex index_;
    std::vector<std::unique_ptr<Step>> steps_;
    std::optional<Scheduler> scheduler_;
    std::optional<Journal> journal_;
    std::optional<Resumption> resumption_;
    std::shared_ptr<git::Interrupt> git_interrupt_ = std::make_shared<git::Interrupt>();
    std::shared_ptr<GitTrees> trees_;                          ///< Null: in place.
    std::map<std::filesystem::path, StepBaseline> baselines_;  ///< By the worktree.
    std::map<std::size_t, Ended> executed_;  ///< Ended when the engine died, and not committed.
    std::unique_ptr<Timer> alarm_;
    std::deque<Ended> ended_;
    time_point begun_;
    error_code journal_error_;
    std::string merge_problem_;
    std::string commit_;  ///< Of the run's branch, in the end.
    bool cancelled_ = false;
    bool stopping_hard_ = false;
    // As the journal of a run that goes on says:
    std::optional<WorkflowStatus> ended_as_;
    std::string last_commit_;   ///< Where the run's branch was left.
    bool has_changed_ = false;  ///< Its workflow, once at least.
};

}  // namespace autoexec::workflow
