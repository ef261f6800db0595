#include "executor/executor_impl.hpp"
#include "executor/free_resources.hpp"
#include "files/safe_files.hpp"
#include "git/tree_state.hpp"
#include "protocol/error_classes.hpp"
#include "protocol/expected_artifacts.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

/// An execution from its request to its result: check, queue, open, attempt, retry.
namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr char cancelled_before_publishing[] = "The command was cancelled before it was published.";
constexpr milliseconds busy_poll{250};
constexpr milliseconds resources_interval{1000};
constexpr std::chrono::minutes max_pause{10};
constexpr milliseconds requests_interval{500};
constexpr milliseconds safety_of_requests{5000};  // should an event of theirs get lost
constexpr int max_looks_for_requests = 50;        // a second

std::optional<protocol::AnswerFile> answer_to(const fs::path& root, const std::string& attempt_id)
{
    if (attempt_id.empty()) return std::nullopt;
    return protocol::parse_answer(records::consume_answer(root, attempt_id));
}

std::string flaw_of(const RetryPolicy& retry)
{
    if (retry.max_attempts < 1) return "The number of attempts must be at least 1.";
    if (!(retry.backoff_multiplier >= 1)) return "The multiplier of the retry must be at least 1.";
    if (retry.initial_delay < milliseconds::zero() || retry.max_delay < milliseconds::zero())
        return "The delays of the retry must not be negative.";
    for (const auto& name : retry.on)
        if (!protocol::is_retry_class(name))
            return fmt::format("There is no class of failures '{}' to be retried.",
                               text::printable(name));
    return {};
}

// Completes "The command …".
std::string flaw_of(const CommandEnvironment& environment)
{
    for (const auto& [name, value] : environment.variables) {
        if (!protocol::is_variable_name(name)) return "has a variable with an invalid name";
        if (auto flaw = protocol::command_flaw(value); !flaw.empty()) return flaw;
    }
    if (!environment.model.empty() && !protocol::is_model_name(environment.model))
        return "has an invalid name of a model";
    const auto& folder = environment.working_directory;
    const bool fits = folder.empty() || protocol::artifact_path(folder);
    return fits ? "" : "has a working directory outside its worktree";
}

bool has_secret(const BoxedOptional<CommandEnvironment>& environment, const Redactor& redactor)
{
    return environment && std::ranges::any_of(environment->variables, [&](const auto& variable) {
               return redactor.redact(variable.second) != variable.second;
           });
}

void set_cancelled(ExecutionResult& result, std::string message)
{
    result.status = ExecutionStatus::cancelled;
    result.error = CommandError{std::move(message), "cancelled", false, 0};
}

// A retry leaves the failure before it in place.
std::optional<git::GitContext> context_of(const Execution& x)
{
    if (auto tree = x.mailbox->git_tree()) return git::git_context_of(*std::move(tree));
    return x.git ? std::optional(*x.git) : std::nullopt;
}

}  // namespace

Execution::Execution(std::shared_ptr<ExecutorCore> executor, CommandRequest r, Completion c)
    : core(std::move(executor)), completion(std::move(c)), request(std::move(r))
{}

// The worktree is unlocked before the next execution in it may begin.
Execution::~Execution()
{
    attempt.reset();
    mailbox.reset();
    core->leave(*this);
}

const std::string& Execution::attempt_id() const
{
    static const std::string none;
    return attempt ? attempt->attempt_id : none;
}

void ExecutorCore::begin(const std::shared_ptr<Execution>& x, const Phase& phase)
try {
    x->options = shared_options;
    x->alarm = options.clock->make_timer(on_strand);
    active.push_back(*x);
    serve_requests_if_needed();
    run(x, phase(*x));
} catch (const std::bad_alloc&) {
    complete(*x, errc::no_resources, {});
}

