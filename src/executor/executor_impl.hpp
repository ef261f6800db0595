#pragma once

#include "async/cancellation.hpp"
#include "async/fifo_semaphore.hpp"
#include "async/launch.hpp"
#include "async/rate_limit.hpp"
#include "async/short_names.hpp"
#include "async/turn_limit.hpp"
#include "autoexec/executor.hpp"
#include "executor/agent_gate.hpp"
#include "executor/attempt_monitor.hpp"
#include "executor/retry.hpp"
#include "files/safe_files.hpp"
#include "git/git_context.hpp"
#include "git/interrupt.hpp"
#include "protocol/command_file.hpp"
#include "protocol/error_codes.hpp"
#include "protocol/question_format.hpp"
#include "protocol/usage.hpp"
#include "records/running.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <utility>

namespace autoexec::inline v1 {

/// From an answer or a prompt to the agent's next status.
inline constexpr std::chrono::milliseconds answered_poll{1000};

using protocol::max_prompts;

/// Means "never" in sums that must not overflow.
inline constexpr std::chrono::hours max_time{24 * 365 * 100};

/// Executions that continue in one turn of the event loop.
inline constexpr std::size_t max_per_turn = 16;

inline constexpr std::chrono::milliseconds lock_retry{25};
// An agent that probes a worktree's lock holds it briefly.
inline constexpr std::chrono::milliseconds lock_timeout{250};

/// A command that waits until its agent gets commands again.
struct Hold {
    time_point since;
    std::string reason;  ///< As it was reported last.
};

/// What a person says to a running command.
struct Prompt {
    std::string text;
    std::string id;  ///< Given by the person's process. Empty: it does not ask for its end.
};

/// The state of one `execute_command`.
struct Execution {
    explicit Execution(CommandRequest r) : request(std::move(r)) {}

    [[nodiscard]] const CommandHooks& hooks() const noexcept
    {
        static const CommandHooks none;
        return request.hooks ? *request.hooks : none;
    }

    /// What all its attempts may use.
    [[nodiscard]] protocol::SpendingLimits limits() const
    {
        return protocol::lower_of({request.max_cost, request.max_tokens},
                                  {options->max_cost_per_command, options->max_tokens_per_command});
    }
    /// What they have used.
    [[nodiscard]] protocol::Spending spending() const
    {
        return {result.get().usage, options->prices};
    }
    /// The name of the agent that gets the command; empty: any.
    [[nodiscard]] const std::string& agent() const;

