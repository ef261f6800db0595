#include "cli/queue/queue_engine.hpp"

#include "cli/session/configuration.hpp"
#include "cli/session/project.hpp"
#include "protocol/layout.hpp"
#include "queue/engine_lock.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <tuple>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_interval{1000};
constexpr milliseconds min_look_interval{20};
// A dying process releases the lock of its executor just after that of the queue.
constexpr milliseconds recheck_interval{100};
constexpr int max_rechecks = 20;
// Bounds only the descriptors that are reserved: the limit is that of the configuration.
constexpr std::size_t max_commands = 100'000;

// Out of memory: otherwise the engine would wait forever for this command.
void rethrow_failure(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(std::move(failure));
}

// The latest attempt of an execution; null: none is recorded as running.
const records::RunningEntry* attempt_of(const std::vector<records::RunningEntry>& entries,
                                        const std::string& execution_id)
{
    const auto found =
        std::find_if(entries.rbegin(), entries.rend(), [&](const records::RunningEntry& entry) {
            return entry.record.execution_id == execution_id;
        });
    return found == entries.rend() ? nullptr : &*found;
}

std::string missing_variable(const std::vector<std::string>& names)
{
    const auto missing = std::find_if(names.begin(), names.end(), [](const std::string& name) {
        return std::getenv(name.c_str()) == nullptr;
    });
    return missing == names.end() ? std::string() : *missing;
}

}  // namespace

QueueEngine::QueueEngine(const QueueEngineOptions& options, AutoExecutionConfigManager& manager,
                         const Agents& agents, queue::QueueFolder& folder)
    : options_(options),
      agents_(agents),
      folder_(folder),
      display_(std::make_shared<Display>(Screen::suitable_mode(options.session.quiet), 0)),
      session_(options.session, manager, display_->screen(), agents.all(), max_commands),
      new_worktrees_(session_, manager.load().worktrees, git_interrupt_),
      prices_(manager.load().executor.prices),
      agent_limits_(agents.limits()),
      pauses_(session_.root())
{
    session_.executor().subscribe(display_);
}

int QueueEngine::run()
{
    session_.run(
        work(), [this](asio::cancellation_type type) { cancel(type); },
        CommandSession::Recovery::after);
    if (session_.interrupts() > (is_stopped_ ? 1 : 0)) return exit_cancelled;
    return session_.records_lost() ? exit_internal : exit_completed;
}

asio::awaitable<void> QueueEngine::work()
{
    for (;;) {
        co_await recover_started();
        watch();
        serve_stop_request();
        serve_cancel_requests();
        start_waiting();
        report_broken();
        notify_of_empty_queue();
        if (is_done()) break;
        co_await pause();
    }
    watches_.clear();
}

asio::awaitable<void> QueueEngine::pause()
{
    ended_before_ = std::move(ended_);
    ended_.clear();
    co_await sleep(min_look_interval);  // many changes at once are one look
    if (!woken_) co_await sleep(look_interval);
    woken_ = false;
}

