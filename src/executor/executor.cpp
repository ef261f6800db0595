#include "autoexec/executor.hpp"

#include "executor/executor_impl.hpp"
#include "executor/free_resources.hpp"
#include "files/safe_files.hpp"
#include "handoff/file_handoff.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
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

std::unique_ptr<Execution> make_execution(CommandRequest request)
{
    if (request.execution_id.empty()) request.execution_id = text::new_uuid();
    return std::make_unique<Execution>(std::move(request));
}

// Each operation is a coroutine that keeps the core alive.
asio::awaitable<OperationResult> execution_of(std::shared_ptr<ExecutorCore> core,
                                              CommandRequest request)
{
    auto& c = *core;
    return c.run(std::move(core), make_execution(std::move(request)),
                 [&c](Execution& x) { return c.execute(x); });
}

asio::awaitable<OperationResult> adoption_of(std::shared_ptr<ExecutorCore> core,
                                             AttemptReference attempt, CommandRequest request)
{
    auto& c = *core;
    request.execution_id = attempt.execution_id;
    return c.run(std::move(core), make_execution(std::move(request)),
                 [&c, a = std::move(attempt)](Execution& x) { return c.adopt(x, a); });
}

asio::awaitable<OperationResult> watch_of(std::shared_ptr<ExecutorCore> core,
                                          std::filesystem::path worktree,
                                          std::vector<std::string> expected_artifacts,
                                          std::optional<std::chrono::milliseconds> timeout)
{
    auto& c = *core;
    CommandRequest request("(watched)", std::move(worktree));
    request.expected_artifacts = std::move(expected_artifacts);
    request.timeout = timeout;
    return c.run(std::move(core), make_execution(std::move(request)),
                 [&c](Execution& x) { return c.watch(x); });
}

std::string sentence_of(const ExecutionResult& result)
{
    return result.error ? result.error->message : std::string();
}

}  // namespace

ExecutorCore::ExecutorCore(asio::any_io_executor e, ExecutorOptions opts)
    : options(std::move(opts)),
      shared_options(std::make_shared<const ExecutionOptions>(options)),
      ex(std::move(e)),
      strand(ex),
      on_strand(strand),
      running_records(options.project_root),
      slots(options.max_parallel),
      turns(strand, max_per_turn),
      agents(options.project_root, options.clock)
{
    if (options.audit) sinks.push_back(options.audit);
    if (options.metrics) sinks.push_back(options.metrics);
    for (const auto& [agent, limit] : options.agent_limits) agent_slots.try_emplace(agent, limit);
}

unsigned ExecutorCore::descriptors_of_command() const
{
    // Its worktree and, outside git, its claim; an agent in this process has those of its program.
    return options.agent_in_process ? 12 : 2;
}

// Commands beyond the limit of descriptors queue, instead of failing.
void ExecutorCore::limit_slots()
{
    constexpr std::uint64_t reserve = 32;
    std::size_t room = 0;
    if (const auto limit = files::max_descriptors(); has_files && limit != RLIM_INFINITY) {
        const auto left = std::max(limit, reserve) - reserve;
        room = std::max<std::size_t>(left / descriptors_of_command(), 1);
    }
    const auto wanted = options.max_parallel;
    slots.set_slots(room == 0 || wanted == 0 ? std::max(room, wanted) : std::min(room, wanted));
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
    async::launch(impl->strand, execution_of(impl, std::move(request)), std::move(handler));
}

void BackgroundAgentAutoExecutor::start_adopt(std::shared_ptr<Impl> impl, AttemptReference attempt,
                                              CommandRequest request,
                                              Handler<ExecutionResult> handler)
{
    async::launch(impl->strand, adoption_of(impl, std::move(attempt), std::move(request)),
                  std::move(handler));
}

void BackgroundAgentAutoExecutor::start_poll(std::shared_ptr<Impl> impl,
                                             std::filesystem::path worktree,
                                             std::vector<std::string> expected_artifacts,
                                             std::optional<std::chrono::milliseconds> timeout,
                                             Handler<ExecutionResult> handler)
{
    async::launch(impl->strand,
                  watch_of(impl, std::move(worktree), std::move(expected_artifacts), timeout),
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
    return async::unwrap(impl_->strand, execution_of(impl_, std::move(request)), sentence_of);
}

asio::awaitable<ExecutionResult> BackgroundAgentAutoExecutor::adopt(AttemptReference attempt,
                                                                    CommandRequest request)
{
    return async::unwrap(impl_->strand, adoption_of(impl_, std::move(attempt), std::move(request)),
                         sentence_of);
}

asio::awaitable<ExecutionResult> BackgroundAgentAutoExecutor::poll_for_completion(
    std::filesystem::path worktree, std::vector<std::string> expected_artifacts,
    std::optional<std::chrono::milliseconds> timeout)
{
    return async::unwrap(
        impl_->strand, watch_of(impl_, std::move(worktree), std::move(expected_artifacts), timeout),
        sentence_of);
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
        for (auto* const x : impl->active) {
            if (x->request.execution_id != execution_id) continue;
            impl->request_end(*x);
        }
    });
}

void BackgroundAgentAutoExecutor::answer(std::string attempt_id, Answer answer)
{
    asio::post(impl_->strand, [impl = impl_, file = protocol::AnswerFile{
                                                 std::move(attempt_id), std::move(answer), {}}] {
        for (auto* const x : impl->active) ExecutorCore::accept_answer(*x, file);
    });
}

void BackgroundAgentAutoExecutor::say(std::string attempt_id, std::string prompt)
{
    protocol::AnswerFile file;
    file.attempt_id = std::move(attempt_id);
    file.prompts.push_back(std::move(prompt));
    asio::post(impl_->strand, [impl = impl_, file = std::move(file)] {
        for (auto* const x : impl->active) ExecutorCore::accept_answer(*x, file);
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