void ExecutorCore::run(const std::shared_ptr<Execution>& x, asio::awaitable<error_code> phase)
{
    if (!x->alarm) x->alarm = options.clock->make_timer(on_strand);
    asio::co_spawn(on_strand, std::move(phase), [x](std::exception_ptr failure, error_code ec) {
        if (failure)
            x->core->complete(*x, async::error_of(std::move(failure)), {});
        else
            x->core->continue_after(x, ec);
    });
}

void ExecutorCore::continue_after(const std::shared_ptr<Execution>& x, error_code ec)
{
    try {
        if (!ec && x->attempt) {
            wait_for_agent(x);
            return;
        }
        describe_result(*x);
    } catch (const std::bad_alloc&) {
        complete(*x, errc::no_resources, {});
        return;
    }
    complete(*x, ec, std::move(x->result.edit()));
}

// The handler is posted; called on the strand, it could block all other operations.
void ExecutorCore::complete(Execution& x, error_code ec, ExecutionResult result)
{
    const auto keep = x.waiting.is_linked() ? remove_waiting(x) : nullptr;
    withdraw_retry(x);
    x.attempt.reset();
    x.mailbox.reset();
    release_slots(x);
    const auto work = std::move(x.completion.work);
    asio::post(ex, asio::append(std::move(x.completion.handler), ec, std::move(result)));
    leave(x);
}

void ExecutorCore::leave(Execution& x) noexcept
{
    leave_tree_queue(x);
    if (!x.in_flight.is_linked()) return;
    active.erase(active.iterator_to(x));
    give_up_probe(x);
    if (!active.empty()) return;
    if (requests_alarm) requests_alarm->wake();
    for (const auto& waiter : std::exchange(until_idle, {}))
        if (const auto timer = waiter.lock()) timer->wake();
}

asio::awaitable<error_code> ExecutorCore::execute(Execution& x)
{
    if (const auto ec = check(x)) co_return ec;
    const auto since = options.clock->now();
    const auto ec = co_await admit(x);
    end_queue(x, since);
    if (ec || x.refused || x.result.get().status == ExecutionStatus::cancelled) co_return ec;
    if (x.has_waited && x.hooks().on_start && !x.hooks().on_start()) {
        set_cancelled(x.result.edit(), cancelled_before_publishing);
        co_return error_code{};
    }
    find_git_tree(x);
    co_return co_await begin_attempt(x, 1);
}

error_code ExecutorCore::fail(Execution& x, error_code ec, std::string sentence)
{
    x.result->status = ExecutionStatus::failed;
    x.result->error = CommandError{std::move(sentence), {}, false, 0};
    if (!files::is_resource_shortage(ec)) return ec;
    x.result->error->code = error_codes::no_resources;
    return errc::no_resources;
}

// At its end only: what waits needs no copies.
void ExecutorCore::describe_result(Execution& x) const
{
    auto& result = x.result.edit();
    if (x.first_published)
        result.duration =
            std::chrono::duration_cast<milliseconds>(options.clock->now() - *x.first_published);
    result.ids() = x.request.ids();
    result.command = x.redacted_command();
    result.worktree = x.worktree;
    result.attempts = x.attempts;
    result.queued = std::chrono::duration_cast<milliseconds>(x.all_queued);
}

