#include "cli/session/configuration.hpp"

#include "cli/session/agents.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/line_writer.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::chrono::seconds reload_interval{1};

bool has_terminal()
{
    const int fd = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) ::close(fd);
    return fd >= 0;
}

bool ignores_hang_ups()
{
    struct sigaction now {};
    return ::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

asio::awaitable<void> reload_periodically(config::Reloader& reloader)
{
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
        error_code ec;
        timer.expires_after(reload_interval);
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;
        reloader.look();
    }
}

asio::awaitable<void> reload_on_hang_up(config::Reloader& reloader,
                                        std::unique_ptr<asio::signal_set> signals)
{
    const bool had_terminal = has_terminal();
    for (;;) {
        error_code ec;
        co_await signals->async_wait(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;
        if (had_terminal && !has_terminal())
            std::raise(SIGTERM);
        else
            reloader.look(true);
    }
}

class BudgetSink final : public EventSink {
public:
    explicit BudgetSink(records::Budget& budget) : budget_(budget) {}

    void publish(const Event& event) override
    {
        // Those that were interrupted are of another run.
        if (!event.metric || event.type == EventType::execution_interrupted) return;
        const auto& attempt = *event.metric;
        if (is_plain_program(attempt)) return;
        const auto warning = budget_.add(attempt.attempt_id, attempt.usage, event.time);
        if (!warning.empty()) print_warning(warning);
    }

private:
    // A step such as `argv: [make, test]` uses nothing that a budget limits.
    static bool is_plain_program(const ExecutionMetric& attempt)
    {
        return attempt.step_id && Agents::is_built_in(attempt.agent);
    }

    records::Budget& budget_;
};

}  // namespace

void print_problems(std::vector<Diagnostic> diagnostics)
{
    for (auto& d : diagnostics)
        if (d.path.starts_with('/')) d.path = shown_path(d.path);
    print_message(to_string(diagnostics));
}

AutoExecutionConfig load_configuration(AutoExecutionConfigManager& manager, bool quiet)
{
    try {
        auto config = manager.load();
        if (!quiet) print_problems(manager.diagnostics());
        return config;
    } catch (const InvalidConfiguration& e) {
        print_problems(e.diagnostics());
        throw Failure(exit_invalid);
    }
}

BudgetConfig budget_limits(const SessionFlags& flags, const AutoExecutionConfig& config)
{
    auto limits = config.budget;
    limits.max_cost_per_run = flags.max_cost.value_or(limits.max_cost_per_run);
    if (flags.max_tokens) limits.max_tokens_per_run = static_cast<std::int64_t>(*flags.max_tokens);
    return limits;
}

std::shared_ptr<EventSink> budget_sink(records::Budget& budget)
{
    return std::make_shared<BudgetSink>(budget);
}

ModelPrices configured_prices(const std::filesystem::path& root)
{
    return AutoExecutionConfigManager({}, root).load(false).executor.prices;
}

void watch_configuration(const asio::any_io_executor& ex, config::Reloader& reloader)
{
    asio::co_spawn(ex, reload_periodically(reloader), asio::detached);
    if (ignores_hang_ups()) return;
    // Now, not when the coroutine begins: until then a hang-up would end the program.
    auto signals = std::make_unique<asio::signal_set>(ex, SIGHUP);
    asio::co_spawn(ex, reload_on_hang_up(reloader, std::move(signals)), asio::detached);
}

std::string changes_sentence(const std::vector<std::string>& changed)
{
    std::vector<std::string> now;
    std::vector<std::string> later;
    for (const auto& key : changed) (takes_effect_at_once(key) ? now : later).push_back(key);
    auto sentence =
        fmt::format("Configuration reloaded: {}",
                    now.empty() ? "no setting changes now" : fmt::to_string(fmt::join(now, ", ")));
    if (!later.empty())
        sentence += fmt::format("; effective at the next start: {}", fmt::join(later, ", "));
    return sentence + ".";
}

RecordWriters::RecordWriters(const asio::any_io_executor& ex, const AutoExecutionConfig& config,
                             const std::filesystem::path& root)
{
    if (config.executor.enable_audit)
        audit = std::make_shared<AuditLogger>(ex, audit_options(config, root));
    if (config.executor.enable_metrics)
        metrics = std::make_shared<ExecutionMetricsCollector>(ex, metrics_options(config, root));
}

std::vector<std::shared_ptr<EventSink>> RecordWriters::sinks() const
{
    std::vector<std::shared_ptr<EventSink>> all;
    if (audit) all.push_back(audit);
    if (metrics) all.push_back(metrics);
    return all;
}

asio::awaitable<void> RecordWriters::stop() const
{
    if (audit) (void)co_await audit->stop();
    if (metrics) (void)co_await metrics->stop();
}

std::vector<std::string> RecordWriters::losses() const
{
    std::vector<std::string> sentences;
    for (const auto& sink : sinks())
        if (const auto records = sink->unwritten(); records.lost > 0)
            sentences.push_back(records::lost_sentence(records));
    return sentences;
}

boost::json::array to_json_array(const std::vector<Diagnostic>& diagnostics)
{
    boost::json::array all;
    for (const auto& d : diagnostics)
        all.push_back(
            {{"severity", d.severity == Diagnostic::Severity::error ? "error" : "warning"},
             {"path", d.path},
             {"line", d.line},
             {"column", d.column},
             {"message", d.message},
             {"hint", d.hint}});
    return all;
}

}  // namespace autoexec::cli
