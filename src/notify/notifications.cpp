#include "notify/notifications.hpp"

#include "process/run_program.hpp"
#include "text/json.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <utility>

namespace autoexec::notify {
namespace {

constexpr int max_questions = 10;  // of an attempt: a program can ask without end
constexpr std::size_t max_programs = 4;
constexpr std::chrono::minutes program_limit{1};
constexpr std::chrono::seconds program_grace{2};
constexpr std::size_t max_error = 200;
constexpr char every_result_option[] = "--notify";

// Out of memory: otherwise `drain` would wait forever.
void rethrow_failure(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(std::move(failure));
}

bool ends_attempt(EventType type)
{
    return type == EventType::execution_completed || type == EventType::execution_failed ||
           type == EventType::execution_cancelled;
}

struct ProgramLimit {
    std::shared_ptr<Clock> clock;
    std::unique_ptr<Timer> timer;
    time_point end;
};

asio::awaitable<void> stop_late(std::shared_ptr<ProgramLimit> limit, std::weak_ptr<Process> program)
{
    while (!program.expired() && limit->clock->now() < limit->end)
        co_await limit->timer->wait_until(limit->end);
    if (const auto process = program.lock()) process->stop();
}

std::string problem_of(const process::ProgramOutput& output, bool is_late)
{
    if (is_late) return "it did not end within a minute";
    if (!output.exit.error.empty()) return output.exit.error;
    auto problem = output.exit.signal
                       ? fmt::format("signal {} ended it", *output.exit.signal)
                       : fmt::format("it exited with code {}", output.exit.exit_code.value_or(-1));
    const auto first_line = output.errors.substr(0, output.errors.find('\n'));
    if (!first_line.empty()) problem += ": " + one_line(first_line, max_error);
    return problem;
}

}  // namespace

/// Of a program.
struct Notifications::Call {
    Call(std::string name, std::vector<std::string> words, std::string text)
        : origin(std::move(name)), argv(std::move(words)), input(std::move(text))
    {}

    std::string origin;  ///< The option or setting that names it.
    std::vector<std::string> argv;
    std::string input;
};

Notifications::Notifications(asio::any_io_executor ex, NotificationsOptions options)
    : ex_(std::move(ex)),
      options_(std::move(options)),
      digest_(options_.config),
      slots_(max_programs)
{}

void Notifications::set_config(const NotifyConfig& config)
{
    options_.config = config;
    digest_.set_config(config);
}

void Notifications::send_every_result_to(std::vector<std::string> program)
{
    every_result_ = std::move(program);
}

void Notifications::publish(const Event& event)
{
    if (ends_attempt(event.type)) questions_.erase(event.attempt_id);
    if (event.type != EventType::input_needed || !event.question) return;
    if (++questions_[event.attempt_id] > max_questions) return;
    auto notification = notification_of(event);
    send_to_every_result(notification);
    add(std::move(notification));
}

void Notifications::add_result(const ExecutionResult& result)
{
    if (every_result_.empty() && !options_.config.completed && !options_.config.failed) return;
    auto notification = notification_of(result);
    send_to_every_result(notification);
    if (result.status != ExecutionStatus::cancelled) add(std::move(notification));
}

void Notifications::add(Notification notification)
{
    if (auto now = digest_.add(std::move(notification), options_.clock->now())) send(*now);
    if (sends_later_ || !digest_.due()) return;
    sends_later_ = true;
    asio::co_spawn(ex_, send_later(shared_from_this()), rethrow_failure);
}

asio::awaitable<void> Notifications::send_later(Self self)
{
    const auto me = std::move(self);
    const auto timer = me->options_.clock->make_timer(me->ex_);
    for (auto due = me->digest_.due(); due; due = me->digest_.due()) {
        co_await timer->wait_until(*due);
        const auto now = me->options_.clock->now();
        if (now < *due) continue;
        if (const auto digest = me->digest_.take(now)) me->send(*digest);
    }
    me->sends_later_ = false;
}

void Notifications::send_to_every_result(const Notification& notification)
{
    if (every_result_.empty()) return;
    start(Call(every_result_option, every_result_, text::dump_line(notification.message) + "\n"));
}

void Notifications::send(const Notification& notification)
{
    if (options_.config.bell && options_.ring) options_.ring(notification.text);
    if (!options_.program.empty())
        start(Call("notify.program", options_.program,
                   program_input(notification, options_.project_root)));
    if (options_.config.desktop)
        start(Call("notify.desktop", desktop_call(notification.text, options_.project_root), {}));
}

void Notifications::start(Call call)
{
    ++running_;
    asio::co_spawn(ex_, run(shared_from_this(), std::move(call)), rethrow_failure);
}

asio::awaitable<void> Notifications::run(Self self, Call call)
{
    const auto me = std::move(self);
    const auto alarm = me->options_.clock->make_timer(me->ex_);
    async::SemaphoreGuard slot(me->slots_, *alarm);
    co_await slot.admission();

    const auto limit = std::make_shared<ProgramLimit>();
    limit->clock = me->options_.clock;
    limit->timer = limit->clock->make_timer(me->ex_);
    limit->end = limit->clock->now() + program_limit;
    process::OnStart watch = [&](std::weak_ptr<Process> program) {
        asio::co_spawn(me->ex_, stop_late(limit, std::move(program)), asio::detached);
    };
    ProcessSpec spec;
    spec.argv = call.argv;
    spec.directory = me->options_.project_root;
    spec.environment = process::inherited_environment();
    spec.input = std::move(call.input);
    spec.stop_grace = program_grace;
    auto running = process::run_program(me->options_.spawner, std::move(spec), 0, std::move(watch));
    const auto output = co_await std::move(running);
    const bool is_late = limit->clock->now() >= limit->end;
    limit->timer->wake();
    if (!output.ok())
        me->report(call.origin, fmt::format("{}: {}: {}", call.origin, call.argv.front(),
                                            problem_of(output, is_late)));
    if (--me->running_ == 0 && me->drained_) me->drained_->wake();
}

// A broken setting is reported once, not at each notification.
void Notifications::report(const std::string& origin, std::string problem)
{
    if (last_problems_[origin] == problem) return;
    options_.report(problem);
    if (origin != every_result_option) last_problems_[origin] = std::move(problem);
}

asio::awaitable<void> Notifications::drain()
{
    drained_ = options_.clock->make_timer(ex_);
    if (const auto digest = digest_.take(options_.clock->now())) send(*digest);
    while (running_ > 0 && !abandoned_) co_await drained_->wait_until(time_point::max());
}

void Notifications::abandon()
{
    abandoned_ = true;
    if (drained_) drained_->wake();
}

}  // namespace autoexec::notify