error_code ExecutorCore::check(Execution& x)
{
    auto& r = x.request;
    const bool has_nul = r.worktree.native().find('\0') != std::string::npos;
    const auto worktree = absolute(std::exchange(r.worktree, {}));
    x.worktree = worktree.string();
    auto redacted = options.redactor->redact(r.command);
    if (redacted != r.command || has_secret(r.environment, *options.redactor))
        x.redacted = std::make_unique<const std::string>(std::move(redacted));
    if (r.resumed_session) {
        x.result->session = r.resumed_session->id;
        x.result->session_usage = r.resumed_session->usage;
    }

    if (stopping) return fail(x, errc::stopped, "The executor was stopped.");
    if (protocol::is_blank_command(r.command))
        return fail(x, errc::invalid_command,
                    fmt::format("The command is {}.", r.command.empty() ? "empty" : "blank"));
    if (!r.argv.empty() && r.argv.front().empty())
        return fail(x, errc::invalid_command,
                    "The program's name is empty: argv[0] must name the program to run.");
    auto flaw = protocol::command_flaw(r.command);
    for (const auto& word : r.argv)
        if (flaw.empty()) flaw = protocol::command_flaw(word);
    if (flaw.empty() && r.environment) flaw = flaw_of(*r.environment);
    if (!flaw.empty())
        return fail(x, errc::invalid_command,
                    "The command " + flaw + ", so it cannot be passed to an agent.");
    if (has_nul)
        return fail(x, errc::invalid_worktree, "The worktree's path contains a NUL character.");
    if (r.timeout && *r.timeout <= milliseconds::zero())
        return fail(x, errc::invalid_options, "The time-out must be positive.");
    if (!(r.max_cost >= 0) || r.max_tokens < 0)
        return fail(x, errc::invalid_options, "The budget must not be negative.");
    if (r.priority < -max_priority || r.priority > max_priority)
        return fail(
            x, errc::invalid_options,
            fmt::format("The priority must be from {} to {}.", -max_priority, max_priority));
    if (r.timeout) r.timeout = std::min<milliseconds>(*r.timeout, max_time);
    if (r.max_attempts && *r.max_attempts < 1)
        return fail(x, errc::invalid_options, "The number of attempts must be at least 1.");
    if (r.retry) {
        if (auto flaw_of_retry = flaw_of(*r.retry); !flaw_of_retry.empty())
            return fail(x, errc::invalid_options, std::move(flaw_of_retry));
        r.retry->initial_delay = std::min<milliseconds>(r.retry->initial_delay, max_time);
        r.retry->max_delay = std::min<milliseconds>(r.retry->max_delay, max_time);
    }
    for (auto& path : r.expected_artifacts) {
        auto beneath = protocol::artifact_path(path, worktree);
        if (!beneath)
            return fail(x, errc::artifact_outside_worktree,
                        fmt::format("The expected artifact '{}' is outside the worktree '{}'. "
                                    "Use the path of a file or folder in it, without "
                                    "'..'.",
                                    text::printable(path), x.worktree));
        path = std::move(*beneath);
    }
    if (x.options->secrets_in_command == SecretsInCommand::refuse && x.redacted)
        return fail(x, errc::secret_in_command,
                    "The command text contains a secret. Pass the name of a variable in env_refs "
                    "instead, and use that variable in the command.");
    return {};
}

void ExecutorCore::end_queue(Execution& x, time_point since) const
{
    x.queued = options.clock->now() - since;
    x.all_queued += x.queued;
}

// Retries are not announced: the command has a running record by then, or had one.
void ExecutorCore::announce_wait(Execution& x)
{
    if (x.first_published || std::exchange(x.has_waited, true)) return;
    if (x.hooks().on_wait) x.hooks().on_wait();
}