    CommandRequest request;
    std::shared_ptr<const ExecutionOptions> options;  ///< As of its start.
    std::string redacted;
    std::shared_ptr<Timer> alarm;
    // Destroyed in reverse order: the lock is released first, the worktree's queue slot last.
    std::unique_ptr<async::SemaphoreGuard> tree_slot;
    // Released while waiting for a retry.
    async::FifoSemaphore* agent_slots = nullptr;  ///< Those of its agent; null: no limit.
    std::unique_ptr<async::SemaphoreGuard> agent_slot;
    std::unique_ptr<async::SemaphoreGuard> slot;
    std::unique_ptr<Mailbox> mailbox;
    /// The worktree's context, determined before a program could change it, if the mailbox does not
    /// know it.
    std::unique_ptr<git::GitContext> git;
    std::shared_ptr<git::Interrupt> git_interrupt;  ///< While git prepares a retry.
    std::string tree_key;
    bool adopted = false;    ///< Published by another executor: an agent may already have it.
    bool recorded = false;   ///< That executor has also recorded its end.
    bool read_only = false;  ///< The worktree is not changed.
    bool polling_reported = false;
    std::optional<ReportedStatus> last_status;  ///< The status file's last one before the end.
    bool refused = false;                       ///< It ends without a further attempt.
    bool probe = false;                         ///< It tests its agent.
    bool has_started = false;                   ///< An agent may have worked on it.
    int agent_index = -1;           ///< In `CommandRequest::fallback`; -1: the preferred agent.
    std::string seen_agent;         ///< As a status has named it.
    std::unique_ptr<Hold> hold;     ///< While it waits for its agent.
    bool cancel_requested = false;  ///< Requested by `cancel`, `async_stop`, or another process.
    std::string attempt_id;         ///< Id of the running attempt, if any.
    std::vector<protocol::AnswerFile> answers;  ///< Of a person; not passed on yet.
    std::list<Prompt> prompts;                  ///< The same; std::deque allocates when empty.
    std::optional<time_point> first_published;
    std::chrono::nanoseconds queued{0};        ///< Before its running attempt.
    std::optional<ArtifactBaseline> baseline;  ///< Absent: not yet recorded.
    std::chrono::nanoseconds all_queued{0};    ///< Before all of them.
    int attempts = 0;                          ///< Published.
    int next_attempt = 0;                      ///< Its number; 0: there is none.
    Rare<ExecutionResult> result;              ///< `describe_result` completes it.
};

/// When the wait for an attempt acts without a report of its agent. `max()`: never.
struct AttemptTimes {
    time_point deadline;
    time_point start = time_point::max();      ///< An agent must have claimed the command.
    time_point unclaimed = time_point::max();  ///< Warns that no agent has.
    /// After the deadline, the last attempt to read a status for which resources are lacking: it
    /// may be the result.
    time_point give_up;
    std::chrono::milliseconds stall_timeout{};  ///< Zero: no limit.
    time_point last_change;
    time_point next_poll;
    bool waits_for_person = false;  ///< Then it does not stall.
    /// An answer or a prompt was passed on; the agent's next status shows that it was taken.
    bool awaits_agent = false;

    [[nodiscard]] time_point stall() const
    {
        const bool may_stall =
            stall_timeout > std::chrono::milliseconds::zero() && !waits_for_person;
        return may_stall ? last_change + stall_timeout : time_point::max();
    }
    /// A program that changes its files without a pause must not keep the executor busy.
    async::RateLimit looks{200};

    /// When to look again.
    [[nodiscard]] time_point next(const AttemptMonitor& monitor, time_point now) const;
};

/// How an attempt ended.
struct AttemptEnd {
    ExecutionStatus status = ExecutionStatus::failed;
    std::optional<CommandError> error;
    AttemptFacts facts;
};

/// What an attempt waits for.
struct OpenQuestion {
    Question asked;                ///< As the agent reports it.
    Question shown;                ///< Redacted and bounded.
    std::optional<Answer> answer;  ///< Was passed on to the agent.
};

/// Its text in one line.
std::string words_of(const OpenQuestion& question);

/// The prompts of an attempt.
struct OpenPrompts {
    std::list<Prompt> passed_on;       ///< Not taken yet.
    std::list<std::string> taken_ids;  ///< Of the last ones.
    std::int64_t taken = 0;            ///< How many the agent has taken.
    bool accepted = false;             ///< It takes more.
    time_point sent;
};

/// One attempt of an execution.
struct Attempt : Correlation {
    Attempt(Execution& x, std::string id, int number, const MonitorOptions& monitoring);
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    AttemptMonitor monitor;
    AttemptTimes times;
    AttemptEnd end;
    Rare<std::optional<Usage>> usage;  ///< Its own.
    time_point published;
    std::chrono::system_clock::time_point started_at;
    bool has_record = false;  ///< In `running/`; left behind if the executor ends first.
    std::size_t rejections = 0;
    std::size_t status_updates = 0;
    int published_again = 0;  ///< Number of replacements of the unclaimed command file.
    std::unique_ptr<OpenQuestion> question;
    Rare<std::map<std::string, std::string>> digests;  ///< Of its questions, keyed by id.
    std::size_t unanswered = 0;                        ///< Number of questions that got no answer.
    OpenPrompts prompts;
};

/// What a dead executor's attempt has left in a worktree.
enum class Leftovers {
    none,
    of_live_agent,      ///< Its claim and the cancel file: the agent was asked to stop.
    of_ended_agent,     ///< Nothing: the agent was asked to stop, and has.
    of_other_executor,  ///< Another executor holds the worktree, and may have adopted the attempt.
    out_of_reach,       ///< The worktree cannot be opened or locked now.
};

using OperationResult = async::OperationResult<std::unique_ptr<ExecutionResult>>;

/// What `BackgroundAgentAutoExecutor` does. All functions run on the strand. One class, since they
/// share the executions in flight, the slots and the sinks; a source for each phase: `execute.cpp`,
/// `hold.cpp`, `attempt.cpp`, `attempt_question.cpp`, `record.cpp`, `recover.cpp`.
struct ExecutorCore : public std::enable_shared_from_this<ExecutorCore> {
    ExecutorCore(asio::any_io_executor ex, ExecutorOptions opts);

