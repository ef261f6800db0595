#pragma once

#include "async/short_names.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/batch_outcome.hpp"
#include "cli/session/command_session.hpp"
#include "cli/session/display.hpp"
#include "cli/session/new_worktrees.hpp"
#include "queue/queue_folder.hpp"
#include "records/pauses.hpp"
#include "records/project_slots.hpp"
#include "records/running.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::cli {

struct QueueEngineOptions : CommonOptions {
    SessionFlags session;
    bool keep = false;  ///< Also while nothing waits.
};

/// Runs the commands of the queue. The caller holds the engine's lock. Keeps references to all
/// arguments.
class QueueEngine {
public:
    QueueEngine(const QueueEngineOptions& options, AutoExecutionConfigManager& manager,
                const Agents& agents, queue::QueueFolder& folder);

    /// Until nothing waits or runs, it is to drain, or a signal ends it. Returns the exit code.
    int run();

private:
    struct Flight {
        explicit Flight(queue::Request r) : request(std::move(r)) {}

        queue::Request request;
        std::filesystem::path worktree;  ///< Empty: not created yet.
        bool is_prepared = false;        ///< The executor has it.
        bool is_waiting = false;         ///< For a slot, its worktree or its agent.
        bool is_cancelled = false;       ///< By a person, not by the end of the engine.
        bool is_ending = false;          ///< Its result is stored; its slot is released next.
        asio::cancellation_signal cancel;
    };
    using Flights = std::list<Flight>;

    asio::awaitable<void> work();
    asio::awaitable<void> pause();
    asio::awaitable<void> sleep(std::chrono::milliseconds time);
    void wake();
    [[nodiscard]] bool may_start() const;
    [[nodiscard]] bool is_done();
    void watch();

    asio::awaitable<void> recover_started();
    void recover(const queue::Request& request, const records::RunningEntry* attempt);
    /// The highest priority of what waits for a slot, by agent; empty: for one of all commands.
    using NeededSlots = std::map<std::string, int>;

    void start_waiting();
    [[nodiscard]] NeededSlots start_while_slots_last();
    void show_needed();
    [[nodiscard]] bool may_begin(const CommandRequest& r) const;
    [[nodiscard]] bool has_slot(const CommandRequest& r) const;
    [[nodiscard]] bool has_slot_of_agent(const CommandRequest& r) const;
    template <class Filter>
    [[nodiscard]] std::size_t count_ahead_of(const CommandRequest& r, Filter filter) const;
    void start(const queue::Request& request, std::optional<AttemptReference> attempt);
    void serve_stop_request();
    void serve_cancel_requests();
    void report_broken();
    void notify_of_empty_queue();

    asio::awaitable<void> run_one(Flights::iterator flight,
                                  std::optional<AttemptReference> attempt);
    asio::awaitable<std::string> prepare(Flight& flight, CommandRequest& request);
    asio::awaitable<std::string> make_tree(Flight& flight, CommandRequest& request);
    asio::awaitable<void> execute(Flight& flight, CommandRequest request,
                                  std::optional<AttemptReference> attempt);
    [[nodiscard]] std::shared_ptr<const CommandHooks> hooks(Flight& flight);
    [[nodiscard]] bool start_again(const std::string& id);
    void conclude(const protocol::QueuedRequest& request, ExecutionResult result,
                  bool is_internal_error);
    error_code put_result(const protocol::QueuedRequest& request, const ExecutionResult& result,
                          bool is_internal_error);

    void cancel(asio::cancellation_type type);

    const QueueEngineOptions& options_;
    const Agents& agents_;
    queue::QueueFolder& folder_;
    std::shared_ptr<Display> display_;
    CommandSession session_;
    std::shared_ptr<git::Interrupt> git_interrupt_ = std::make_shared<git::Interrupt>();
    NewWorktrees new_worktrees_;
    ModelPrices prices_;
    std::map<std::string, std::size_t, std::less<>> agent_limits_;
    records::FollowedPauses pauses_;
    NeededSlots backlog_;  ///< Of requests that wait for the end of a command of this engine.
    /// Shows to other processes what this one needs, apart from what its executor shows.
    std::map<std::string, records::ProjectSlots> shown_slots_;
    Flights flights_;
    BatchOutcome outcome_;  ///< Since the queue was empty.
    // Kept for a while: a signal must outlive the coroutine that it can cancel.
    Flights ended_;
    Flights ended_before_;
    std::set<std::string> begun_;     ///< Requests that this engine has started.
    std::set<std::string> stored_;    ///< Executions whose results `on_end` has written.
    std::set<std::string> reported_;  ///< Broken files.
    bool is_stopped_ = false;         ///< By `autoexec stop`, not by a signal.
    bool woken_ = false;
    asio::steady_timer look_{session_.context()};
    std::vector<Notifier::Subscription> watches_;
};

}  // namespace autoexec::cli