// Waits for the worktree's queue, for a slot, and for the worktree's lock.
asio::awaitable<error_code> ExecutorCore::admit(Execution& x)
{
    join_tree_queue(x);
    for (;;) {
        co_await wait_for_tree(x);
        co_await wait_for_resume(x);
        co_await take_slots(x);
        if (lacks_free_resources(x)) co_await wait_for_free_resources(x);
        if (!turns.enter()) co_await turns.admission(*x.alarm);
        if (x.is_cancelled()) {
            set_cancelled(x.result.edit(), cancelled_before_publishing);
            co_return error_code{};
        }
        if (x.refused) co_return error_code{};
        x.options = shared_options;  // re-read the options: they may have changed while queued
        const auto held = choose_agent(x);
        if (held) {
            announce_wait(x);
            const bool has_waited = co_await hold(x, *held);
            if (has_waited) continue;
            co_return error_code{};
        }
        // It falls back to another agent, or starts were paused meanwhile.
        if (x.agent_slots != agent_slots_of(x) || is_paused(x)) {
            release_slots(x);
            give_up_probe(x);
            continue;
        }
        const auto refusal = refusal_of(x, 1);
        x.refused = !refusal.empty();
        if (x.refused) {
            x.result->error =
                CommandError{"Not started. " + refusal, error_codes::budget, false, 0};
            co_return error_code{};
        }
        const auto ec = co_await open(x);
        const bool busy = ec == errc::worktree_busy || ec == errc::worktree_busy_unconfirmed;
        const bool waits_for_worktree = busy && x.options->on_busy == OnBusy::wait;
        if (!waits_for_worktree && !waits_for_resources(x, ec)) co_return ec;
        x.mailbox.reset();
        release_slots(x);
        give_up_probe(x);
        announce_wait(x);
        if (waits_for_worktree) {
            auto e = event_before_start(x, EventType::waiting_for_worktree);
            e.details["reason"] = "another command runs in its worktree";
            emit(e);
        }
        co_await wait_to_open(x);
    }
}

/// Until the worktree may be free, or the execution is cancelled: without a slot.
asio::awaitable<void> ExecutorCore::wait_to_open(const Execution& x)
{
    for (bool is_busy = true; is_busy && !x.is_cancelled();) {
        co_await x.alarm->wait_until(options.clock->now() + busy_poll);
        error_code ec;
        std::string ignored;
        const auto mailbox = open_mailbox(x.worktree, ec, ignored);
        if (mailbox) ec = mailbox->try_lock();
        is_busy = ec == errc::worktree_busy || (mailbox && !ec && mailbox->live_claim());
    }
}

/// Ends it without a further attempt, before one is published.
void ExecutorCore::refuse(Execution& x, const char* code, const std::string& reason)
{
    x.refused = true;
    if (!x.first_published || !x.result->error)
        x.result->error = CommandError{"Not started " + reason, {}, false, 0};
    else
        x.result->error->message +=
            (x.result->error->message.ends_with('.') ? "" : ".") + (" Not tried again " + reason);
    x.result->error->code = code;
}

bool ExecutorCore::lacks_free_resources(const Execution& x)
{
    const auto now = options.clock->now();
    if (now < next_resources) return !shortage.empty();
    next_resources = now + resources_interval;
    auto found = executor::shortage_of(options.free_resources(), options);
    if (found.empty() != shortage.empty()) {
        const auto type = found.empty() ? EventType::starts_resumed : EventType::starts_paused;
        auto e = event({x.request.ids(), {}, 1}, x.redacted_command(), x.worktree, type);
        if (!found.empty()) e.details["reason"] = found;
        emit(e);
    }
    shortage = std::move(found);
    return !shortage.empty();
}

/// Until the resources are there, the execution is cancelled, or it is refused after the limit. It
/// keeps its slot, so that the order stays.
asio::awaitable<void> ExecutorCore::wait_for_free_resources(Execution& x)
{
    announce_wait(x);
    const auto begin = options.clock->now();
    const auto limit = begin + max_pause;
    std::string reason = shortage;
    while (lacks_free_resources(x) && !x.is_cancelled()) {
        reason = shortage;
        const auto now = options.clock->now();
        if (now >= limit) {
            refuse(x, error_codes::no_resources,
                   fmt::format("within {}: {}.", text::format_duration(max_pause), reason));
            co_return;
        }
        co_await x.alarm->wait_until(std::min(limit, now + resources_interval));
    }
    x.result->warnings.push_back(
        fmt::format("The start was paused for {}: {}.",
                    text::format_duration(
                        std::chrono::duration_cast<milliseconds>(options.clock->now() - begin)),
                    reason));
}

