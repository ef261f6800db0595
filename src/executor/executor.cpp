#include "autoexec/executor.hpp"

#include "async/cancellation.hpp"
#include "executor/executor_impl.hpp"
#include "executor/free_resources.hpp"
#include "handoff/file_handoff.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace autoexec::inline v1 {
namespace {

void require(bool holds, std::string_view what)
{
    if (!holds) throw system_error(errc::invalid_options, std::string(what));
}

void check(const ExecutionOptions& o)
{
    using std::chrono::milliseconds;
    constexpr milliseconds zero{0};
    require(o.polling_interval > zero, "polling_interval must be positive");
    require(o.timeout > zero, "timeout must be positive");
    require(o.max_polling_interval > zero, "max_polling_interval must be positive");
    require(o.total_timeout >= zero, "total_timeout must not be negative");
    require(o.start_timeout >= zero, "start_timeout must not be negative");
    require(o.stall_timeout >= zero, "stall_timeout must not be negative");
    require(o.stop_grace >= zero, "stop_grace must not be negative");
    require(o.max_cost_per_command >= 0, "max_cost_per_command must not be negative");
    require(o.max_tokens_per_command >= 0, "max_tokens_per_command must not be negative");
    require(o.retry.max_attempts >= 1, "retry.max_attempts must be at least 1");
    require(o.retry.backoff_multiplier >= 1, "retry.backoff_multiplier must be at least 1");
    require(o.retry.initial_delay >= zero, "retry.initial_delay must not be negative");
    require(o.retry.max_delay >= zero, "retry.max_delay must not be negative");
    require(o.breaker.max_failures >= 0, "breaker.max_failures must not be negative");
    require(o.breaker.cool_down > zero, "breaker.cool_down must be positive");
    require(o.breaker.max_pause >= zero, "breaker.max_pause must not be negative");
}

void check(const ExecutorOptions& o)
{
    check(static_cast<const ExecutionOptions&>(o));
    require(o.max_status_bytes > 0, "max_status_bytes must be positive");
    require(o.max_audit_bytes > 0, "max_audit_bytes must be positive");
    require(o.max_audit_backups >= 0, "max_audit_backups must not be negative");
    require(handoff::is_valid_status_name(o.status_file_name),
            "status_file_name must be a plain name that no other control file has");
}

// A bound, so that adding it to a clock's time does not overflow.
void bound(ExecutionOptions& o)
{
    for (auto* const time : {&o.polling_interval, &o.max_polling_interval, &o.timeout,
                             &o.total_timeout, &o.start_timeout, &o.stall_timeout, &o.stop_grace,
                             &o.retry.initial_delay, &o.retry.max_delay})
        *time = std::min<std::chrono::milliseconds>(*time, max_time);
    for (auto* const time : {&o.breaker.cool_down, &o.breaker.max_pause})
        *time = std::min<std::chrono::milliseconds>(*time, protocol::max_agent_pause);
}

std::function<double()> random_source()
{
    return [engine = std::make_shared<std::mt19937_64>(std::random_device{}())] {
        return std::uniform_real_distribution<double>(0, 1)(*engine);
    };
}

unsigned mode_of(FileAccess access)
{
    switch (access) {
        case FileAccess::owner:
            return 0600;
        case FileAccess::group:
            return 0640;
        case FileAccess::everyone:
            break;
    }
    return 0644;
}

std::shared_ptr<Handoff> files_for(const ExecutorOptions& o)
{
    handoff::FileHandoffOptions files;
    files.status_file_name = o.status_file_name;
    files.max_status_bytes = o.max_status_bytes;
    files.allowed_owners.assign(o.allowed_owners.begin(), o.allowed_owners.end());
    files.file_mode = mode_of(o.file_access);
    files.project_root = o.project_root;
    files.offers = o.offers;
    return handoff::file_handoff(std::move(files));
}

void fill_in(ExecutorOptions& o, const asio::any_io_executor& ex)
{
    bound(o);
    if (o.project_root.empty()) o.project_root = std::filesystem::current_path();
    o.project_root = std::filesystem::absolute(o.project_root).lexically_normal();
    if (!o.clock) o.clock = system_clock();
    if (!o.notifier) o.notifier = null_notifier();
    if (!o.redactor) o.redactor = std::make_shared<const Redactor>();
    if (!o.handoff) o.handoff = files_for(o);
    if (!o.random) o.random = random_source();
    if (!o.free_resources)
        o.free_resources = [root = o.project_root] { return executor::free_resources(root); };
    if (o.enable_audit && !o.audit) {
        AuditOptions audit;
        audit.project_root = o.project_root;
        audit.max_bytes = o.max_audit_bytes;
        audit.max_backups = o.max_audit_backups;
        audit.durability = o.durability;
        audit.clock = o.clock;
        o.audit = std::make_shared<AuditLogger>(ex, std::move(audit));
    }
    if (o.enable_metrics && !o.metrics) {
        MetricsOptions metrics;
        metrics.project_root = o.project_root;
        metrics.durability = o.durability;
        metrics.clock = o.clock;
        o.metrics = std::make_shared<ExecutionMetricsCollector>(ex, std::move(metrics));
    }
}

using Handler = Completion::Handler;

Completion completion_by(Handler handler, const asio::any_io_executor& ex)
{
    std::unique_ptr<Completion::Work> work;
    const auto on = asio::get_associated_executor(handler, ex);
    if (on != asio::any_completion_executor(ex)) work = std::make_unique<Completion::Work>(on);
    // Boost 1.81: the handler has no move assignment that ends.
    return {std::move(handler), std::move(work)};
}

// Phase: asio::awaitable<error_code>(ExecutorCore&, Execution&)
template <class Phase>
void start_execution(std::shared_ptr<ExecutorCore> core, CommandRequest request, Handler handler,
                     Phase phase)
{
    if (request.execution_id.empty()) request.execution_id = text::new_uuid();
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto completion = completion_by(std::move(handler), core->ex);
    // Not in one allocation: the slot may hold its weak reference for long.
    const std::shared_ptr<Execution> x(
        new Execution(core, std::move(request), std::move(completion)));
    // Called on any thread.
    if (slot.is_connected())
        slot.assign([weak = std::weak_ptr(x)](asio::cancellation_type type) {
            if (auto one = weak.lock()) ExecutorCore::cancel_later(std::move(one), type);
        });
    asio::dispatch(core->strand, [x, phase = std::move(phase)] {
        auto& c = *x->core;
        c.begin(x, [&](Execution& one) { return phase(c, one); });
    });
}

void start_adoption(std::shared_ptr<ExecutorCore> core, AttemptReference attempt,
                    CommandRequest request, Handler handler)
{
    request.execution_id = attempt.execution_id;
    start_execution(
        std::move(core), std::move(request), std::move(handler),
        [a = std::move(attempt)](ExecutorCore& c, Execution& x) { return c.adopt(x, a); });
}

void start_command(std::shared_ptr<ExecutorCore> core, CommandRequest request, Handler handler)
{
    start_execution(std::move(core), std::move(request), std::move(handler),
                    [](ExecutorCore& c, Execution& x) { return c.execute(x); });
}

void start_watching(std::shared_ptr<ExecutorCore> core, std::filesystem::path worktree,
                    std::vector<std::string> expected_artifacts,
                    std::optional<std::chrono::milliseconds> timeout, Handler handler)
{
    CommandRequest request("(watched)", std::move(worktree));
    request.expected_artifacts = std::move(expected_artifacts);
    request.timeout = timeout;
    start_execution(std::move(core), std::move(request), std::move(handler),
                    [](ExecutorCore& c, Execution& x) { return c.watch(x); });
}

// `start` refers to nothing of its caller, which may be destroyed.
template <class Start>
asio::awaitable<ExecutionResult> result_of(Start start)
{
    constexpr auto token = asio::as_tuple(asio::use_awaitable);
    const auto initiate = [](auto handler, Start begin) { begin(Handler(std::move(handler))); };
    auto operation = asio::async_initiate<decltype(token), void(error_code, ExecutionResult)>(
        initiate, token, std::move(start));
    auto [ec, result] = co_await std::move(operation);
    if (ec) throw system_error(ec, result.error ? result.error->message : std::string());
    co_return std::move(result);
}

}  // namespace

