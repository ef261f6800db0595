#pragma once

#include "async/fifo_semaphore.hpp"
#include "async/launch.hpp"
#include "async/uncancellable.hpp"
#include "autoexec/executor.hpp"
#include "executor/attempt_monitor.hpp"
#include "executor/retry.hpp"
#include "git/interrupt.hpp"
#include "git/place.hpp"
#include "protocol/command_file.hpp"
#include "records/running.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <list>
#include <map>
#include <set>
#include <utility>

namespace autoexec {

/// The error's code where descriptors, processes or memory have run out.
inline constexpr char no_resources[] = "no_resources";

/// Stands for "never" in sums that must not overflow.
inline constexpr std::chrono::hours max_time{24 * 365 * 100};

inline constexpr std::chrono::milliseconds lock_retry{25};
// An agent that asks for a worktree's lock holds it briefly.
inline constexpr std::chrono::milliseconds lock_timeout{250};

/// One `execute_command` from its start to its end.
struct Execution {
    Execution(std::string execution_id, CommandRequest r, const ExecutionOptions& o)
        : id(std::move(execution_id)), request(std::move(r)), options(o)
    {}

    [[nodiscard]] const CommandHooks& hooks() const noexcept
    {
        static const CommandHooks none;
        return request.hooks ? *request.hooks : none;
    }

