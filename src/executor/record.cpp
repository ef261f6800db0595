#include "executor/agent_artifacts.hpp"
#include "executor/executor_impl.hpp"
#include "handoff/claims.hpp"
#include "protocol/control_files.hpp"
#include "protocol/expected_artifacts.hpp"
#include "protocol/usage.hpp"
#include "records/line_writer.hpp"
#include "redaction/agent_text.hpp"
#include "text/text.hpp"

#include <boost/json/value_from.hpp>

#include <fmt/format.h>

#include <utility>

/// The records and the result of an attempt.
namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t max_rejections = 10;
// A program that changes the word again and again must not rotate the rest of the audit log away.
constexpr std::size_t max_status_updates = 100;

double as_ms(std::chrono::nanoseconds d)
{
    return std::chrono::duration<double, std::milli>(d).count();
}

EventType end_type(ExecutionStatus status)
{
    switch (status) {
        case ExecutionStatus::completed:
            return EventType::execution_completed;
        case ExecutionStatus::cancelled:
            return EventType::execution_cancelled;
        case ExecutionStatus::failed:
        case ExecutionStatus::timeout:
            break;
    }
    return EventType::execution_failed;
}

// A program that continues a session may report what the attempts before it used, too.
std::optional<Usage> own_usage(const AgentStatus& status, std::optional<Usage>& session_usage)
{
    auto own = status.usage;
    if (!own || (!own->of_session && !own->cost_of_session)) return own;
    const bool whole = std::exchange(own->of_session, false);
    own->cost_of_session = false;
    auto before = std::exchange(session_usage, own);
    if (before && !whole) {
        Usage cost;
        cost.cost_usd = before->cost_usd;
        before = cost;
    }
    if (before) protocol::subtract_usage(*own, *before);
    return own;
}

// A part of an id is none.
std::string session_of(const Redactor& redactor, const AgentStatus& status)
{
    const auto& id = status.session;
    return id && protocol::is_session_id(*id) && redactor.redact(*id) == *id ? *id : "";
}

// A throwing sink of the application must not prevent an execution's end.
asio::awaitable<error_code> flush(std::shared_ptr<EventSink> sink)
{
    try {
        co_return co_await sink->flush();
    } catch (const system_error& e) {
        co_return e.code();
    } catch (const std::exception&) {
        co_return errc::records_delayed;
    }
}

std::optional<EventStatus> status_after(EventType type)
{
    switch (type) {
        case EventType::execution_started:
            return EventStatus::started;
        case EventType::execution_completed:
            return EventStatus::completed;
        case EventType::execution_failed:
            return EventStatus::failed;
        case EventType::execution_cancelled:
            return EventStatus::cancelled;
        case EventType::execution_interrupted:
            return EventStatus::interrupted;
        default:
            return std::nullopt;
    }
}

// A question that nobody answered is often why there is no result.
std::string last_line(const Execution& x, const Attempt& a)
{
    const auto& status = a.monitor.status();
    const auto& progress = x.result->last_progress;
    if (!status || !status->progress || !progress || progress->message.empty()) return {};
    return fmt::format("; its last line is: {}", progress->message);
}

}  // namespace

Event ExecutorCore::event(const Execution& x, const Attempt& a, EventType type) const
{
    return event(a.ids(), x.redacted_command(), x.worktree, type);
}

Event ExecutorCore::event_before_start(const Execution& x, EventType type) const
{
    return event({x.request.ids(), {}, x.attempts + 1}, x.redacted_command(), x.worktree, type);
}

Event ExecutorCore::event(Correlation attempt, std::string command, std::filesystem::path worktree,
                          EventType type) const
{
    Event e;
    e.ids() = std::move(attempt);
    e.type = type;
    e.time = options.clock->system_now();
    e.command = std::move(command);
    e.worktree = std::move(worktree);
    e.status = status_after(type);
    return e;
}

void ExecutorCore::emit(const Event& e)
{
    for (std::size_t i = 0; i < sinks.size(); ++i)
        sinks[i]->publish(e);  // a sink may subscribe others
}

asio::awaitable<void> ExecutorCore::emit_and_drain(Event e)
{
    emit(e);
    co_await drain();
}

asio::awaitable<void> ExecutorCore::drain()
{
    for (std::size_t i = 0; i < sinks.size(); ++i) {  // `subscribe` may be called meanwhile
        const auto sink = sinks[i];
        if (sink->full()) (void)co_await flush(sink);
    }
}

Event ExecutorCore::detected_event(const Execution& x, const Attempt& a) const
{
    const auto& r = x.request;
    auto detected = event(x, a, EventType::command_detected);
    detected.details["command_file"] = x.worktree + '/' + control_files::command;
    if (!r.expected_artifacts.empty())
        detected.details["expected_artifacts"] = boost::json::value_from(r.expected_artifacts);
    return detected;
}

/// Returns false if the audit log does not have the start; then the command must not be published.
/// The events stay queued, so an end follows them.
asio::awaitable<bool> ExecutorCore::record_start_first(Execution& x, Attempt& a)
{
    const auto lost = options.audit->lost_lines();
    emit(detected_event(x, a));
    emit(event(x, a, EventType::execution_started));
    const bool is_lost = options.audit->lost_lines() != lost;
    const auto ec = co_await flush(options.audit);
    if (!ec && !is_lost) co_return true;
    const auto records = options.audit->unwritten();
    auto reason = ec.message();
    if (records.queued > 0)
        reason = records::queued_sentence(records);
    else if (records.lost > 0)
        reason = records::lost_sentence(records);
    refuse(x, error_codes::unrecorded, "because its start could not be recorded: " + reason + ".");
    emit_not_started(x, a);
    (void)x.mailbox->clean(a.attempt_id, false);
    forget_running(a);
    co_return false;
}

void ExecutorCore::emit_not_started(const Execution& x, const Attempt& a)
{
    auto e = event(x, a, EventType::execution_failed);
    const auto& error = *x.result.get().error;
    e.details["error"] = error.message;
    if (!error.code.empty()) e.details["code"] = error.code;
    emit(e);
}

asio::awaitable<error_code> ExecutorCore::flush_all()
{
    error_code first;
    for (std::size_t i = 0; i < sinks.size(); ++i) {
        const auto sink = sinks[i];
        const auto ec = co_await flush(sink);
        if (!first) first = ec;
    }
    co_return first;
}

void ExecutorCore::record_progress(Execution& x, Attempt& a)
{
    const auto& status = *a.monitor.status();
    if (!x.options->status_tracking) return;
    if (status.progress) {
        auto progress = *status.progress;
        progress.message = agent_text(*options.redactor, progress.message, max_agent_message);
        progress.current_step =
            agent_text(*options.redactor, progress.current_step, max_agent_message);
        x.result->last_progress = std::move(progress);
    }
    // A final status is reported by the end's own event, or does not count yet.
    if (status.is_final()) return;
    const auto old = std::exchange(x.last_status, status.status);
    const bool same_word = old == x.last_status || ++a.status_updates > max_status_updates;
    auto e = event(x, a, same_word ? EventType::progress_updated : EventType::status_updated);
    e.status =
        status.status == ReportedStatus::pending ? EventStatus::pending : EventStatus::running;
    e.details["old_status"] = old ? boost::json::value(to_string(*old)) : nullptr;
    e.details["new_status"] = to_string(status.status);
    e.progress = x.result->last_progress;
    if (e.progress) {
        e.details["percentage"] = e.progress->percentage;
        e.details["message"] = e.progress->message;
    }
    emit(e);
}

// Once for an execution: file events may end and return again and again.
void ExecutorCore::report_polling(Execution& x, const Attempt& a)
{
    if (x.polling_reported || x.read_only || options.file_events == FileEvents::off) return;
    auto reason = options.redactor->redact(options.notifier->problem(x.worktree));
    if (reason.empty()) return;
    x.polling_reported = true;
    auto e = event(x, a, EventType::polling_only);
    e.details["reason"] = reason;
    emit(e);
    x.result->warnings.push_back(fmt::format(
        "No file events come from the worktree ({}): it was polled, so the end was seen later.",
        reason));
}

void ExecutorCore::record_rejections(Execution& x, Attempt& a,
                                     const std::vector<Rejection>& rejections)
{
    for (const auto& rejection : rejections) {
        if (++a.rejections > max_rejections) continue;
        auto e = event(x, a, EventType::status_rejected);
        e.details["code"] = rejection.code;
        e.details["reason"] = options.redactor->redact(rejection.reason);
        emit(e);
    }
}

/// Returns true if another attempt follows.
asio::awaitable<bool> ExecutorCore::finish(Execution& x)
{
    auto& a = *x.attempt;
    x.result->attempt_id = a.attempt_id;
    report_late_prompts(x, a);
    fill_result(x, a);
    x.has_started |= a.end->facts.cause != Cause::not_started;
    if (!std::exchange(x.recorded, false)) {
        record_end(x, a);
        note_agent(x, a);
    }
    if (options.durability == Durability::none)
        co_await drain();
    else if (const auto ec = co_await flush_all())
        warn_of_unwritten(x, ec);
    const auto delay = delay_before_retry(x, a);
    bool known = true;
    if (!delay) {
        warn_of_weak_limits(x);
        known = co_await notify_end(x);
    }
    if (known) {
        const auto ec = x.mailbox->clean(a.attempt_id, !a.end->facts.stop_confirmed);
        if (ec)
            x.result->warnings.push_back(
                fmt::format("Files of the command could not be removed from the worktree '{}': {}.",
                            x.worktree, ec.message()));
        if (delay)
            announce_retry(x, a);
        else
            forget_running(a);
    }
    const auto ended = std::move(x.attempt);
    options.notifier->notify_report(x.worktree);
    if (!delay) co_return false;
    const bool again = co_await pause(x, a, *delay);
    if (!again && x.result.get().status == ExecutionStatus::cancelled)
        co_await record_cancelled_retry(x, a);
    if (!again) co_await notify_end(x);
    co_return again;
}

