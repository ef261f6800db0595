#pragma once

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
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec {

/// From an agent and an action to the words of a command.
struct AgentCommand {
    std::string command;              ///< What follows `@agent`, quoted already if it has to be.
    boost::json::object params = {};  ///< Flags that are always there; a step's own win.
    /// The flag that gets the parameter `prompt` of the run; empty: none.
    std::string prompt_flag = {};
};

/// Builds `@agent command --flag value …`: true is a bare flag, false and null none, lists and
/// objects are JSON; words are quoted as a POSIX shell reads them. An action that the table does
/// not know is its own command. Agents and actions are matched in lower case, `_` as `-`.
///
/// Thread safety: distinct objects are safe; a shared one only for `build`.
class CommandTable {
public:
    /// The flag for the prompt where the table doesn't know agent and action.
    static constexpr std::string_view default_prompt_flag = "prompt";

    /// With the commands of the well-known agents.
    CommandTable();

    /// Adds or replaces the command of an action.
    void set(std::string_view agent, std::string_view action, AgentCommand command);
    /// Null: not known. Valid until the next `set`.
    [[nodiscard]] const AgentCommand* find(std::string_view agent, std::string_view action) const;

    /// `_` in a flag's name becomes `-`. A value that begins with `-` is written `--flag=-value`.
    /// `more` are flags that are added at the end, unless `params` has them.
    [[nodiscard]] std::string build(std::string_view agent, std::string_view action,
                                    const boost::json::object& params,
                                    const boost::json::object& more = {}) const;

private:
    std::map<std::string, AgentCommand, std::less<>> commands_;
};

/// For one run, or for what is left of one.
struct WorkflowRunOptions {
    WorktreeMode worktrees = WorktreeMode::in_place;
    /// For `in_place`. Relative paths count from the project root; empty: the project root.
    std::filesystem::path worktree;
    std::string base = "HEAD";  ///< Otherwise: the commit that the run begins from.
    /// A branch of the user's that gets the work of a completed run; empty: none is touched.
    std::string merge_into;
    boost::json::object params;

    // Behaviour.
    bool automatic = true;         ///< False: commands are published, and people carry them out.
    bool fail_fast = false;        ///< The first failure cancels what runs and starts nothing more.
    std::size_t max_parallel = 0;  ///< Steps at once; zero: as the workflow says.
    std::optional<int> max_attempts;  ///< Wins over what steps say.

    /// Called on the executor's strand after each transition. Must not throw.
    std::function<void(const WorkflowEvent&)> on_event;
};

/// What a resumption runs again, besides what was in flight, cancelled, or in conflict.
struct WorkflowResumeOptions {
    std::vector<std::string> from;  ///< These steps, and what depends on them.
    bool from_failed = false;       ///< The steps that have failed, and what depends on them.
    bool accept_changed = false;    ///< The workflow's file may be another than it was.
};

/// How a `WorkflowExecutor` works.
struct WorkflowExecutorOptions {
    std::filesystem::path project_root;           ///< Empty: the current directory.
    Durability durability = Durability::process;  ///< Of the journal of transitions.
    /// Between looks for markers and for wishes to cancel.
    std::chrono::milliseconds look_interval = std::chrono::milliseconds{500};
    CommandTable commands;
    /// Commands of one agent at once, over all runs; agents that aren't named have no limit.
    std::map<std::string, std::size_t, std::less<>> agent_limits;
    /// Told each worktree before a command is published there: for agents that must know where to
    /// look.
    std::function<void(const std::filesystem::path&)> on_worktree;
    /// Says who takes a step's command, by setting `request.agent`; may change anything else, too.
    /// Returns a sentence if nobody can: the step fails. Null: the step's `agent` stays a name for
    /// the records, and the only agent there is takes it.
    std::function<std::string(const WorkflowStep&, CommandRequest& request)> assign;

    /// As `RetryPolicy::max_attempts` of the engine's options. A resumed run counts by it the
    /// attempts of interrupted steps, where neither the run nor the step nor its agent has a
    /// number.
    int max_attempts = 3;

    /// No worktree is made with less than that free; zero: no floor.
    std::uint64_t min_free_bytes = 512ULL * 1024 * 1024;
    /// A larger file in a worktree is not committed; zero: no limit.
    std::uint64_t max_file_bytes = 100ULL * 1024 * 1024;

    // Null ones: the real thing.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Handoff> handoff;  ///< For manual steps.
    std::shared_ptr<Spawner> spawner;  ///< For git.
    std::shared_ptr<const Redactor> redactor;
    std::shared_ptr<ExecutionMetricsCollector>
        metrics;  ///< Asked for what an engine that died had done.
};

/// Runs workflows: decides which step is ready, hands its command to a
/// `BackgroundAgentAutoExecutor`, and knows what each end means for the rest. Every transition is
/// on disk before it is acted on: `.tapps-agents/workflow-state/<run id>.jsonl`.
///
/// Thread safety: all functions may be called from any thread, except the destructor; all state is
/// touched from one internal strand.
///
/// Lifetime: `engine` must outlive it and what it has started. Runs keep what else they need;
/// destroying it does not end them.
class WorkflowExecutor {
public:
    WorkflowExecutor(BackgroundAgentAutoExecutor& engine, WorkflowExecutorOptions options = {});
    ~WorkflowExecutor();
    WorkflowExecutor(const WorkflowExecutor&) = delete;
    WorkflowExecutor& operator=(const WorkflowExecutor&) = delete;

    /// Runs a workflow to its end.
    ///
    /// Signature: `void(error_code, WorkflowResult)`.
    ///
    /// Errors: `errc::invalid_workflow` (nothing was begun; `WorkflowResult::error` says all that
    /// is wrong), and errors of the file system where the journal can't be written: then nothing
    /// more is started and what runs is cancelled. How steps end is no error.
    ///
    /// Cancellation: *partial* and *total* start nothing more, cancel what runs (as
    /// `async_execute_command`) and wait for it; *terminal* completes at once. The result is
    /// `cancelled`.
    template <asio::completion_token_for<void(error_code, WorkflowResult)> Token = asio::deferred_t>
    auto async_run(Workflow workflow, WorkflowRunOptions options, Token&& token = {})
    {
        return asio::async_initiate<Token, void(error_code, WorkflowResult)>(
            [](auto handler, auto impl, Workflow w, WorkflowRunOptions o) {
                start(std::move(impl), std::move(w), std::move(o), std::move(handler));
            },
            token, impl_, std::move(workflow), std::move(options));
    }

    /// The same as an awaitable; throws `system_error` for errors.
    asio::awaitable<WorkflowResult> run(Workflow workflow, WorkflowRunOptions options);

    /// Goes on with a run that was interrupted, was cancelled, or has failed. Steps that have
    /// completed don't run again. What was in flight is adopted if its agent still works on it, or
    /// has finished; if it never began it is run; else the rules of retries say whether it is run
    /// again. Of `options` those of the first run hold that say where steps work, and parameters
    /// that aren't given. Call the engine's `recover` only afterwards: it stops what could be
    /// adopted, and removes what an engine has left that died while it tidied up.
    ///
    /// Errors and cancellation as `async_run`; `errc::invalid_workflow` also for a run that is not
    /// there, whose engine lives, of which the workflow has changed, or with nothing left to do.
    template <asio::completion_token_for<void(error_code, WorkflowResult)> Token = asio::deferred_t>
    auto async_resume(std::string run_id, Workflow workflow, WorkflowResumeOptions what,
                      WorkflowRunOptions options, Token&& token = {})
    {
        return asio::async_initiate<Token, void(error_code, WorkflowResult)>(
            [](auto handler, auto impl, std::string id, Workflow w, WorkflowResumeOptions r,
               WorkflowRunOptions o) {
                go_on(std::move(impl), std::move(id), std::move(w), std::move(r), std::move(o),
                      std::move(handler));
            },
            token, impl_, std::move(run_id), std::move(workflow), std::move(what),
            std::move(options));
    }

    /// One command of a workflow that somebody else conducts, with the guide's arguments: waits for
    /// its end. An empty `command_string` is built from agent and action. Relative worktrees count
    /// from the project root. Errors and cancellation as `execute_command`.
    asio::awaitable<ExecutionResult> execute_and_wait(std::string agent_name, std::string action,
                                                      std::string command_string,
                                                      std::string step_id, std::string workflow_id,
                                                      std::filesystem::path worktree_path);

private:
    struct Impl;
    using Handler = asio::any_completion_handler<void(error_code, WorkflowResult)>;
    static void start(std::shared_ptr<Impl> impl, Workflow workflow, WorkflowRunOptions options,
                      Handler handler);
    static void go_on(std::shared_ptr<Impl> impl, std::string run_id, Workflow workflow,
                      WorkflowResumeOptions what, WorkflowRunOptions options, Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec
