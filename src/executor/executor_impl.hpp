#pragma once

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
#include "records/pauses.hpp"
#include "records/project_slots.hpp"
#include "records/running.hpp"

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <cstdint>
#include <exception>
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

// While an end is about to come.
inline constexpr std::chrono::milliseconds stop_poll{250};
inline constexpr std::chrono::milliseconds stop_margin{5000};  // in addition to the agent's grace

inline constexpr std::chrono::milliseconds lock_retry{25};
// An agent that probes a worktree's lock holds it briefly.
inline constexpr std::chrono::milliseconds lock_timeout{250};

inline constexpr char too_few_resources[] =
    "The agent is out of file descriptors or memory. Run fewer commands at once or raise the limit "
    "(ulimit -n).";

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

/// What a person answers and says to a running command.
struct PersonInput {
    std::vector<protocol::AnswerFile> answers;
    std::list<Prompt> prompts;
};

struct Attempt;
struct Execution;
struct ExecutorCore;

/// How the result of an execution reaches its caller.
struct Completion {
    using Handler = asio::any_completion_handler<void(error_code, ExecutionResult)>;
    using Work = asio::executor_work_guard<asio::any_completion_executor>;

    Handler handler;
    std::unique_ptr<Work> work;  ///< Of the handler's executor, unless it is that of the core.
};

/// The state of one `execute_command`.
struct Execution {
    Execution(std::shared_ptr<ExecutorCore> executor, CommandRequest r, Completion c);
    ~Execution();
    Execution(const Execution&) = delete;
    Execution& operator=(const Execution&) = delete;

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
    /// The id of the running attempt; empty: there is none.
    [[nodiscard]] const std::string& attempt_id() const;
    [[nodiscard]] const std::string& redacted_command() const noexcept
    {
        return redacted ? *redacted : request.command;
    }
    [[nodiscard]] bool is_cancelled() const noexcept
    {
        return cancelled != asio::cancellation_type::none;
    }

    std::shared_ptr<ExecutorCore> core;
    Completion completion;
    CommandRequest request;
    std::shared_ptr<const ExecutionOptions> options;  ///< As of its start.
    /// The command without its secrets; null: it has none.
    std::unique_ptr<const std::string> redacted;
    std::string
        worktree;  ///< Instead of that in the request, and absolute: a path takes much more.
    std::shared_ptr<Timer> alarm;  ///< Of its coroutine; null while it waits for its agent.
    // Released while waiting for a retry.
    async::FifoSemaphore* agent_slots = nullptr;  ///< Those of its agent; null: no limit.
    std::unique_ptr<async::SemaphoreGuard> agent_slot;
    std::optional<async::SemaphoreGuard> slot;
    std::unique_ptr<Mailbox> mailbox;
    /// The worktree's context, determined before a program could change it, if the mailbox does not
    /// know it.
    std::unique_ptr<git::GitContext> git;
    std::shared_ptr<git::Interrupt> git_interrupt;  ///< While git prepares a retry.
    std::uint64_t tree_device = 0;
    std::uint64_t tree_inode = 0;  ///< Zero: the worktree cannot be looked up.
    /// In `ExecutorCore::tree_queues`.
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>> tree_place;
    boost::intrusive::list_member_hook<> in_flight;  ///< In `ExecutorCore::active`.
    std::unique_ptr<std::string> announced_retry;  ///< The attempt before the next one, meanwhile.
    bool recorded = false;   ///< Another executor has recorded the end of the attempt.
    bool read_only = false;  ///< The worktree is not changed.
    bool polling_reported = false;
    std::optional<ReportedStatus> last_status;  ///< The status file's last one before the end.
    bool refused = false;                       ///< It ends without a further attempt.
    bool probe = false;                         ///< It tests its agent.
    bool has_started = false;                   ///< An agent may have worked on it.
    bool has_waited = false;                    ///< Before its first attempt.
    int agent_index = -1;        ///< In `CommandRequest::fallback`; -1: the preferred agent.
    std::string seen_agent;      ///< As a status has named it.
    std::unique_ptr<Hold> hold;  ///< While its agent gets no commands.
    /// By its caller, `cancel`, `async_stop`, or another process.
    asio::cancellation_type cancelled = asio::cancellation_type::none;
    std::unique_ptr<Attempt> attempt;  ///< The running one, if any.
    // While it waits for its agent: the time of the next look, its place, and who owns it.
    time_point wake_time;
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>> waiting;
    std::shared_ptr<Execution> self;
    Rare<PersonInput> input;  ///< Not passed on yet.
    std::optional<time_point> first_published;
    std::chrono::nanoseconds queued{0};      ///< Before its running attempt.
    std::chrono::nanoseconds all_queued{0};  ///< Before all of them.
    int attempts = 0;                        ///< Published.
    Rare<ExecutionResult> result;            ///< `describe_result` completes it.
};

/// By worktree: executions of one folder are equal, and of one path that cannot be looked up.
struct TreeOrder {
    bool operator()(const Execution& a, const Execution& b) const
    {
        if (a.tree_device != b.tree_device) return a.tree_device < b.tree_device;
        if (a.tree_inode != b.tree_inode) return a.tree_inode < b.tree_inode;
        return a.tree_inode == 0 && a.worktree < b.worktree;
    }
};

struct WakeOrder {
    bool operator()(const Execution& a, const Execution& b) const
    {
        return a.wake_time < b.wake_time;
    }
};

/// The executions that wait for their agents. It owns them.
using WaitingExecutions = boost::intrusive::multiset<
    Execution, boost::intrusive::compare<WakeOrder>,
    boost::intrusive::member_hook<Execution, decltype(Execution::waiting), &Execution::waiting>>;

/// When the wait for an attempt acts without a report of its agent. `max()`: never.
struct AttemptTimes {
    time_point deadline;
    time_point start = time_point::max();       ///< An agent must have claimed the command.
    time_point unclaimed = time_point::max();   ///< Warns that no agent has.
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
    async::RateLimit polls{200};
    PollingInterval interval;

    /// When to poll again.
    [[nodiscard]] time_point next(const AttemptMonitor& monitor, time_point now) const;
};

/// How an attempt ended.
struct AttemptEnd {
    ExecutionStatus status = ExecutionStatus::failed;
    std::optional<CommandError> error;
    AttemptFacts facts;
};

AttemptEnd failed_end(Cause cause, std::string code, std::string message);

/// Until it is granted, or the execution is cancelled.
asio::awaitable<void> wait_for_slot(Execution& x, const async::SemaphoreGuard& place);

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
struct Attempt {
    Attempt(const Execution& x, std::string id, int number, const MonitorOptions& monitoring);
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    /// A copy, for what outlives the attempt.
    [[nodiscard]] Correlation ids() const { return {execution, attempt_id, attempt}; }

    const ExecutionIds& execution;
    std::string attempt_id;  ///< Empty: a worktree is watched for whatever attempt.
    int attempt;
    AttemptMonitor monitor;
    AttemptTimes times;
    Notifier::Subscription changes;  ///< In its worktree.
    Rare<AttemptEnd> end;
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
    Rare<OpenPrompts> prompts;
};

/// What a dead executor's attempt has left in a worktree.
enum class Leftovers {
    none,
    of_live_agent,      ///< Its claim and the cancel file: the agent was asked to stop.
    of_ended_agent,     ///< Nothing: the agent was asked to stop, and has.
    of_other_executor,  ///< Another executor holds the worktree, and may have adopted the attempt.
    out_of_reach,       ///< The worktree cannot be opened or locked now.
};

/// What `BackgroundAgentAutoExecutor` does. All functions run on the strand. One class, since they
/// share the executions in flight, the slots and the sinks; a source for each phase: `execute.cpp`,
/// `slots.cpp`, `hold.cpp`, `start_pause.cpp`, `attempt.cpp`, `attempt_question.cpp`, `wait.cpp`,
/// `record.cpp`, `recover.cpp`.
///
/// An execution is a coroutine while it acts. While it waits for its agent it has none: thousands
/// wait, and one coroutine, `serve_waiting`, looks at all of them.
struct ExecutorCore : public std::enable_shared_from_this<ExecutorCore> {
    ExecutorCore(asio::any_io_executor ex, ExecutorOptions opts);

