#include "executor/executor_impl.hpp"
#include "protocol/error_classes.hpp"
#include "redaction/agent_text.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

/// Which agent gets a command, whether it gets one now, and what the end of an attempt says about
/// it.
namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;

AgentVerdict failure_of(const CommandError& error)
{
    AgentVerdict verdict;
    verdict.kind = AgentVerdict::Kind::fails;
    verdict.code = error.code;
    verdict.message = std::string(text::head(error.message, protocol::max_health_message));
    verdict.retry_after = error.retry_after;
    return verdict;
}

bool counts(const CommandError& error)
{
    return protocol::reaction_to(error.code) != protocol::AgentReaction::none;
}

AgentVerdict verdict_of(const Attempt& a, const Redactor& redactor)
{
    AgentVerdict verdict;
    const auto& status = a.monitor.status();
    if (a.end->facts.cause == Cause::reported && a.end->error && counts(*a.end->error))
        return failure_of(*a.end->error);
    // What the program had tried again and again until its time was over.
    const bool late = a.end->status == ExecutionStatus::timeout && status && status->cause;
    if (late && counts(*status->cause)) {
        auto cause = *status->cause;
        cause.message = agent_text(redactor, cause.message, max_agent_message);
        return failure_of(cause);
    }
    const bool has_ended = a.end->facts.cause == Cause::reported && status && status->exit_code;
    if (a.end->facts.completed || (has_ended && a.end->status == ExecutionStatus::failed))
        verdict.kind = AgentVerdict::Kind::works;
    return verdict;
}

bool is_seen_only(const Execution& x)
{
    return x.agent().empty() && !x.seen_agent.empty();
}

}  // namespace

const std::string& Execution::agent() const
{
    return agent_index < 0 ? request.agent
                           : request.fallback[static_cast<std::size_t>(agent_index)];
}

/// Empty: not known.
const std::string& ExecutorCore::known_agent(const Execution& x) const
{
    if (!x.agent().empty()) return x.agent();
    return x.seen_agent.empty() ? options.default_agent : x.seen_agent;
}

/// Null: an agent may get the command now. Else why the preferred one does not.
std::unique_ptr<HeldAgent> ExecutorCore::choose_agent(Execution& x)
{
    if (auto problem = agents.take_problem(); !problem.empty())
        x.result->warnings.push_back(std::move(problem));
    // An attempt that has started may have changed files: it is continued by the same agent only.
    const bool may_change = !x.has_started || x.request.idempotent;
    const auto current = x.agent_index;
    if (may_change) x.agent_index = -1;
    auto held = agents.ask(known_agent(x), options.breaker, x.probe);
    const auto count = held && may_change ? static_cast<int>(x.request.fallback.size()) : 0;
    auto waiting = held.get();
    for (int i = 0; i < count; ++i) {
        x.agent_index = i;
        auto other = agents.ask(known_agent(x), options.breaker, x.probe);
        if (!other) {
            if (i != current) report_fallback(x, *held);
            held.reset();
            break;
        }
        waiting->until = std::min(waiting->until, other->until);
        waiting->waiting_helps |= other->waiting_helps;
    }
    if (held) x.agent_index = current;
    if (!held && x.agent_index != current) {
        x.result->session.clear();  // it is another program's
        x.result->session_usage.reset();
    }
    if (!held) x.hold.reset();
    return held;
}

void ExecutorCore::report_fallback(Execution& x, const HeldAgent& held)
{
    warn_once(x, fmt::format("Agent {} runs it instead, because {}.", text::printable(x.agent()),
                             held.reason));
    auto e = hold_event(x, EventType::fallback_chosen, held);
    e.details["fallback"] = x.agent();
    emit(e);
}

Event ExecutorCore::hold_event(const Execution& x, EventType type, const HeldAgent& held) const
{
    auto e = event_before_start(x, type);
    e.details["agent"] = held.name;
    e.details["code"] = held.code;
    e.details["until"] = text::iso_utc(held.until);
    e.details["reason"] = held.reason;
    return e;
}