    std::string id;
    CommandRequest request;
    ExecutionOptions options;  ///< As they were when it began.
    std::string redacted;
    std::shared_ptr<Timer> alarm;
    // Left in the opposite order: the lock first, the place in the worktree's line last.
    std::unique_ptr<async::SemaphoreGuard> tree_place;
    std::unique_ptr<async::SemaphoreGuard> slot;  ///< Given back while waiting for a retry.
    std::unique_ptr<Mailbox> mailbox;
    std::optional<git::Place> git;  ///< The worktree's, before a program could change it.
    std::shared_ptr<git::Interrupt> git_interrupt = std::make_shared<git::Interrupt>();
    std::string tree_key;
    bool adopted = false;        ///< Published by another: an agent may have it already.
    bool recorded = false;       ///< So is its end, by that other.
    bool only_watching = false;  ///< Nothing in the worktree is touched.
    std::string last_status;     ///< Of the status file, before the end.
    bool cancel_asked = false;   ///< By `cancel`, `async_stop`, or another process.
    std::string attempt_id;      ///< Of the attempt in flight, if there is one.
    std::optional<time_point> first_published;
    std::optional<ArtifactBaseline> baseline;  ///< Absent: to be taken.
    ExecutionResult result;
};

/// One attempt of an execution.
struct Attempt {
    int number = 1;
    std::string id;
    time_point published;
    std::string started_at;                       ///< ISO-8601
    std::optional<records::RunningFile> running;  ///< Stays where the engine goes before its end.
    std::size_t rejections = 0;
    int published_again = 0;  ///< Its command file was replaced before an agent claimed it.
};

/// How an attempt ended.
struct AttemptEnd {
    ExecutionStatus status = ExecutionStatus::failed;
    std::optional<CommandError> error;
    AttemptFacts facts;
};

/// What is left in a worktree of an attempt whose engine has died.
enum class Leftovers {
    none,
    of_live_agent,  ///< Its claim and the cancel file: it was told to stop.
    out_of_reach,   ///< Another engine has the worktree, or it can't be opened now.
};

using Outcome = async::Outcome<ExecutionResult>;

struct BackgroundAgentAutoExecutor::Impl
    : public std::enable_shared_from_this<BackgroundAgentAutoExecutor::Impl> {
    Impl(asio::any_io_executor ex, ExecutorOptions opts);

    // All of these run on the strand. Each is one paragraph of the life of an execution.
    asio::awaitable<Outcome> execute(std::shared_ptr<Impl> keep, CommandRequest request);
    asio::awaitable<error_code> admit(Execution& x);
    asio::awaitable<error_code> open(Execution& x);
    [[nodiscard]] bool waits_for_resources(const Execution& x, error_code ec) const;
    asio::awaitable<error_code> lock(Execution& x);
    asio::awaitable<error_code> run_attempts(Execution& x, int number = 1);
    asio::awaitable<error_code> publish(Execution& x, Attempt& a, AttemptMonitor& watch);
    asio::awaitable<error_code> take_baseline(Execution& x);
    asio::awaitable<void> wait(Execution& x, Attempt& a, AttemptMonitor& watch, AttemptEnd& end);
    asio::awaitable<void> stop_agent(Execution& x, Attempt& a, AttemptMonitor& watch,
                                     AttemptEnd& end);
    asio::awaitable<bool> finish(Execution& x, Attempt& a, AttemptMonitor& watch, AttemptEnd& end);
    asio::awaitable<bool> pause(Execution& x, const Attempt& a, std::chrono::milliseconds delay);
    asio::awaitable<Outcome> adopt(std::shared_ptr<Impl> keep, AttemptReference reference,
                                   CommandRequest request);
    asio::awaitable<error_code> take_over(Execution& x);
    asio::awaitable<error_code> go_on(Execution& x, const AttemptReference& reference);
    asio::awaitable<Outcome> poll(std::shared_ptr<Impl> keep, std::filesystem::path worktree,
                                  std::vector<std::string> expected,
                                  std::optional<std::chrono::milliseconds> timeout);
    asio::awaitable<std::vector<InterruptedAttempt>> recover(std::shared_ptr<Impl> keep);
    asio::awaitable<void> stop(std::shared_ptr<Impl> keep);
    asio::awaitable<void> serve_cancel_requests(std::shared_ptr<Impl> keep);

    /// An execution is active while this lives.
    struct ActiveGuard {
        ActiveGuard(Impl& i, Execution& e);
        ~ActiveGuard();
        ActiveGuard(const ActiveGuard&) = delete;
        ActiveGuard& operator=(const ActiveGuard&) = delete;
        Impl& impl;
        Execution& x;
    };

    error_code check(Execution& x);
    error_code fail(Execution& x, error_code ec, std::string sentence);
    static PublishedFiles files_of(const Execution& x, const Attempt& a);
    bool publish_again(Execution& x, Attempt& a, AttemptEnd& end);
    [[nodiscard]] bool agent_is_short(const std::string& attempt_id) const;
    [[nodiscard]] bool may_get_resources(const Execution& x) const;
    [[nodiscard]] AttemptEnd not_started_end(const Execution& x, const Attempt& a) const;
    void announce_running(Execution& x, Attempt& a);
    static void forget_running(Attempt& a);
    void judge_status(Execution& x, const AgentStatus& status, AttemptEnd& end);
    void judge_end_during_stop(Execution& x, const AttemptMonitor& watch,
                               const std::optional<FileStamp>& pending, AttemptEnd& end);
    static void note_pending_end(Execution& x, const AttemptMonitor& watch, AttemptEnd& end);
    asio::awaitable<Leftovers> clean_after_dead_engine(const records::RunningRecord& record,
                                                       time_point give_up_at);
    void note_interrupted(const records::RunningRecord& record, bool agent_alive);
    [[nodiscard]] bool is_recorded(const std::string& execution_id, int attempt) const;
    std::optional<std::chrono::milliseconds> delay_before_retry(const Execution& x,
                                                                const Attempt& a,
                                                                const AttemptEnd& end);
    asio::awaitable<bool> notify_end(Execution& x);
    [[nodiscard]] MonitorOptions monitor_options(const Execution& x) const;
    void judge(Execution& x, Attempt& a, AttemptMonitor& watch, const Observation& sight,
               AttemptEnd& end);
    std::string why_unreported(const std::filesystem::path& tree);
    void note_progress(Execution& x, const Attempt& a, const AttemptMonitor& watch);
    void note_rejections(Execution& x, Attempt& a, const std::vector<Rejection>& rejections);
    void fill_result(Execution& x, AttemptMonitor& watch, AttemptEnd& end);
    void warn_of_unwritten(Execution& x, error_code ec) const;
    void record_end(Execution& x, const Attempt& a, const AttemptEnd& end);
    std::unique_ptr<Mailbox> open_mailbox(const std::filesystem::path& tree, error_code& ec,
                                          std::string& why);

    Event event(const Execution& x, const Attempt& a, EventType type) const;
    void emit(const Event& event);
    asio::awaitable<void> emit_and_drain(Event event);
    asio::awaitable<void> drain();
    asio::awaitable<error_code> flush_all();
    asio::awaitable<bool> prepared(const Execution& x, std::string& state);
    asio::awaitable<bool> prepare_tree(const Execution& x, std::string& state);
    asio::awaitable<std::string> describe_tree(const Execution& x);
    void ask_to_end(Execution& x) const;

    [[nodiscard]] std::filesystem::path absolute(const std::filesystem::path& path) const;
    async::FifoSemaphore& tree_queue(const std::string& key);
    void drop_idle_queue(const std::string& key);
    void leave(Execution& x);
    static std::string tree_key_of(const std::filesystem::path& worktree);

    ExecutorOptions options;
    asio::any_io_executor ex;
    asio::strand<asio::any_io_executor> strand;
    std::vector<std::shared_ptr<EventSink>> sinks;
    async::FifoSemaphore slots;
    std::map<std::string, async::FifoSemaphore> trees;  ///< By the worktree's real path.
    std::set<Execution*> active;
    std::set<std::string> told_interrupted;  ///< Attempts whose records `recover` had to keep.
    std::unique_ptr<Timer> requests_alarm;   ///< Of the coroutine that serves cancel requests.
    std::vector<std::weak_ptr<Timer>> until_idle;  ///< Whom to wake when nothing is active.
    bool stopping = false;
};

}  // namespace autoexec
