#pragma once

#include <autoexec/detail/initiation.hpp>
#include <autoexec/event_sink.hpp>
#include <autoexec/executor.hpp>
#include <autoexec/workflow.hpp>
#include <autoexec/workflow_result.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// The command for an action of an agent.
struct AgentCommand {
    std::string command;  ///< The words after `@agent`, quoted for a shell.
    boost::json::object params =
        {};  ///< Flags of every such command; those of a step take precedence.
    /// The flag for the parameter `prompt` of the run; empty: none.
    std::string prompt_flag = {};
};

/// Builds `@agent command --flag value …`: true is a bare flag, false and null are left out, lists
/// and objects are JSON; words are quoted for a POSIX shell. An unknown action is its own command.
/// Agents and actions are compared in lower case, `_` as `-`.
///
/// Thread safety: distinct objects are safe; a shared one only for `build`.
class CommandTable {
public:
    /// The flag for the prompt if agent and action are unknown.
    static constexpr std::string_view default_prompt_flag = "prompt";

    /// With the commands of the well-known agents.
    CommandTable();

    /// Adds or replaces the command of an action.
    void set(std::string_view agent, std::string_view action, AgentCommand command);
    /// Null: unknown. Valid until the next `set`.
    [[nodiscard]] const AgentCommand* find(std::string_view agent, std::string_view action) const;

    /// `_` in a flag's name becomes `-`. A value that begins with `-` is written `--flag=-value`.
    /// `more`: flags that are added at the end, unless `params` has them.
    [[nodiscard]] std::string build(std::string_view agent, std::string_view action,
                                    const boost::json::object& params,
                                    const boost::json::object& more = {}) const;

private:
    std::map<std::string, AgentCommand, std::less<>> commands_;
};

/// Options of one run, new or resumed.
struct WorkflowRunOptions {
    WorktreeMode worktrees = WorktreeMode::in_place;
    /// For `in_place`. Relative to the project root; empty: the project root.
    std::filesystem::path worktree;
    std::string base = "HEAD";  ///< For the other modes: the commit that the run starts from.
    /// A branch into which the work of a completed run is merged; empty: none.
    std::string merge_into;
    boost::json::object params;
    /// Variables of all commands, by name. They take precedence over those of the workflow and its
    /// steps.
    std::map<std::string, std::string> env;
    /// That of `LoadedWorkflow`, if at most timeouts, retries and texts for people of the workflow
    /// have changed since it was read. Null: it is made.
    std::shared_ptr<const workflow::Plan> plan;

    // Behaviour.
    bool automatic = true;   ///< False: people do all steps.
    bool fail_fast = false;  ///< The first failure cancels running steps and starts nothing more.
    std::size_t max_parallel = 0;     ///< Steps at once; zero: as the workflow specifies.
    std::optional<int> max_attempts;  ///< Overrides that of steps.
    /// False: steps with `WorkflowStep::cache` run, and their work replaces that of earlier runs.
    bool use_cache = true;

    /// Called on the executor's strand before steps start. A sentence lets no other one start: the
    /// run fails with this error, and can be resumed. Null: none is refused.
    std::function<std::string()> refuse_start;
    /// Called on the executor's strand after each transition, also of child runs: those of steps
    /// that use another workflow. Must not throw.
    std::function<void(const WorkflowEvent&)> on_event;
};

/// What a resumed run runs again, besides steps that were in flight, cancelled, or in conflict.
struct WorkflowResumeOptions {
    std::vector<std::string> from;  ///< These steps, and all that depend on them.
    bool from_failed = false;       ///< The failed steps, and all that depend on them.
    bool accept_changed = false;    ///< The workflow's file may have changed.
};

/// How a `WorkflowExecutor` works.
struct WorkflowExecutorOptions {
    std::filesystem::path project_root;           ///< Empty: the current directory.
    Durability durability = Durability::process;  ///< Of the journal of transitions.
    /// Between checks for markers and for requests to cancel.
    std::chrono::milliseconds look_interval = std::chrono::milliseconds{500};
    CommandTable commands;
    /// Commands of one agent at once, over all runs; other agents have no limit.
    std::map<std::string, std::size_t, std::less<>> agent_limits;
    /// Called with each worktree before a command is published there, so that agents can watch it.
    std::function<void(const std::filesystem::path&)> on_worktree;
    /// Chooses the agent of a step's command by setting `request.agent`; may change other fields,
    /// too. Returns a sentence if no agent can take it: the step fails. Null: the only agent takes
    /// it, and the step's `agent` is only a name in the records.
    std::function<std::string(const WorkflowStep&, CommandRequest& request)> assign;

    /// As `RetryPolicy::max_attempts` of the executor's options. Limits the attempts of interrupted
    /// steps of a resumed run if neither the run nor the step nor its agent sets a limit.
    int max_attempts = 3;

    /// Minimum free space. With less, no worktree is created; zero: no minimum.
    std::uint64_t min_free_bytes = 512ULL * 1024 * 1024;
    /// A larger file in a worktree is not committed; zero: no limit.
    std::uint64_t max_file_bytes = 100ULL * 1024 * 1024;

    // Null: the real ones.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Handoff> handoff;  ///< For steps that people do.
    std::shared_ptr<Spawner> spawner;  ///< For git.
    /// Of changes of concurrency groups. Null: they are checked every `look_interval` alone.
    std::shared_ptr<Notifier> notifier;
    std::shared_ptr<const Redactor> redactor;
    std::shared_ptr<ExecutionMetricsCollector>
        metrics;  ///< Have the attempts that a killed executor recorded.
    /// The run a step of which has started this process: a run does not wait for it. Empty: none.
    std::string parent_run;
    /// Gets `input_needed` and `input_ended` of manual steps. Null: nothing does.
    std::shared_ptr<EventSink> audit;
};