/// Waits, without a slot, until it is worth asking again. False: the command ends, and its error
/// says why.
asio::awaitable<bool> ExecutorCore::hold(Execution& x, const HeldAgent& held)
{
    const auto now = options.clock->now();
    if (!x.hold) x.hold = std::make_unique<Hold>(Hold{now, {}});
    const auto limit = hold_limit(x);
    if (!held.waiting_helps || now >= limit) {
        refuse_held(x, held);
        co_return false;
    }
    release_slots(x);
    if (std::exchange(x.hold->reason, held.reason) != held.reason)
        emit(hold_event(x, EventType::waiting_for_agent, held));
    const auto until = now + (held.until - options.clock->system_now());
    const auto place = ++last_held;
    held_commands.emplace(place, x.alarm);
    co_await x.alarm->wait_until(std::min(until, limit));
    held_commands.erase(place);
    co_return true;
}

/// The time-outs of the command apply to the wait as well.
time_point ExecutorCore::hold_limit(const Execution& x) const
{
    auto limit = x.hold->since + x.request.timeout.value_or(x.options->timeout);
    if (x.options->total_timeout > milliseconds::zero())
        limit =
            std::min(limit, x.first_published.value_or(x.hold->since) + x.options->total_timeout);
    return limit;
}

void ExecutorCore::refuse_held(Execution& x, const HeldAgent& held)
{
    auto why = fmt::format("{}{}.", held.reason, held.message.empty() ? "" : ": ");
    if (!held.message.empty()) why += text::printable(held.message);
    const auto hint = fmt::format(" If it works again: autoexec agents reset {}",
                                  text::quote_words(std::vector{held.name}));
    x.refused = true;
    if (x.attempts > 0 && x.result.get().error) {
        auto& message = x.result->error->message;
        message +=
            fmt::format("{} Not tried again: {}{}", message.ends_with('.') ? "" : ".", why, hint);
        return;
    }
    x.result->status = held.waiting_helps ? ExecutionStatus::timeout : ExecutionStatus::failed;
    x.result->error = CommandError{fmt::format("Not started: {}{}", why, hint),
                                   error_codes::agent_unavailable, false, 0};
}

void ExecutorCore::note_agent(Execution& x, const Attempt& a)
{
    const auto& status = a.monitor.status();
    if (known_agent(x).empty() && status && status->agent)
        x.seen_agent = agent_text(*options.redactor, *status->agent, max_agent_code);
    const bool probe = std::exchange(x.probe, false);
    const auto& agent = known_agent(x);
    if (a.end->facts.completed && !probe && agents.find(agent) == nullptr) return;
    const auto change = agents.end(agent, verdict_of(a, *options.redactor), probe, is_seen_only(x),
                                   options.breaker);
    if (change == AgentChange::none) return;
    wake_held();
    if (change == AgentChange::counted) return;
    const auto type = change == AgentChange::paused   ? EventType::agent_paused
                      : change == AgentChange::opened ? EventType::breaker_opened
                                                      : EventType::breaker_closed;
    auto e = event(x, a, type);
    e.details["agent"] = agent;
    if (const auto* const health = agents.find(agent)) {
        e.details["code"] = health->code;
        e.details["failures"] = health->failures;
        e.details["until"] = text::iso_utc(health->until);
        const auto reason = protocol::reason_of(agent, *health, options.clock->system_now());
        e.details["reason"] = reason;
        if (!reason.empty()) warn_once(x, fmt::format("From now on, {}.", reason));
    }
    emit(e);
}

// A command that should have tested an agent ends without an attempt. Without memory, the lease
// ends by itself.
void ExecutorCore::give_up_probe(Execution& x) noexcept
try {
    if (!std::exchange(x.probe, false)) return;
    (void)agents.end(known_agent(x), {}, true, is_seen_only(x), options.breaker);
    wake_held();
} catch (const std::bad_alloc&) {
}

void ExecutorCore::wake_held()
{
    for (const auto& [place, waiting] : held_commands) waiting->wake();
    if (requests_alarm) requests_alarm->wake();  // it renews leases, and sees changes of others
}

}  // namespace autoexec::inline v1