asio::awaitable<void> QueueEngine::sleep(milliseconds time)
{
    error_code ignored;
    look_.expires_after(time);
    co_await look_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void QueueEngine::wake()
{
    woken_ = true;
    look_.cancel();
}

bool QueueEngine::may_start() const
{
    return session_.interrupts() == 0 && !queue::is_draining(session_.root());
}

bool QueueEngine::is_done()
{
    if (!flights_.empty()) return false;
    if (!may_start()) return true;
    // The end would wait for the programs of notifications, and start nothing meanwhile.
    return !options_.keep && session_.notifications().is_idle() && folder_.list_startable().empty();
}

// An event only wakes the engine early. A folder may be created, or replaced, at any time.
void QueueEngine::watch()
{
    if (session_.options().file_events == FileEvents::off) return;
    // Pauses are in the last one.
    constexpr std::array folders{layout::queue, layout::started_requests, layout::running};
    watches_.resize(folders.size());
    for (std::size_t i = 0; i < watches_.size(); ++i) {
        const auto path = session_.root() / folders[i];
        const auto& notifier = session_.options().notifier;
        std::error_code ec;
        if ((watches_[i] && notifier->coverage(path) == Coverage::all) ||
            !std::filesystem::is_directory(path, ec))
            continue;
        watches_[i].reset();
        watches_[i] = notifier->watch_folder(
            path, [this] { asio::post(session_.context(), [this] { wake(); }); });
    }
}

// What an earlier engine has started; later, what a run in the foreground has started that was
// killed before it published the command.
asio::awaitable<void> QueueEngine::recover_started()
{
    for (const auto& request : folder_.list_started()) {
        if (begun_.contains(request->id()) || folder_.has_owner(*request)) continue;
        begun_.insert(request->id());
        if (folder_.state_of(request->id()) == queue::RequestState::ended) {
            folder_.remove_started(request->id());
            continue;
        }
        auto entries = records::list_running(session_.root());
        const auto* attempt = attempt_of(entries, request->id());
        for (int i = 0; attempt != nullptr && attempt->alive && i < max_rechecks; ++i) {
            co_await sleep(recheck_interval);
            entries = records::list_running(session_.root());
            attempt = attempt_of(entries, request->id());
        }
        recover(request, attempt);
    }
}

/// An attempt that may have run is not simply run again: it is adopted, and the executor decides.
void QueueEngine::recover(const queue::Request& request, const records::RunningEntry* attempt)
{
    if (attempt != nullptr && attempt->alive) {
        print_message("{} is not recovered: its executor lives{}{}\n", short_id(request->id()),
                      attempt->other_host.empty() ? "" : " on the host ",
                      text::printable(attempt->other_host));
        return;
    }
    if (folder_.is_interrupted(request->id()) && !request->request.idempotent) {
        CommandError error{records::interrupted_message, "interrupted", std::nullopt, 0};
        return conclude(*request, queue::failed_result(*request, std::move(error)), false);
    }
    if (attempt == nullptr) return start(request, std::nullopt);
    const auto& record = attempt->record;
    AttemptReference reference(record.execution_id, record.attempt_id, record.attempt);
    reference.started_at = record.started_at;
    start(request, std::move(reference));
}

void QueueEngine::start_waiting()
{
    (void)pauses_.refresh();
    backlog_ = may_start() ? start_while_slots_last() : NeededSlots();
    show_needed();
}

/// Returns what the first requests lack that have to wait.
QueueEngine::NeededSlots QueueEngine::start_while_slots_last()
{
    NeededSlots needed;
    for (const auto& request : folder_.list_startable()) {
        const auto& r = request->request;
        if (begun_.contains(request->id()) || !may_begin(r)) continue;
        if (!has_slot(r)) {
            needed.emplace(std::string(), r.priority);
            break;
        }
        if (!has_slot_of_agent(r))
            needed.emplace(r.agent, r.priority);
        else if (folder_.start(request->id()))
            start(request, std::nullopt);
    }
    return needed;
}

// The backlog only while a command ends: otherwise the slot that it releases would go to another
// process. Before that, nothing of it could start.
void QueueEngine::show_needed()
{
    const bool has_slot_soon = std::any_of(flights_.begin(), flights_.end(),
                                           [](const Flight& flight) { return flight.is_ending; });
    auto needed = has_slot_soon ? backlog_ : NeededSlots();
    for (const auto& flight : flights_) {
        const auto priority = flight.request->request.priority;
        if (flight.is_prepared) continue;
        auto& highest = needed.try_emplace(std::string(), priority).first->second;
        highest = std::max(highest, priority);
    }
    for (const auto& [agent, priority] : needed)
        shown_slots_.try_emplace(agent, session_.root(), agent, std::string(), system_clock());
    for (auto& [agent, slots] : shown_slots_) {
        const auto priority = needed.find(agent);
        slots.show_waiting(priority == needed.end() ? std::nullopt
                                                    : std::optional(priority->second));
    }
}

// Others start meanwhile: what would only wait for its worktree, or for the end of a pause, takes
// no slot.
bool QueueEngine::may_begin(const CommandRequest& r) const
{
    if (!pauses_.reason_for(r.agent, r.workflow_id).empty()) return false;
    return r.worktree.empty() ||
           std::none_of(flights_.begin(), flights_.end(),
                        [&](const Flight& flight) { return flight.worktree == r.worktree; });
}

bool QueueEngine::has_slot(const CommandRequest& r) const
{
    const auto limit = session_.max_parallel();
    return limit == 0 || count_ahead_of(r, [](const auto&) { return true; }) < limit;
}

bool QueueEngine::has_slot_of_agent(const CommandRequest& r) const
{
    const auto found = agent_limits_.find(r.agent);
    const auto limit = found == agent_limits_.end() ? 0 : found->second;
    const auto is_of_agent = [&r](const CommandRequest& other) { return other.agent == r.agent; };
    return limit == 0 || count_ahead_of(r, is_of_agent) < limit;
}

// What only waits, with a lower priority, does not count.
template <class Filter>
std::size_t QueueEngine::count_ahead_of(const CommandRequest& r, Filter filter) const
{
    const auto count = std::count_if(flights_.begin(), flights_.end(), [&](const Flight& flight) {
        const auto& other = flight.request->request;
        return (!flight.is_waiting || other.priority >= r.priority) && filter(other);
    });
    return static_cast<std::size_t>(count);
}

void QueueEngine::start(const queue::Request& request, std::optional<AttemptReference> attempt)
{
    begun_.insert(request->id());
    const auto flight = flights_.emplace(flights_.end(), request);
    flight->worktree = request->request.worktree;
    asio::co_spawn(session_.context(), run_one(flight, std::move(attempt)),
                   asio::bind_cancellation_slot(flight->cancel.slot(), rethrow_failure));
}

void QueueEngine::serve_stop_request()
{
    if (session_.interrupts() > 0 || !queue::is_stopping(session_.root())) return;
    is_stopped_ = true;
    print_message("This engine ends: autoexec stop.\n");
    session_.interrupt();
}

void QueueEngine::serve_cancel_requests()
{
    for (const auto& id : folder_.consume_cancel_requests())
        for (auto& flight : flights_)
            if (flight.request->id() == id) {
                flight.is_cancelled = true;
                session_.executor().cancel(id);
            }
}

void QueueEngine::report_broken()
{
    for (const auto& broken : folder_.broken())
        if (reported_.insert(broken.path + broken.problem).second)
            print_message("{} is not run: {}\n", text::printable(broken.path),
                          text::printable(broken.problem));
}

void QueueEngine::notify_of_empty_queue()
{
    if (outcome_.ends.empty() || !flights_.empty() || !folder_.list_startable().empty()) return;
    session_.notifications().add(
        run_end_of(outcome_, fmt::format("the queue is empty: {}", outcome_.to_text())));
    outcome_ = {};
}

asio::awaitable<void> QueueEngine::run_one(Flights::iterator flight,
                                           std::optional<AttemptReference> attempt)
{
    co_await asio::this_coro::throw_if_cancelled(false);
    auto request = flight->request->request;
    auto preparing = prepare(*flight, request);
    auto problem = co_await std::move(preparing);
    if (problem.empty()) {
        auto executing = execute(*flight, std::move(request), std::move(attempt));
        co_await std::move(executing);
    } else {
        CommandError error{std::move(problem), {}, false, 0};
        const auto& queued = *flight->request;
        conclude(queued, queue::failed_result(queued, std::move(error)), true);
    }
    ended_.splice(ended_.end(), flights_, flight);
    wake();
}

asio::awaitable<void> QueueEngine::execute(Flight& flight, CommandRequest request,
                                           std::optional<AttemptReference> attempt)
{
    flight.is_prepared = true;
    request.hooks = hooks(flight);
    session_.add_worktree(request.worktree);
    auto& executor = session_.executor();
    std::tuple<error_code, ExecutionResult> end;
    if (flight.is_cancelled)
        std::get<1>(end) = queue::cancelled_execution(*flight.request);
    else if (attempt)
        end = co_await executor.async_adopt(*std::move(attempt), std::move(request),
                                            asio::as_tuple(asio::use_awaitable));
    else
        end = co_await executor.async_execute_command(std::move(request),
                                                      asio::as_tuple(asio::use_awaitable));
    auto& [ec, result] = end;
    // The end of the engine cancels what runs; what was never published waits for the next one.
    if (session_.interrupts() > 0 && result.attempts == 0 && !flight.is_cancelled)
        folder_.put_back(flight.request->id());
    else
        conclude(*flight.request, std::move(result), static_cast<bool>(ec));
}

// The agents file and the environment may differ from those of the submission.
asio::awaitable<std::string> QueueEngine::prepare(Flight& flight, CommandRequest& request)
{
    if (const auto missing = missing_variable(request.env_refs); !missing.empty())
        co_return fmt::format(
            "The variable {} is not in the environment of the engine of the queue.",
            text::printable(missing));
    if (auto problem = agents_.assign(request); !problem.empty()) co_return problem;
    if (!flight.request->new_worktree) co_return std::string();
    co_return co_await make_tree(flight, request);
}

// A kill leaves the request with `creating`: what exists then was made for it. With it before, what
// exists belongs to someone else.
asio::awaitable<std::string> QueueEngine::make_tree(Flight& flight, CommandRequest& request)
{
    auto queued = *flight.request;
    auto& tree = *queued.new_worktree;
    const bool was_creating = std::exchange(tree.creating, true);
    if (const auto ec = was_creating ? error_code() : folder_.update_started(queued))
        co_return fmt::format("Its worktree cannot be recorded: {}.", ec.message());
    auto making = new_worktrees_.create(tree.name, tree.commit, was_creating);
    auto made = co_await std::move(making);
    if (!made.problem.empty()) co_return made.problem;
    flight.worktree = request.worktree = queued.request.worktree = made.path;
    queued.created_worktree = tree.name;
    queued.new_worktree.reset();
    const auto ec = folder_.update_started(queued);
    flight.request = std::make_shared<const protocol::QueuedRequest>(std::move(queued));
    co_return ec ? fmt::format("Its worktree cannot be recorded: {}.", ec.message()) : "";
}

// Before the running record is removed, so that a kill loses no end. If it cannot be written, the
// next engine adopts the attempt.
std::shared_ptr<const CommandHooks> QueueEngine::hooks(Flight& flight)
{
    auto hooks = std::make_shared<CommandHooks>();
    // While it waits for a slot of another process, it is shown and cancelled as one that waits.
    hooks->on_wait = [this, &flight] {
        folder_.put_back(flight.request->id());
        flight.is_waiting = true;
        wake();
    };
    hooks->on_start = [this, &flight] {
        flight.is_waiting = false;
        return start_again(flight.request->id());
    };
    hooks->on_end = [this, &flight,
                     queued = flight.request](ExecutionResult result) -> asio::awaitable<void> {
        if (!queued->created_worktree.empty()) {
            auto committing = new_worktrees_.commit(queued->created_worktree, result);
            (void)co_await std::move(committing);
        }
        if (auto lost = session_.lost_output(result); !lost.empty())
            result.warnings.push_back(std::move(lost));
        if (const auto ec = put_result(*queued, result, false)) throw system_error(ec);
        stored_.insert(result.execution_id);
        flight.is_ending = true;
        show_needed();
        co_return;
    };
    return hooks;
}

/// False: it was cancelled meanwhile, and has its result.
bool QueueEngine::start_again(const std::string& id)
{
    if (folder_.start(id)) return true;
    if (folder_.state_of(id) == queue::RequestState::absent) return true;  // a user has removed it
    stored_.insert(id);
    return false;
}

void QueueEngine::conclude(const protocol::QueuedRequest& request, ExecutionResult result,
                           bool is_internal_error)
{
    if (auto lost = session_.lost_output(result); !lost.empty())
        result.warnings.push_back(std::move(lost));
    if (options_.json)
        print_json(json_of(result, prices_));
    else
        print_execution(result, prices_);
    display_->finished(result);
    display_->screen().redraw();
    outcome_.add(result, is_internal_error);
    session_.notifications().add_result(result);
    if (result.attempts == 0) (void)folder_.start(request.id());  // it may have waited until now
    // Not twice: `autoexec wait` may have noted meanwhile that it has reported it.
    const bool is_stored = stored_.erase(result.execution_id) > 0;
    const auto ec = is_stored ? error_code() : put_result(request, result, is_internal_error);
    if (ec)
        print_message("The result of {} cannot be written: {}\n", short_id(result.execution_id),
                      ec.message());
    else
        folder_.remove_started(result.execution_id);
    if (!ec) begun_.erase(result.execution_id);
}

error_code QueueEngine::put_result(const protocol::QueuedRequest& request,
                                   const ExecutionResult& result, bool is_internal_error)
{
    protocol::QueuedResult ended;
    ended.id = result.execution_id;
    ended.ended_at = std::chrono::system_clock::now();
    ended.internal_error = is_internal_error;
    ended.result = json_of(result, prices_);
    queue::keep_request(ended, request);
    return folder_.put_result(ended);
}

void QueueEngine::cancel(asio::cancellation_type type)
{
    git_interrupt_->cancel(*system_clock(), type);
    if (type == asio::cancellation_type::partial)
        asio::co_spawn(session_.context(), session_.executor().stop(), asio::detached);
    else
        for (auto& flight : flights_) flight.cancel.emit(type);
    wake();
}

}  // namespace autoexec::cli