    // Operations. `keep` keeps this alive.
    using Phases = std::function<asio::awaitable<error_code>(Execution&)>;
    asio::awaitable<OperationResult> run(std::shared_ptr<ExecutorCore> keep,
                                         std::unique_ptr<Execution> x, Phases phases);
    asio::awaitable<std::vector<InterruptedAttempt>> recover(std::shared_ptr<ExecutorCore> keep);
    asio::awaitable<void> stop(std::shared_ptr<ExecutorCore> keep);

    // The phases of an execution.
    asio::awaitable<error_code> execute(Execution& x);
    asio::awaitable<error_code> adopt(Execution& x, const AttemptReference& reference);
    asio::awaitable<error_code> watch(Execution& x);
    error_code check(Execution& x);
    static void describe_result(Execution& x);
    error_code fail(Execution& x, error_code ec, std::string sentence);
    asio::awaitable<error_code> admit(Execution& x);
    void end_queue(Execution& x, time_point since) const;
    [[nodiscard]] unsigned descriptors_of_command() const;
    void limit_slots();
    asio::awaitable<void> take_slots(Execution& x);
    static void release_slots(Execution& x);
    async::FifoSemaphore* agent_slots_of(const Execution& x);
    asio::awaitable<error_code> open(Execution& x);
    static void refuse(Execution& x, const char* code, const std::string& reason);
    [[nodiscard]] bool lacks_free_resources(const Execution& x);
    asio::awaitable<void> wait_for_free_resources(Execution& x);
    [[nodiscard]] bool waits_for_resources(const Execution& x, error_code ec);
    asio::awaitable<error_code> lock(Execution& x);
    asio::awaitable<error_code> lock_adopted(Execution& x);
    asio::awaitable<bool> adopt_record(Execution& x, const std::string& attempt_id);
    asio::awaitable<error_code> run_attempts(Execution& x, int number = 1);
    std::optional<std::chrono::milliseconds> delay_before_retry(const Execution& x,
                                                                const Attempt& a);
    /// Why the budget allows no attempt of that number; empty: it does.
    [[nodiscard]] std::string refusal_of(const Execution& x, int attempt) const;
    // Agents that are down: `hold.cpp`.
    [[nodiscard]] const std::string& known_agent(const Execution& x) const;
    std::unique_ptr<HeldAgent> choose_agent(Execution& x);
    void report_fallback(Execution& x, const HeldAgent& held);
    [[nodiscard]] Event hold_event(const Execution& x, EventType type, const HeldAgent& held) const;
    asio::awaitable<bool> hold(Execution& x, const HeldAgent& held);
    [[nodiscard]] time_point hold_limit(const Execution& x) const;
    static void refuse_held(Execution& x, const HeldAgent& held);
    void note_agent(Execution& x, const Attempt& a);
    void give_up_probe(Execution& x) noexcept;
    void wake_held();
    /// True, and the error says so, if the budget allows no retry.
    [[nodiscard]] bool refuse_retry(Execution& x, int attempt) const;
    /// The same for the application's hook.
    asio::awaitable<bool> is_refused_by_hook(Execution& x, int attempt);
    asio::awaitable<bool> admit_again(Execution& x);
    asio::awaitable<bool> pause(Execution& x, const Attempt& a, std::chrono::milliseconds delay);
    asio::awaitable<bool> prepared(Execution& x, std::string& state);
    asio::awaitable<bool> prepare_tree(const Execution& x, std::string& state);