/// Runs workflows: decides which step is ready, gives its command to a
/// `BackgroundAgentAutoExecutor`, and applies its outcome to the rest. Every transition is on disk
/// before it takes effect: `.tapps-agents/workflow-state/<run id>.jsonl`.
///
/// Executor: all state is touched from one strand of `executor`'s executor.
///
/// Thread safety: all functions may be called from any thread, except the destructor.
///
/// Lifetime: `executor` must outlive it and its runs. Runs share all other state; destroying it
/// does not end them.
class WorkflowExecutor {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    /// Throws `system_error` (`errc::invalid_options`) that names the option.
    explicit WorkflowExecutor(BackgroundAgentAutoExecutor& executor,
                              WorkflowExecutorOptions options = {});
    ~WorkflowExecutor();
    WorkflowExecutor(const WorkflowExecutor&) = delete;
    WorkflowExecutor& operator=(const WorkflowExecutor&) = delete;

    /// Runs a workflow to its end.
    ///
    /// Signature: `void(error_code, WorkflowResult)`.
    ///
    /// Errors: `errc::invalid_workflow` (nothing was started; `WorkflowResult::error` has all
    /// problems), and errors of the file system if the journal cannot be written: then nothing more
    /// is started, and running steps are cancelled. A failed step is not an error.
    ///
    /// Executor: the handler is posted to its associated executor, by default `get_executor()`.
    ///
    /// Thread safety: may be started on any thread.
    ///
    /// Cancellation: *partial* and *total* start nothing more, cancel running steps (as
    /// `async_execute_command`) and wait for them; *terminal* completes at once. The result is
    /// `cancelled`, and the run can be resumed.
    ///
    /// Lifetime: this object may be destroyed meanwhile, `executor` may not.
    template <boost::asio::completion_token_for<void(error_code, WorkflowResult)> Token =
                  boost::asio::deferred_t>
    auto async_run(Workflow workflow, WorkflowRunOptions options, Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, WorkflowResult)>(
            detail::Initiation(get_executor(), impl_, &start), token, std::move(workflow),
            std::move(options));
    }

    /// `async_run` as an awaitable; throws `system_error` for errors.
    boost::asio::awaitable<WorkflowResult> run(Workflow workflow, WorkflowRunOptions options);

    /// Resumes a run that was interrupted, was cancelled, or has failed. Completed steps do not run
    /// again. A step in flight is adopted if its agent still runs or has finished; it runs if it
    /// had not started; otherwise the rules of retries decide. The options of the first run
    /// still decide where steps work, and have the parameters that `options` lacks. Call the
    /// executor's `async_recover` only afterwards: it stops attempts that could be adopted, and
    /// removes the files of an executor that was killed while it cleaned up.
    ///
    /// Signature: `void(error_code, WorkflowResult)`.
    ///
    /// Errors: as `async_run`; `errc::invalid_workflow` also if there is no such
    /// run, its executor is alive, its workflow has changed, or nothing is left to do.
    ///
    /// Executor, thread safety, cancellation, lifetime: as `async_run`.
    template <boost::asio::completion_token_for<void(error_code, WorkflowResult)> Token =
                  boost::asio::deferred_t>
    auto async_resume(std::string run_id, Workflow workflow, WorkflowResumeOptions what,
                      WorkflowRunOptions options, Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, WorkflowResult)>(
            detail::Initiation(get_executor(), impl_, &start_resume), token, std::move(run_id),
            std::move(workflow), std::move(what), std::move(options));
    }

    /// `async_resume` as an awaitable; throws `system_error` for errors.
    boost::asio::awaitable<WorkflowResult> resume(std::string run_id, Workflow workflow,
                                                  WorkflowResumeOptions what,
                                                  WorkflowRunOptions options);

    /// Answers a manual step that waits in a run of the project, whichever process runs it; while
    /// none does, the answer waits until the run is resumed. The first answer counts. Blocks while
    /// it reads the journal of the run.
    ///
    /// Errors: throws `system_error`. `errc::invalid_options`: there is no such run, no such step
    /// waits in it, or the answer is too long; `file_exists`: there is an answer that was not read
    /// yet; and errors of the file system.
    void answer(const std::string& run_id, std::string_view step_id, StepAnswer answer) const;

    /// Runs one command of a workflow that the caller controls, with the arguments of the
    /// original system. An empty `command_string` is built from agent and action. Relative
    /// worktrees are relative to the project root. Errors and cancellation as
    /// `BackgroundAgentAutoExecutor::execute_command`.
    boost::asio::awaitable<ExecutionResult> execute_and_wait(
        std::string agent_name, std::string action, std::string command_string, std::string step_id,
        std::string workflow_id, std::filesystem::path worktree_path);

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept;

private:
    struct Impl;
    using Handler = boost::asio::any_completion_handler<void(error_code, WorkflowResult)>;
    static void start(std::shared_ptr<Impl> impl, Workflow workflow, WorkflowRunOptions options,
                      Handler handler);
    static void start_resume(std::shared_ptr<Impl> impl, std::string run_id, Workflow workflow,
                             WorkflowResumeOptions what, WorkflowRunOptions options,
                             Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