/// The execution was cancelled before its next attempt, and the records of the last one do not say
/// so. Written before the end is seen by others.
asio::awaitable<void> ExecutorCore::record_cancelled_retry(Execution& x, const Attempt& last)
{
    Correlation next = last.ids();
    next.attempt_id.clear();
    ++next.attempt;
    auto e =
        event(std::move(next), x.redacted_command(), x.worktree, EventType::execution_cancelled);
    const auto& error = *x.result.get().error;
    e.details["error"] = error.message;
    e.details["code"] = error.code;
    emit(e);
    if (const auto ec = co_await flush_all()) warn_of_unwritten(x, ec);
}

void ExecutorCore::warn_of_unwritten(Execution& x, error_code ec) const
{
    const auto before = x.result->warnings.size();
    for (const auto& sink : sinks) {
        const auto records = sink->unwritten();
        if (records.lost > 0) x.result->warnings.push_back(records::lost_sentence(records));
        if (records.queued > 0) x.result->warnings.push_back(records::queued_sentence(records));
    }
    if (x.result->warnings.size() == before)
        x.result->warnings.push_back("an event sink could not write its records: " + ec.message());
}

void ExecutorCore::warn_of_weak_limits(Execution& x)
{
    const auto limits = x.limits();
    const auto spending = x.spending();
    if (limits.max_cost != 0 && !spending.has_cost)
        x.result->warnings.emplace_back(
            "The program reports no cost, which counts as zero: the limit of the cost does not "
            "apply to it unless 'prices' in the configuration has its model.");
    if (limits.max_tokens != 0 && !spending.has_tokens)
        x.result->warnings.emplace_back(
            "The program reports no tokens, which count as zero: their limit does not apply to "
            "it.");
    const bool is_exceeded = (limits.max_cost != 0 && spending.cost_usd > limits.max_cost) ||
                             (limits.max_tokens != 0 && spending.tokens() > limits.max_tokens);
    const bool was_stopped = x.result->error && x.result->error->code == error_codes::budget;
    if (is_exceeded && !was_stopped)
        x.result->warnings.push_back(
            protocol::limit_reached(limits, spending, "this command") +
            " Its program was not limited while it ran: give its agent a 'budget', or rules that "
            "read its usage meanwhile.");
}

/// Returns false if `on_end` threw; the attempt's files are then kept for `adopt`.
asio::awaitable<bool> ExecutorCore::notify_end(Execution& x)
{
    const auto& on_end = x.hooks().on_end;
    if (!on_end) co_return true;
    x.result->duration =
        std::chrono::duration_cast<milliseconds>(options.clock->now() - *x.first_published);
    try {
        auto notified = on_end(x.result.get());
        co_await std::move(notified);
        co_return true;
    } catch (const std::exception& e) {
        x.result->warnings.push_back(fmt::format("The end could not be reported: {}", e.what()));
    }
    co_return false;
}

std::string ExecutorCore::denied_sentence(const Attempt& a) const
{
    const auto& status = a.monitor.status();
    return status && status->permission_denied
               ? agent_text(*options.redactor, *status->permission_denied, max_agent_message)
               : "";
}