// Running executions release descriptors when they end. A single command does not wait.
bool ExecutorCore::waits_for_resources(const Execution& x, error_code ec)
{
    constexpr unsigned to_start = 3;  // closed before it waits
    const bool in_flight = std::any_of(active.begin(), active.end(), [&x](const Execution& other) {
        return &other != &x && !other.attempt_id().empty();
    });
    if (!in_flight || (ec && ec != errc::no_resources)) return false;
    return ec == errc::no_resources || !descriptors.has_left(descriptors_of_command() + to_start);
}

asio::awaitable<error_code> ExecutorCore::open(Execution& x)
{
    error_code ec;
    std::string problem;
    x.mailbox = open_mailbox(x.worktree, ec, problem);
    if (!x.mailbox) co_return fail(x, ec, std::move(problem));
    ec = co_await lock(x);
    if (ec) co_return ec;
    if (const auto attempt = x.mailbox->live_claim()) {
        ec = errc::worktree_busy_unconfirmed;
        co_return fail(x, ec,
                       fmt::format("An agent is still running attempt {} in the worktree '{}', "
                                   "although it was asked to stop. Wait for it, or kill it.",
                                   *attempt, x.worktree));
    }
    co_return error_code{};
}

asio::awaitable<error_code> ExecutorCore::lock(Execution& x)
{
    error_code ec;
    const auto give_up_time = options.clock->now() + lock_timeout;
    while ((ec = x.mailbox->try_lock()) == errc::worktree_busy &&
           options.clock->now() < give_up_time && !x.is_cancelled())
        co_await x.alarm->wait_until(options.clock->now() + lock_retry);

    if (ec == errc::worktree_busy)
        co_return fail(x, ec,
                       fmt::format("Another executor is running a command in the worktree '{}'. "
                                   "Wait for it, or identify it with 'autoexec status'.",
                                   x.worktree));
    if (ec)
        co_return fail(x, ec,
                       fmt::format("Cannot lock the worktree '{}': {}.", x.worktree, ec.message()));
    co_return error_code{};
}

MonitorOptions ExecutorCore::monitor_options(const Execution& x) const
{
    MonitorOptions w;
    w.attempt_id_required = options.agent_in_process;
    w.claim_required = options.agent_in_process;
    w.artifact_detection = x.options->artifact_detection;
    w.stability = std::max(x.options->polling_interval, milliseconds{2000});
    return w;
}

// Before a program could change it.
void ExecutorCore::find_git_tree(Execution& x)
{
    if (x.hooks().before_retry || options.tree_state || x.mailbox->git_tree()) return;
    if (auto context = git::git_context_of(x.worktree))
        x.git = std::make_unique<git::GitContext>(*std::move(context));
}

/// The delay before a retry; nullopt if there is none.
std::optional<milliseconds> ExecutorCore::delay_before_retry(const Execution& x, const Attempt& a)
{
    const auto& policy = x.request.retry ? *x.request.retry : x.options->retry;
    const int max_attempts =
        x.options->error_handling ? x.request.max_attempts.value_or(policy.max_attempts) : 1;
    auto facts = a.end->facts;
    if (a.end->error) facts.code = a.end->error->code;
    if (a.attempt >= max_attempts || !may_retry(facts, x.request.idempotent, policy.on))
        return std::nullopt;
    const auto delay = retry_delay(policy, a.attempt, options.random());
    if (x.options->total_timeout > milliseconds::zero() &&
        options.clock->now() + delay >= *x.first_published + x.options->total_timeout)
        return std::nullopt;
    return delay;
}

std::string ExecutorCore::refusal_of(const Execution& x, int attempt) const
{
    auto refusal = protocol::limit_reached(x.limits(), x.spending(), "this command");
    if (refusal.empty() && options.refuse_attempt) refusal = options.refuse_attempt(attempt);
    return refusal;
}

bool ExecutorCore::refuse_retry(Execution& x, int attempt) const
{
    const auto refusal = refusal_of(x, attempt);
    if (refusal.empty()) return false;
    if (!x.result->error) x.result->error.emplace();
    auto& message = x.result->error->message;
    message += fmt::format("{} Not tried again. {}", message.ends_with('.') ? "" : ".", refusal);
    x.result->error->code = error_codes::budget;
    return true;
}