    // Operations. `keep` keeps this alive.
    asio::awaitable<std::vector<InterruptedAttempt>> recover(std::shared_ptr<ExecutorCore> keep);
    asio::awaitable<void> stop(std::shared_ptr<ExecutorCore> keep);

    // An execution: it belongs to its coroutine while it acts, and to `serve_waiting` while it
    // waits for its agent.
    using Phase = std::function<asio::awaitable<error_code>(Execution&)>;
    void begin(const std::shared_ptr<Execution>& x, const Phase& phase);
    void run(const std::shared_ptr<Execution>& x, asio::awaitable<error_code> phase);
    void continue_after(const std::shared_ptr<Execution>& x, error_code ec);
    void complete(Execution& x, error_code ec, ExecutionResult result);
    void leave(Execution& x) noexcept;
    void serve_requests_if_needed();

    // Its phases. Afterwards it has ended, or waits for the end of its attempt.
    asio::awaitable<error_code> execute(Execution& x);
    asio::awaitable<error_code> adopt(Execution& x, AttemptReference reference);
    asio::awaitable<error_code> watch(Execution& x);
    asio::awaitable<error_code> end_attempt(Execution& x);
    error_code check(Execution& x);
    void describe_result(Execution& x) const;
    error_code fail(Execution& x, error_code ec, std::string sentence);
    asio::awaitable<error_code> admit(Execution& x);
    void end_queue(Execution& x, time_point since) const;
    static void announce_wait(Execution& x);
    [[nodiscard]] unsigned descriptors_of_command() const;
    // Slots: `slots.cpp`.
    void limit_slots();
    asio::awaitable<void> take_slots(Execution& x);
    void release_slots(Execution& x);
    async::FifoSemaphore* agent_slots_of(const Execution& x);
    async::SlotSource* share_slots(const std::string& agent, std::size_t limit);
    [[nodiscard]] bool waits_for_others_slots() const;
    async::FifoSemaphore& semaphore_of(const std::string& agent);
    void show_waiting();
    void retry_slots();
    void serve_slots_if_needed() noexcept;
    asio::awaitable<void> serve_slots(std::shared_ptr<ExecutorCore> keep);
    [[nodiscard]] Notifier::Subscription watch_slots();
    asio::awaitable<void> wait_to_open(const Execution& x);
    asio::awaitable<error_code> open(Execution& x);
    static void refuse(Execution& x, const char* code, const std::string& reason);
    [[nodiscard]] bool lacks_free_resources(const Execution& x);
    asio::awaitable<void> wait_for_free_resources(Execution& x);
    [[nodiscard]] bool waits_for_resources(const Execution& x, error_code ec);
    asio::awaitable<error_code> lock(Execution& x);
    asio::awaitable<error_code> lock_adopted(Execution& x);
    asio::awaitable<bool> adopt_record(Execution& x, const std::string& attempt_id);
    void find_git_tree(Execution& x);
    asio::awaitable<error_code> begin_attempt(Execution& x, int number);
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
    // Starts that a person has paused: `start_pause.cpp`.
    void refresh_pauses();
    [[nodiscard]] std::string reason_for_pause(const Execution& x) const;
    [[nodiscard]] bool is_paused(const Execution& x);
    asio::awaitable<void> wait_for_resume(Execution& x);
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
    static void record_published(Execution& x, const Attempt& a);
    asio::awaitable<error_code> record_baseline(Execution& x);
    asio::awaitable<bool> record_start_first(Execution& x, Attempt& a);
    [[nodiscard]] Event detected_event(const Execution& x, const Attempt& a) const;
    void emit_not_started(const Execution& x, const Attempt& a);
    void announce_running(Execution& x, Attempt& a);
    error_code write_running(const Execution& x, Attempt& a);
    void forget_running(Attempt& a);
    void announce_retry(Execution& x, Attempt& a);
    void withdraw_retry(Execution& x) noexcept;
    [[nodiscard]] MonitorOptions monitor_options(const Execution& x) const;
    static AttemptTimes times_of(const Execution& x, const Attempt& a);
    // The wait for its end.
    void wait_for_agent(const std::shared_ptr<Execution>& x);
    static void wake_later(std::shared_ptr<Execution> x);
    void poll(const std::shared_ptr<Execution>& x);
    void poll_soon(Execution& x);
    void poll_first();
    std::optional<time_point> poll_attempt(Execution& x, Attempt& a);
    void schedule(const std::shared_ptr<Execution>& x, time_point wake);
    std::shared_ptr<Execution> remove_waiting(Execution& x);
    [[nodiscard]] bool is_poll_due() const;
    asio::awaitable<void> serve_waiting(std::shared_ptr<ExecutorCore> keep);
    bool warn_if_unclaimed(Execution& x, Attempt& a, time_point now);
    std::chrono::nanoseconds polling_interval(Execution& x, Attempt& a);
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
    asio::awaitable<bool> finish(Execution& x);
    asio::awaitable<void> record_cancelled_retry(Execution& x, const Attempt& last);
    void fill_result(Execution& x, Attempt& a);
    /// Empty: its program was refused nothing.
    [[nodiscard]] std::string denied_sentence(const Attempt& a) const;
    /// If a limit of the command cannot be enforced, or was not.
    static void warn_of_weak_limits(Execution& x);
    asio::awaitable<bool> notify_end(Execution& x);