ExecutorCore::ExecutorCore(asio::any_io_executor e, ExecutorOptions opts)
    : options(std::move(opts)),
      shared_options(std::make_shared<const ExecutionOptions>(options)),
      ex(std::move(e)),
      strand(ex),
      on_strand(strand),
      running_records(options.project_root),
      slots(options.max_parallel, share_slots({}, options.max_parallel)),
      turns(strand, max_per_turn),
      agents(options.project_root, options.clock),
      pauses(options.project_root)
{
    if (options.audit) sinks.push_back(options.audit);
    if (options.metrics) sinks.push_back(options.metrics);
    for (const auto& [agent, limit] : options.agent_limits)
        agent_slots.try_emplace(agent, limit, share_slots(agent, limit));
}

unsigned ExecutorCore::descriptors_of_command() const
{
    // Its worktree and, outside git, its claim; an agent in this process has those of its program.
    return options.agent_in_process ? 12 : 2;
}

BackgroundAgentAutoExecutor::BackgroundAgentAutoExecutor(asio::any_io_executor ex,
                                                         ExecutorOptions options)
{
    check(options);
    const bool has_files = !options.handoff;
    fill_in(options, ex);
    impl_ = std::make_shared<Impl>(std::move(ex), std::move(options));
    impl_->has_files = has_files;
    impl_->limit_slots();
}

BackgroundAgentAutoExecutor::~BackgroundAgentAutoExecutor() = default;