    // The phases of an attempt.
    asio::awaitable<error_code> publish(Execution& x, Attempt& a);
    static PublishedFiles files_of(const Execution& x, const Attempt& a);
    bool publish_again(Execution& x, Attempt& a);
    static void begin(Execution& x, const Attempt& a);
    asio::awaitable<error_code> record_baseline(Execution& x);
    asio::awaitable<bool> record_start_first(Execution& x, Attempt& a);
    [[nodiscard]] Event detected_event(const Execution& x, const Attempt& a) const;
    void emit_not_started(const Execution& x, const Attempt& a);
    void announce_running(Execution& x, Attempt& a);
    error_code write_running(const Execution& x, Attempt& a);
    void forget_running(Attempt& a);
    [[nodiscard]] MonitorOptions monitor_options(const Execution& x) const;
    asio::awaitable<void> wait(Execution& x, Attempt& a);
    asio::awaitable<void> wait_for_look(Execution& x, time_point earliest);
    static AttemptTimes times_of(const Execution& x, const Attempt& a);
    Notifier::Subscription wake_on_notice(const Execution& x);
    [[nodiscard]] bool is_notified(const Execution& x, const Attempt& a) const;
    [[nodiscard]] std::chrono::milliseconds safety_interval(const Execution& x) const;
    Observation observe(Execution& x, Attempt& a);
    bool is_start_overdue(const Execution& x, Attempt& a, time_point now) const;
    bool withdraw(Execution& x, Attempt& a);
    bool ends_by_time(const Execution& x, Attempt& a, time_point now) const;
    [[nodiscard]] bool agent_lacks_resources(const std::string& attempt_id) const;
    [[nodiscard]] bool may_get_resources(const Execution& x) const;
    [[nodiscard]] AttemptEnd not_started_end(const Execution& x, const Attempt& a) const;
    void classify(Execution& x, Attempt& a, const Observation& observation);
    void classify_status(Execution& x, Attempt& a);
    void classify_end_during_stop(Execution& x, Attempt& a,
                                  const std::optional<FileStamp>& pending);
    std::string worktree_problem(const std::filesystem::path& tree);
    // Questions to a person.
    void follow_question(Execution& x, Attempt& a);
    static bool is_ambiguous(Execution& x, Attempt& a, const Question& question);
    void begin_question(Execution& x, Attempt& a, const Question& question);
    void end_question(Execution& x, Attempt& a);
    void pass_on(Execution& x, Attempt& a);
    void send_message(Execution& x, Attempt& a);
    void follow_prompts(Execution& x, Attempt& a);
    bool pass_on_prompts(Execution& x, Attempt& a);
    static void report_late_prompts(Execution& x, Attempt& a);
    [[nodiscard]] bool fails_on_input(const Execution& x, Attempt& a) const;

    asio::awaitable<void> stop_agent(Execution& x, Attempt& a);
    error_code request_stop(Mailbox& mailbox, const Correlation& attempt, std::string reason) const;
    asio::awaitable<bool> finish(Execution& x, Attempt& a);
    void fill_result(Execution& x, Attempt& a);
    /// Empty: its program was refused nothing.
    [[nodiscard]] std::string denied_sentence(const Attempt& a) const;
    /// If a limit of the command cannot be enforced, or was not.
    static void warn_of_weak_limits(Execution& x);
    asio::awaitable<bool> notify_end(Execution& x);