asio::awaitable<bool> ExecutorCore::is_refused_by_hook(Execution& x, int attempt)
{
    if (!x.hooks().on_retry) co_return false;
    std::string refusal;
    try {
        auto asked = x.hooks().on_retry(attempt);
        refusal = co_await std::move(asked);
    } catch (const std::exception& e) {
        refusal = e.what();
    }
    if (!refusal.empty() && x.result->error) {
        auto& message = x.result->error->message;
        message +=
            fmt::format("{} Not tried again. {}", message.ends_with('.') ? "" : ".", refusal);
    }
    co_return !refusal.empty();
}

/// Returns false if the retry is cancelled, refused, or cannot be prepared.
asio::awaitable<bool> ExecutorCore::pause(Execution& x, const Attempt& a, milliseconds delay)
{
    if (refuse_retry(x, a.attempt + 1)) co_return false;
    const bool refused = co_await is_refused_by_hook(x, a.attempt + 1);
    if (refused) co_return false;
    const auto until = options.clock->now() + delay;
    auto retry = event(x, a, EventType::execution_retry);
    retry.details["next_attempt"] = a.attempt + 1;
    retry.details["delay_ms"] = delay.count();
    if (x.result->error) retry.details["error"] = x.result->error->message;
    std::string tree;
    if (!co_await prepared(x, tree)) {
        x.result->warnings.push_back("No further attempt: " + tree);
        co_return false;
    }
    if (x.hooks().before_retry) x.request.artifact_baseline.reset();
    if (!tree.empty()) retry.details["tree"] = options.redactor->redact(tree);
    co_await emit_and_drain(std::move(retry));

    // Other executions may use the slot meanwhile; the worktree stays locked.
    release_slots(x);
    while (options.clock->now() < until && !x.is_cancelled()) co_await x.alarm->wait_until(until);
    const auto since = options.clock->now();
    const bool admitted = co_await admit_again(x);
    end_queue(x, since);
    if (!admitted) co_return false;
    co_return !refuse_retry(x, a.attempt + 1);
}

/// For its next attempt. Returns false if the execution ends.
asio::awaitable<bool> ExecutorCore::admit_again(Execution& x)
{
    for (;;) {
        co_await wait_for_resume(x);
        co_await take_slots(x);
        if (lacks_free_resources(x)) co_await wait_for_free_resources(x);
        if (x.is_cancelled()) break;
        if (x.refused) co_return false;
        const auto held = choose_agent(x);
        if (held) {
            const bool has_waited = co_await hold(x, *held);
            if (!has_waited) co_return false;
        } else if (x.agent_slots == agent_slots_of(x) && !is_paused(x)) {
            co_return true;
        } else {  // it falls back to an agent with a limit of its own, or starts were paused
            release_slots(x);
            give_up_probe(x);
        }
    }
    set_cancelled(x.result.edit(), "The command was cancelled while waiting for its next attempt.");
    co_return false;
}

asio::awaitable<bool> ExecutorCore::prepared(Execution& x, std::string& state)
{
    x.git_interrupt = std::make_shared<git::Interrupt>();
    if (x.is_cancelled()) x.git_interrupt->end_by(options.clock->now());
    co_return co_await prepare_tree(x, state);
}

// A failed description does not prevent the retry; a failed preparation does.
asio::awaitable<bool> ExecutorCore::prepare_tree(const Execution& x, std::string& state)
{
    const auto& prepare = x.hooks().before_retry;
    const auto& describe = prepare ? prepare : options.tree_state;
    const auto context = describe ? std::nullopt : context_of(x);
    if (!describe && !context) co_return true;
    try {
        auto preparing = describe ? describe(x.worktree)
                                  : git::tree_state(supervised_spawner(), options.clock,
                                                    x.git_interrupt, *context);
        state = co_await std::move(preparing);
        co_return true;
    } catch (const std::exception& e) {
        state = prepare ? e.what() : fmt::format("unknown: {}", e.what());
    }
    co_return !prepare;
}