void BackgroundAgentAutoExecutor::start(std::shared_ptr<Impl> impl, CommandRequest request,
                                        Handler<ExecutionResult> handler)
{
    start_command(std::move(impl), std::move(request), std::move(handler));
}

void BackgroundAgentAutoExecutor::start_adopt(std::shared_ptr<Impl> impl, AttemptReference attempt,
                                              CommandRequest request,
                                              Handler<ExecutionResult> handler)
{
    start_adoption(std::move(impl), std::move(attempt), std::move(request), std::move(handler));
}

void BackgroundAgentAutoExecutor::start_poll(std::shared_ptr<Impl> impl,
                                             std::filesystem::path worktree,
                                             std::vector<std::string> expected_artifacts,
                                             std::optional<std::chrono::milliseconds> timeout,
                                             Handler<ExecutionResult> handler)
{
    start_watching(std::move(impl), std::move(worktree), std::move(expected_artifacts), timeout,
                   std::move(handler));
}

void BackgroundAgentAutoExecutor::start_recover(std::shared_ptr<Impl> impl,
                                                Handler<Interrupted> handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::caught(i.recover(std::move(impl))), std::move(handler));
}

void BackgroundAgentAutoExecutor::start_stop(std::shared_ptr<Impl> impl, Handler<> handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::no_error(i.stop(std::move(impl))), std::move(handler));
}

asio::awaitable<ExecutionResult> BackgroundAgentAutoExecutor::execute_command(
    CommandRequest request)
{
    return result_of([impl = impl_, r = std::move(request)](auto handler) mutable {
        start_command(impl, std::move(r), std::move(handler));
    });
}

asio::awaitable<ExecutionResult> BackgroundAgentAutoExecutor::adopt(AttemptReference attempt,
                                                                    CommandRequest request)
{
    return result_of(
        [impl = impl_, a = std::move(attempt), r = std::move(request)](auto handler) mutable {
            start_adoption(impl, std::move(a), std::move(r), std::move(handler));
        });
}

asio::awaitable<ExecutionResult> BackgroundAgentAutoExecutor::poll_for_completion(
    std::filesystem::path worktree, std::vector<std::string> expected_artifacts,
    std::optional<std::chrono::milliseconds> timeout)
{
    return result_of([impl = impl_, w = std::move(worktree), e = std::move(expected_artifacts),
                      timeout](auto handler) mutable {
        start_watching(impl, std::move(w), std::move(e), timeout, std::move(handler));
    });
}

StatusCheck BackgroundAgentAutoExecutor::check_status(const std::filesystem::path& worktree) const
{
    StatusCheck check;
    error_code ec;
    const auto mailbox = impl_->open_mailbox(worktree, ec, check.problem);
    if (!mailbox) return check;
    return handoff::read_status(*mailbox);
}

void BackgroundAgentAutoExecutor::set_options(ExecutionOptions options)
{
    check(options);
    bound(options);
    asio::dispatch(impl_->strand, [impl = impl_, o = options] {
        static_cast<ExecutionOptions&>(impl->options) = o;
        impl->shared_options = std::make_shared<const ExecutionOptions>(o);
        impl->limit_slots();
    });
}

void BackgroundAgentAutoExecutor::cancel(const std::string& execution_id)
{
    asio::post(impl_->strand, [impl = impl_, execution_id] {
        for (auto& x : impl->active) {
            if (x.request.execution_id != execution_id) continue;
            impl->cancel(x, asio::cancellation_type::partial);
        }
    });
}

void BackgroundAgentAutoExecutor::answer(std::string attempt_id, Answer answer)
{
    asio::post(impl_->strand, [impl = impl_, file = protocol::AnswerFile{
                                                 std::move(attempt_id), std::move(answer), {}}] {
        for (auto& x : impl->active) impl->accept_answer(x, file);
    });
}

void BackgroundAgentAutoExecutor::say(std::string attempt_id, std::string prompt)
{
    protocol::AnswerFile file;
    file.attempt_id = std::move(attempt_id);
    file.prompts.push_back(std::move(prompt));
    asio::post(impl_->strand, [impl = impl_, file = std::move(file)] {
        for (auto& x : impl->active) impl->accept_answer(x, file);
    });
}

void BackgroundAgentAutoExecutor::subscribe(std::shared_ptr<EventSink> sink)
{
    asio::dispatch(impl_->strand, [impl = impl_, s = std::move(sink)]() mutable {
        impl->sinks.push_back(std::move(s));
    });
}

asio::awaitable<std::vector<InterruptedAttempt>> BackgroundAgentAutoExecutor::recover()
{
    return async::uncancellable(impl_->strand, impl_->recover(impl_));
}

asio::awaitable<void> BackgroundAgentAutoExecutor::stop()
{
    return async::uncancellable(impl_->strand, impl_->stop(impl_));
}

asio::any_io_executor BackgroundAgentAutoExecutor::get_executor() const noexcept
{
    return impl_->ex;
}

}  // namespace autoexec::inline v1