    // Records.
    void report_polling(Execution& x, const Attempt& a);
    [[nodiscard]] Event event(const Execution& x, const Attempt& a, EventType type) const;
    [[nodiscard]] Event event(const Correlation& attempt, std::string command,
                              std::filesystem::path worktree, EventType type) const;
    void emit(const Event& event);
    asio::awaitable<void> emit_and_drain(Event event);
    asio::awaitable<void> drain();
    asio::awaitable<error_code> flush_all();
    void record_progress(Execution& x, Attempt& a);
    void record_rejections(Execution& x, Attempt& a, const std::vector<Rejection>& rejections);
    void record_end(Execution& x, const Attempt& a);
    ExecutionMetric metric_of(const Execution& x, const Attempt& a) const;
    void record_interrupted(const protocol::RunningRecord& record, bool agent_alive);
    [[nodiscard]] bool is_recorded(const Correlation& attempt) const;
    void warn_of_unwritten(Execution& x, error_code ec) const;
    asio::awaitable<Leftovers> clean_after_dead_executor(const protocol::RunningRecord& record,
                                                         time_point give_up_time);

    asio::awaitable<void> serve_requests(std::shared_ptr<ExecutorCore> keep);
    bool serve_pending_requests();
    bool watch_requests(std::vector<Notifier::Subscription>& watches);
    void consume_cancel_requests();
    void request_end(Execution& x) const;
    static void accept_answer(Execution& x, const protocol::AnswerFile& file);
    /// Says what an agent or a person may cause again and again only once.
    static void warn_once(Execution& x, std::string warning);

    /// Registers an active execution. RAII.
    struct ActiveGuard {
        ActiveGuard(ExecutorCore& c, Execution& e);
        ~ActiveGuard();
        ActiveGuard(const ActiveGuard&) = delete;
        ActiveGuard& operator=(const ActiveGuard&) = delete;
        ExecutorCore& core;
        Execution& x;
    };

    std::unique_ptr<Mailbox> open_mailbox(const std::filesystem::path& tree, error_code& ec,
                                          std::string& problem);
    [[nodiscard]] std::filesystem::path absolute(const std::filesystem::path& path) const;
    async::FifoSemaphore& tree_queue(const std::string& key);
    void drop_idle_queue(const std::string& key);
    static std::string tree_key_of(const std::filesystem::path& worktree);

    ExecutorOptions options;
    std::shared_ptr<const ExecutionOptions> shared_options;  ///< Those of new executions.
    asio::any_io_executor ex;
    asio::strand<asio::any_io_executor> strand;
    asio::any_io_executor on_strand;  ///< The same; its copies allocate nothing.
    std::vector<std::shared_ptr<EventSink>> sinks;
    records::RunningRecords running_records;
    async::FifoSemaphore slots;
    std::map<std::string, async::FifoSemaphore, std::less<>> agent_slots;  ///< By name.
    async::TurnLimit turns;
    files::DescriptorEstimate descriptors;
    std::map<std::string, async::FifoSemaphore> trees;  ///< Keyed by device and inode.
    AgentGate agents;
    std::map<std::uint64_t, std::shared_ptr<Timer>>
        held_commands;  ///< Wait for an agent; in order.
    std::uint64_t last_held = 0;
    std::set<Execution*> active;
    std::set<std::string> reported_interrupted;  ///< Attempts whose records `recover` had to keep.
    std::unique_ptr<Timer> requests_alarm;       ///< Timer of `serve_requests`.
    std::vector<std::weak_ptr<Timer>> until_idle;  ///< Woken when no execution is active.
    std::string shortage;                          ///< Why no command starts; empty: they do.
    time_point next_resources{};                   ///< When to ask again for the free resources.
    bool stopping = false;
    bool has_files = false;  ///< The hand-off opens worktrees.
};

struct BackgroundAgentAutoExecutor::Impl : ExecutorCore {
    using ExecutorCore::ExecutorCore;
};

}  // namespace autoexec::inline v1