void ExecutorCore::accept_answer(Execution& x, const protocol::AnswerFile& file)
{
    if (file.attempt_id != x.attempt_id()) return;
    auto& input = x.input.edit();
    for (const auto& prompt : file.prompts) {
        if (input.prompts.size() < max_prompts && prompt.size() <= protocol::max_prompt)
            input.prompts.push_back(
                {prompt, &prompt == &file.prompts.back() ? file.prompt_id : ""});
        else
            warn_once(x, fmt::format("A prompt was dropped: at most {} wait, of at most {} bytes.",
                                     max_prompts, protocol::max_prompt));
    }
    if (!file.answer.question_id.empty())
        input.answers.push_back({file.attempt_id, file.answer, {}});
    wake(x);
}

void ExecutorCore::warn_once(Execution& x, std::string warning)
{
    auto& warnings = x.result->warnings;
    if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end())
        warnings.push_back(std::move(warning));
}

void ExecutorCore::cancel(Execution& x, asio::cancellation_type type)
{
    x.cancelled |= type;
    if (x.git_interrupt) x.git_interrupt->end_by(options.clock->now());
    wake(x);
}

// Called on any thread. Posted, so that it is not before the beginning.
void ExecutorCore::cancel_later(std::shared_ptr<Execution> x, asio::cancellation_type type)
{
    const auto on = x->core->strand;
    asio::post(on, [one = std::move(x), type] { one->core->cancel(*one, type); });
}

void ExecutorCore::wake(Execution& x)
{
    if (x.waiting.is_linked())
        poll_soon(x);
    else if (x.alarm)
        x.alarm->wake();
}

asio::awaitable<void> ExecutorCore::stop(std::shared_ptr<ExecutorCore>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    stopping = true;
    for (auto& x : active) cancel(x, asio::cancellation_type::partial);
    const std::shared_ptr<Timer> idle = options.clock->make_timer(strand);
    while (!active.empty()) {
        until_idle.push_back(idle);
        co_await idle->wait_until(time_point::max());
    }
    // Their handlers are already posted, so they run before this one.
    co_await asio::post(strand, asio::use_awaitable);
    co_await flush_all();
    if (active.empty()) running_records.close();
}

// Serves the cancel requests and answers of other processes; see records/running.hpp.
asio::awaitable<void> ExecutorCore::serve_requests(std::shared_ptr<ExecutorCore>)
{
    std::vector<Notifier::Subscription> watches;
    async::RateLimit looks(max_looks_for_requests);
    while (!active.empty()) {
        const bool notified = watch_requests(watches);
        // Those that are left may be for attempts that are about to begin.
        const bool some_left = serve_pending_requests();
        if (agents.refresh()) wake_held();
        refresh_pauses();
        const bool may_wait =
            notified && !some_left && agents.all_work() && pauses.reading().pauses.empty();
        const auto interval = may_wait ? safety_of_requests : requests_interval;
        co_await requests_alarm->wait_until(options.clock->now() + interval);
        const auto earliest = looks.next(options.clock->now());
        while (options.clock->now() < earliest && !active.empty())
            co_await requests_alarm->wait_until(earliest);
    }
    requests_alarm.reset();
}

/// Returns true if requests are left.
bool ExecutorCore::serve_pending_requests()
{
    const auto& root = options.project_root;
    if (records::has_answers(root))
        for (auto& x : active)
            if (const auto file = answer_to(root, x.attempt_id())) accept_answer(x, *file);
    if (records::has_cancel_requests(root)) consume_cancel_requests();
    return records::has_answers(root) || records::has_cancel_requests(root);
}

