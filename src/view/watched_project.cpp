#include "autoexec/watched_project.hpp"

#include "async/launch.hpp"
#include "async/short_names.hpp"
#include "view/project_view.hpp"
#include "view/project_watches.hpp"

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {
namespace {

using Changes = async::OperationResult<ProjectChanges>;
using std::chrono::nanoseconds;

// For which the strand is blocked at once.
constexpr std::chrono::milliseconds slice{2};
constexpr std::chrono::milliseconds min_pause{25};
// After a slice of this work, the pause is so many times as long.
constexpr int pause_after_hints = 10;
constexpr int pause_in_sweep = 30;
constexpr int pause_in_covered_sweep = 100;  // it finds what events have not shown
constexpr std::chrono::seconds watching_after_wait{1};

WatchedProjectOptions completed(WatchedProjectOptions o, const asio::any_io_executor& ex)
{
    if (o.project_root.empty()) o.project_root = std::filesystem::current_path();
    if (!o.clock) o.clock = system_clock();
    if (o.notifier) return o;
    FileNotifierOptions watched;
    watched.project_root = o.project_root;
    watched.status_file_name = o.status_file_name;
    watched.claims = false;
    o.notifier = file_notifier(ex, watched);
    return o;
}

}  // namespace

struct WatchedProject::Impl : std::enable_shared_from_this<WatchedProject::Impl> {
    Impl(const asio::any_io_executor& ex, WatchedProjectOptions o)
        : options(completed(std::move(o), ex)), strand(ex), view(options)
    {}

    /// An operation that waits.
    struct Waiter {
        Waiter(Impl& i, Timer* t) : impl(i), timer(t) { impl.begin_wait(timer); }
        ~Waiter() { impl.end_wait(timer); }
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

        Impl& impl;
        Timer* timer;
    };

    asio::awaitable<Changes> wait(std::shared_ptr<Impl> keep, ViewPosition since);
    asio::awaitable<void> pause(Timer& timer);
    asio::awaitable<void> end_watching(std::shared_ptr<Impl> keep);
    void begin_wait(Timer* timer);
    void end_wait(Timer* timer);
    void work();
    void work_on_hints(time_point end);
    void work_on_sweep(time_point end);
    void commit(time_point end);
    [[nodiscard]] time_point next_work() const;
    void watch_folders();
    void add_hint(const view::Hint& hint);
    void sweep_soon();
    void wake_all();
    void on_strand(std::function<void(Impl&)> function);
    void close();

    WatchedProjectOptions options;
    async::Strand strand;
    view::ProjectView view;
    std::optional<view::ProjectWatches> watches;  ///< While operations wait, and a while longer.
    std::vector<Timer*> timers;                   ///< Of operations that wait.
    std::unique_ptr<Timer> idle_timer;            ///< While `end_watching` waits.
    time_point idle_since;                        ///< Since no operation waits.
    std::set<view::Hint> hints;
    bool is_sweeping = false;
    bool is_complete = false;  ///< The first sweep is over.
    time_point hints_due = time_point::min();
    time_point sweep_due = time_point::min();
    bool closed = false;
};

asio::awaitable<Changes> WatchedProject::Impl::wait(std::shared_ptr<Impl> keep, ViewPosition since)
{
    const auto self = std::move(keep);
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto timer = options.clock->make_timer(strand);
    const Waiter waiter(*this, timer.get());
    Changes changes{};
    for (;;) {
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (closed || cancellation.cancelled() != asio::cancellation_type::none) {
            changes.ec = asio::error::operation_aborted;
            co_return changes;
        }
        work();
        if (is_complete && view.position() != since) {
            changes.result = view.changes_since(since);
            co_return changes;
        }
        co_await pause(*timer);
    }
}

// The first sweep yields to others, but does not pause.
asio::awaitable<void> WatchedProject::Impl::pause(Timer& timer)
{
    if (is_complete)
        co_await timer.wait_until(next_work());
    else
        co_await asio::post(strand, asio::use_awaitable);
}

// What has happened while nothing was watched is found by a sweep.
void WatchedProject::Impl::begin_wait(Timer* timer)
{
    timers.push_back(timer);
    if (watches) return;
    watches.emplace(options.notifier, [weak = weak_from_this()](const view::Hint& hint) {
        if (const auto self = weak.lock())
            self->on_strand([hint](Impl& impl) { impl.add_hint(hint); });
    });
    is_sweeping = false;
    sweep_due = time_point::min();
}

void WatchedProject::Impl::end_wait(Timer* timer)
{
    std::erase(timers, timer);
    if (!timers.empty() || closed) return;
    idle_since = options.clock->now();
    if (idle_timer) return;
    idle_timer = options.clock->make_timer(strand);
    asio::co_spawn(strand, end_watching(shared_from_this()), asio::detached);
}

// Not at once: who has got a change usually waits for the next one, and watching thousands of
// worktrees again would take a while.
asio::awaitable<void> WatchedProject::Impl::end_watching(std::shared_ptr<Impl> keep)
{
    const auto self = std::move(keep);
    while (!closed && timers.empty() && options.clock->now() < idle_since + watching_after_wait)
        co_await idle_timer->wait_until(idle_since + watching_after_wait);
    idle_timer.reset();
    if (!closed && !timers.empty()) co_return;
    watches.reset();
    hints.clear();
}

void WatchedProject::Impl::work()
{
    const auto start = options.clock->now();
    const auto end = start + slice;
    const bool has_hints = start >= hints_due && (!hints.empty() || watches->is_busy());
    const bool sweeps = start >= sweep_due;
    if (has_hints) work_on_hints(end);
    if (sweeps) work_on_sweep(end);
    if (!has_hints && !sweeps) return;
    commit(end);
    const auto now = options.clock->now();
    const auto after = [&](int factor) {
        return now + std::max<nanoseconds>((now - start) * factor, min_pause);
    };
    if (has_hints) hints_due = watches->is_busy() ? now + (now - start) : after(pause_after_hints);
    if (!sweeps) return;
    const int pauses = watches->cover_all() ? pause_in_covered_sweep : pause_in_sweep;
    sweep_due = is_complete ? after(pauses) : now;
    if (is_sweeping) return;
    is_complete = true;
    sweep_due = std::max(sweep_due, now + nanoseconds(options.interval));
}

void WatchedProject::Impl::work_on_hints(time_point end)
{
    bool may_have_folders = false;
    while (!hints.empty() && options.clock->now() < end) {
        const auto hint = hints.extract(hints.begin()).value();
        if (view::names_nothing(hint)) {
            sweep_soon();
            continue;
        }
        view.look_at(hint, hints);
        may_have_folders = may_have_folders || view::may_add_folders(hint);
    }
    if (may_have_folders) watches->set_folders(view.folders(), hints);
}

// Watches first: what happens after the look at a folder is seen.
void WatchedProject::Impl::work_on_sweep(time_point end)
{
    if (!std::exchange(is_sweeping, true)) {
        std::set<view::Hint> ignored;
        watches->set_folders(view.folders(), ignored);
        watches->check_worktrees();
        view.begin_sweep();
    }
    while (is_sweeping && options.clock->now() < end) is_sweeping = view.step();
    if (!is_sweeping) watches->set_folders(view.folders(), hints);  // those of new executors
}

void WatchedProject::Impl::commit(time_point end)
{
    if (view.commit()) wake_all();
    for (const auto& path : view.take_changed_worktrees())
        watches->set_worktree(path, view.is_in_use(path));
    while (watches->is_busy() && options.clock->now() < end) watches->step(hints);
}

time_point WatchedProject::Impl::next_work() const
{
    return hints.empty() && !watches->is_busy() ? sweep_due : std::min(hints_due, sweep_due);
}

void WatchedProject::Impl::add_hint(const view::Hint& hint)
{
    if (!watches) return;
    const auto before = next_work();
    if (view::names_nothing(hint))
        sweep_soon();
    else
        hints.insert(hint);
    if (next_work() < before) wake_all();
}

void WatchedProject::Impl::sweep_soon()
{
    sweep_due = std::min(sweep_due, std::max(hints_due, options.clock->now()));
}

void WatchedProject::Impl::wake_all()
{
    for (auto* const timer : timers) timer->wake();
}

void WatchedProject::Impl::on_strand(std::function<void(Impl&)> function)
{
    asio::post(strand, [weak = weak_from_this(), function = std::move(function)] {
        if (const auto self = weak.lock()) function(*self);
    });
}

void WatchedProject::Impl::close()
{
    closed = true;
    if (idle_timer) idle_timer->wake();
    wake_all();
}

WatchedProject::WatchedProject(executor_type ex, WatchedProjectOptions options)
    : impl_(std::make_shared<Impl>(ex, std::move(options)))
{}

WatchedProject::~WatchedProject()
{
    impl_->on_strand(&Impl::close);
}

void WatchedProject::start_wait(
    std::shared_ptr<Impl> impl, ViewPosition since,
    boost::asio::any_completion_handler<void(error_code, ProjectChanges)> handler)
{
    auto& i = *impl;
    async::launch(i.strand, i.wait(std::move(impl), since), std::move(handler));
}

asio::any_io_executor WatchedProject::get_executor() const noexcept
{
    return impl_->strand.get_inner_executor();
}

}  // namespace autoexec::inline v1
