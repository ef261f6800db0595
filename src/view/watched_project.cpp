#include "autoexec/watched_project.hpp"

#include "async/launch.hpp"
#include "async/short_names.hpp"
#include "protocol/layout.hpp"

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <vector>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;
using Changes = async::OperationResult<ProjectChanges>;

// A refresh takes at most one part of so many of the time.
constexpr int pause_factor = 30;
constexpr std::chrono::milliseconds min_pause{10};

WatchedProjectOptions completed(WatchedProjectOptions o, const asio::any_io_executor& ex)
{
    if (o.project_root.empty()) o.project_root = fs::current_path();
    if (!o.clock) o.clock = system_clock();
    if (o.notifier) return o;
    FileNotifierOptions folders;
    folders.project_root = o.project_root;
    folders.worktrees = false;
    o.notifier = file_notifier(ex, folders);
    return o;
}

// Where entries appear and go. A folder that is missing is seen in the one above it.
std::vector<fs::path> folders_of(const fs::path& root)
{
    std::vector<fs::path> folders;
    for (const auto* const path :
         {layout::records, layout::running, layout::queue, layout::started_requests,
          layout::journals, layout::agent_health})
        folders.push_back(root / path);
    std::error_code ec;
    fs::directory_iterator at(root / layout::running, ec);
    for (; !ec && at != fs::directory_iterator(); at.increment(ec))
        if (at->is_directory(ec)) folders.push_back(at->path());
    return folders;
}

}  // namespace

struct WatchedProject::Impl : std::enable_shared_from_this<WatchedProject::Impl> {
    Impl(const asio::any_io_executor& ex, WatchedProjectOptions o)
        : options(completed(std::move(o), ex)), strand(ex), reader(options)
    {}

    /// An operation that waits.
    struct Waiter {
        Waiter(Impl& i, Timer* t) : impl(i), timer(t) { impl.timers.push_back(timer); }
        ~Waiter()
        {
            std::erase(impl.timers, timer);
            if (impl.timers.empty()) impl.subscriptions.clear();
        }
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

        Impl& impl;
        Timer* timer;
    };

    asio::awaitable<Changes> wait(std::shared_ptr<Impl> keep, ViewPosition since);
    void refresh_if_due();
    void watch_folders();
    void wake_all();
    void on_strand(void (Impl::*function)());
    void look_soon();
    void close();

    WatchedProjectOptions options;
    async::Strand strand;
    ProjectReader reader;
    std::vector<Timer*> timers;  ///< Of operations that wait.
    std::map<fs::path, Notifier::Subscription> subscriptions;
    time_point due = time_point::min();       ///< Of the next look.
    time_point earliest = time_point::min();  ///< Of that look if something happens.
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
        refresh_if_due();
        if (reader.position() != since) {
            changes.result = reader.changes_since(since);
            co_return changes;
        }
        co_await timer->wait_until(due);
    }
}

void WatchedProject::Impl::refresh_if_due()
{
    const auto start = options.clock->now();
    if (start < due) return;
    watch_folders();  // first: what happens after the look is seen
    const bool changed = reader.refresh();
    const auto end = options.clock->now();
    const auto pause = (end - start) * pause_factor;
    earliest = end + std::max<std::chrono::nanoseconds>(pause, min_pause);
    due = std::max(earliest, end + options.interval);
    if (changed) wake_all();
}

void WatchedProject::Impl::watch_folders()
{
    std::map<fs::path, Notifier::Subscription> now;
    for (const auto& folder : folders_of(options.project_root)) {
        auto& subscription = now[folder];
        const auto before = subscriptions.find(folder);
        if (before != subscriptions.end() && options.notifier->coverage(folder) == Coverage::all)
            subscription = std::move(before->second);
        if (subscription) continue;
        subscription = options.notifier->watch_folder(folder, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->on_strand(&Impl::look_soon);
        });
    }
    subscriptions = std::move(now);
}

void WatchedProject::Impl::wake_all()
{
    for (auto* const timer : timers) timer->wake();
}

void WatchedProject::Impl::on_strand(void (Impl::*function)())
{
    asio::post(strand, [weak = weak_from_this(), function] {
        if (const auto self = weak.lock()) ((*self).*function)();
    });
}

void WatchedProject::Impl::look_soon()
{
    due = std::min(due, earliest);
    wake_all();
}

void WatchedProject::Impl::close()
{
    closed = true;
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