void ExecutorCore::fill_result(Execution& x, Attempt& a)
{
    describe_result(x);
    auto& r = x.result.edit();
    r.verified = a.monitor.verify(r.missing_artifacts);
    if (a.end->status == ExecutionStatus::completed && x.request.require_artifacts &&
        !r.missing_artifacts.empty()) {
        a.end->status = ExecutionStatus::failed;
        a.end->error = CommandError{
            fmt::format("the agent reported success, but {} {} missing or unchanged{}",
                        fmt::join(r.missing_artifacts, ", "),
                        r.missing_artifacts.size() == 1 ? "is" : "are", last_line(x, a)),
            "artifact_missing", std::nullopt, 0};
        // What the program was not allowed to do explains it better.
        if (const auto denied = denied_sentence(a); !denied.empty())
            a.end->error = CommandError{denied, "permission_needed", false, 0};
    } else if (a.end->status == ExecutionStatus::completed) {
        if (auto denied = denied_sentence(a); !denied.empty())
            r.warnings.push_back(std::move(denied));
    }
    if (const auto& status = a.monitor.status();
        status && status->cause && a.end->status == ExecutionStatus::timeout && a.end->error)
        a.end->error->message +=
            fmt::format("{} Last known cause: {}", a.end->error->message.ends_with('.') ? "" : ".",
                        agent_text(*options.redactor, status->cause->message, max_agent_message));
    a.end->facts.completed = a.end->status == ExecutionStatus::completed;
    r.status = a.end->status;
    r.error = a.end->error;
    if (a.end->facts.cause != Cause::reported && a.end->facts.cause != Cause::artifacts)
        r.completion_method = CompletionMethod::none;

    // What an earlier attempt reported is not the result of this one.
    r.artifacts.clear();
    r.reported.reset();
    r.exit_code.reset();
    r.signal.reset();
    r.output.clear();
    if (a.end->facts.cause == Cause::artifacts) r.artifacts = x.request.expected_artifacts;
    if (!a.monitor.status()) return;
    const auto& status = *a.monitor.status();
    r.reported = status.status;
    r.exit_code = status.exit_code;
    r.signal = status.signal;
    r.output = options.redactor->redact(status.output.value_or(""));
    auto session = session_of(*options.redactor, status);
    if (session.empty() || session != r.session) r.session_usage.reset();
    r.session = std::move(session);
    auto usage = own_usage(status, r.session_usage);
    protocol::add_usage(r.usage, usage);
    if (usage) a.usage.edit() = std::move(usage);
    if (r.usage) r.usage->model = agent_text(*options.redactor, r.usage->model, max_agent_code);
    for (const auto& warning : status.warnings)
        r.warnings.push_back(options.redactor->redact(warning));
    if (status.tree_unchanged && a.end->facts.completed && x.request.expected_artifacts.empty())
        r.warnings.emplace_back("The program changed nothing in the worktree.");
    set_artifacts(*options.redactor, status.artifacts, r);
}

void ExecutorCore::record_end(Execution& x, const Attempt& a)
{
    const auto duration = as_ms(options.clock->now() - a.published);
    if (a.rejections > max_rejections) {
        auto e = event(x, a, EventType::status_rejected);
        e.details["code"] = "more";
        e.details["count"] = a.rejections - max_rejections;
        emit(e);
    }
    auto e = event(x, a, end_type(a.end->status));
    if (a.end->error) {
        e.details["error"] = a.end->error->message;
        if (!a.end->error->code.empty()) e.details["code"] = a.end->error->code;
    }
    e.details["duration_ms"] = duration;
    if (a.end->status == ExecutionStatus::timeout) e.details["outcome"] = "timeout";
    const auto& r = x.result.get();
    e.details["completion_method"] = std::string(to_string(r.completion_method));
    if (!x.request.expected_artifacts.empty()) {
        e.details["verified"] = std::string(to_string(r.verified));
        if (!r.missing_artifacts.empty())
            e.details["missing_artifacts"] = boost::json::value_from(r.missing_artifacts);
    }
    if (r.exit_code) e.details["exit_code"] = *r.exit_code;
    if (r.signal) e.details["signal"] = *r.signal;

    e.metric = metric_of(x, a);
    e.metric->duration = std::chrono::duration<double, std::milli>(duration);
    emit(e);
}

ExecutionMetric ExecutorCore::metric_of(const Execution& x, const Attempt& a) const
{
    const auto& r = x.result.get();
    ExecutionMetric m;
    m.ids() = a.ids();
    m.command = x.redacted_command();
    m.status = a.end->status;
    m.queued = x.queued;
    m.started_at = a.started_at;
    m.retry_count = a.attempt - 1;
    m.completed_at = options.clock->system_now();
    if (a.end->error) {
        m.error_message = a.end->error->message;
        m.error_code = a.end->error->code;
    }
    m.attempt_id = a.attempt_id;
    m.worktree = x.worktree;
    static const auto host = handoff::host_name();  // a system call less for each attempt
    m.host = host;
    m.session = r.session;
    m.agent = x.agent();
    if (const auto& status = a.monitor.status()) {
        const auto short_text = [this](const std::optional<std::string>& text) {
            return agent_text(*options.redactor, text.value_or(""), max_agent_code);
        };
        if (status->agent) m.agent = short_text(status->agent);
        m.agent_id = short_text(status->agent_id);
        m.usage = a.usage.get();
        if (m.usage) m.usage->model = agent_text(*options.redactor, m.usage->model, max_agent_code);
    }
    m.exit_code = r.exit_code;
    m.signal = r.signal;
    m.reported = r.reported;
    if (!x.request.expected_artifacts.empty()) {
        m.verified = r.verified;
        m.missing_artifacts = r.missing_artifacts;
    }
    return m;
}

}  // namespace autoexec::inline v1