    // Records.
    void report_polling(Execution& x, const Attempt& a);
    [[nodiscard]] Event event(const Execution& x, const Attempt& a, EventType type) const;
    /// Of the attempt that it waits to start.
    [[nodiscard]] Event event_before_start(const Execution& x, EventType type) const;
    [[nodiscard]] Event event(Correlation attempt, std::string command,
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
    void cancel(Execution& x, asio::cancellation_type type);
    static void cancel_later(std::shared_ptr<Execution> x, asio::cancellation_type type);
    void wake(Execution& x);
    void accept_answer(Execution& x, const protocol::AnswerFile& file);
    /// Says what an agent or a person may cause again and again only once.
    static void warn_once(Execution& x, std::string warning);

    std::unique_ptr<Mailbox> open_mailbox(const std::filesystem::path& tree, error_code& ec,
                                          std::string& problem);
    [[nodiscard]] std::filesystem::path absolute(const std::filesystem::path& path) const;
    void join_tree_queue(Execution& x);
    [[nodiscard]] bool is_first_in_tree(const Execution& x) const;
    asio::awaitable<void> wait_for_tree(Execution& x);
    void leave_tree_queue(Execution& x) noexcept;

    ExecutorOptions options;
    std::shared_ptr<const ExecutionOptions> shared_options;  ///< Those of new executions.
    asio::any_io_executor ex;
    asio::strand<asio::any_io_executor> strand;
    asio::any_io_executor on_strand;  ///< The same; its copies allocate nothing.
    std::vector<std::shared_ptr<EventSink>> sinks;
    records::RunningRecords running_records;
    /// Limits that hold for the project: of an agent, by its name, or of all commands.
    std::map<std::string, records::ProjectSlots, std::less<>> project_slots;
    async::FifoSemaphore slots;
    std::map<std::string, async::FifoSemaphore, std::less<>> agent_slots;  ///< By name.
    async::TurnLimit turns;
    files::DescriptorEstimate descriptors;
    /// Those that hold their worktree or wait for it; the first of equal ones holds it.
    boost::intrusive::multiset<
        Execution, boost::intrusive::compare<TreeOrder>,
        boost::intrusive::member_hook<Execution, decltype(Execution::tree_place),
                                      &Execution::tree_place>>
        tree_queues;
    AgentGate agents;
    records::FollowedPauses pauses;
    /// Wait for an agent, or for the end of a pause; in order.
    std::map<std::uint64_t, std::shared_ptr<Timer>> held_commands;
    std::uint64_t last_held = 0;
    boost::intrusive::list<Execution,
                           boost::intrusive::member_hook<Execution, decltype(Execution::in_flight),
                                                         &Execution::in_flight>>
        active;
    WaitingExecutions waiting_executions;
    std::unique_ptr<Timer> waiting_alarm;        ///< Timer of `serve_waiting`.
    time_point waiting_until{};                  ///< The time for which it is set.
    std::set<std::string> reported_interrupted;  ///< Attempts whose records `recover` had to keep.
    std::unique_ptr<Timer> requests_alarm;       ///< Timer of `serve_requests`.
    std::unique_ptr<Timer> slots_alarm;          ///< Timer of `serve_slots`.
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