/// Returns true if each new request wakes `serve_requests`.
bool ExecutorCore::watch_requests(std::vector<Notifier::Subscription>& watches)
{
    if (options.file_events == FileEvents::off) return false;
    const auto folders = records::request_folders(options.project_root);
    watches.resize(folders.size());
    for (std::size_t i = 0; i < folders.size(); ++i) {
        const auto covered = [&] {
            return options.notifier->coverage(folders[i]) == Coverage::all;
        };
        if (watches[i] && covered()) continue;
        watches[i].reset();
        std::error_code ec;
        // The first one shows when another one is made.
        if (i > 0 && !fs::is_directory(folders[i], ec)) continue;
        watches[i] = options.notifier->watch_folder(folders[i], [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            asio::post(self->strand, [weak] {
                const auto core = weak.lock();
                if (core && core->requests_alarm) core->requests_alarm->wake();
            });
        });
        if (!covered()) return false;
    }
    return true;
}

void ExecutorCore::consume_cancel_requests()
{
    const auto requests = records::find_cancel_requests(options.project_root);
    if (requests.empty()) return;
    const std::set<std::string> wanted(requests.begin(), requests.end());
    const auto consume = [&](const std::string& attempt_id) {
        return !attempt_id.empty() && wanted.contains(text::file_name_of(attempt_id)) &&
               records::consume_cancel_request(options.project_root, attempt_id);
    };
    // That of the attempt before may have been written between the two.
    for (auto& x : active)
        if (consume(x.attempt_id()) || consume(x.result.get().attempt_id))
            cancel(x, asio::cancellation_type::partial);
}

void ExecutorCore::serve_requests_if_needed()
try {
    if (requests_alarm) return;
    (void)agents.refresh();
    requests_alarm = options.clock->make_timer(strand);
    asio::co_spawn(strand, serve_requests(shared_from_this()), asio::detached);
} catch (...) {
    requests_alarm.reset();
    throw;
}

fs::path ExecutorCore::absolute(const fs::path& path) const
{
    fs::path normal = files::normal_path(path.is_absolute() ? path : options.project_root / path);
    return normal.has_filename() || !normal.has_relative_path() ? normal : normal.parent_path();
}

void ExecutorCore::join_tree_queue(Execution& x)
{
    struct stat st {};
    if (::stat(x.worktree.c_str(), &st) == 0) {
        x.tree_device = st.st_dev;
        x.tree_inode = st.st_ino;
    }
    // Behind the one that holds the worktree, and behind those of the same priority.
    auto place = tree_queues.upper_bound(x);
    while (place != tree_queues.begin()) {
        const auto& before = *std::prev(place);
        const bool is_passed = !TreeOrder()(before, x) && !is_first_in_tree(before) &&
                               before.request.priority < x.request.priority;
        if (!is_passed) break;
        --place;
    }
    tree_queues.insert_before(place, x);
}

bool ExecutorCore::is_first_in_tree(const Execution& x) const
{
    const auto place = tree_queues.iterator_to(x);
    return place == tree_queues.begin() || TreeOrder()(*std::prev(place), x);
}

asio::awaitable<void> ExecutorCore::wait_for_tree(Execution& x)
{
    if (!is_first_in_tree(x)) announce_wait(x);
    while (!is_first_in_tree(x) && !x.is_cancelled())
        co_await x.alarm->wait_until(time_point::max());
}

void ExecutorCore::leave_tree_queue(Execution& x) noexcept
{
    if (!x.tree_place.is_linked()) return;
    const bool was_first = is_first_in_tree(x);
    const auto next = tree_queues.erase(tree_queues.iterator_to(x));
    if (was_first && next != tree_queues.end() && !TreeOrder()(x, *next) && next->alarm)
        next->alarm->wake();
}

std::unique_ptr<Mailbox> ExecutorCore::open_mailbox(const fs::path& tree, error_code& ec,
                                                    std::string& problem)
{
    return options.handoff->open(absolute(tree), ec, problem);
}

}  // namespace autoexec::inline v1
