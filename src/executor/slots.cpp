#include "executor/executor_impl.hpp"
#include "files/safe_files.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <utility>

/// How many commands are in flight at once: of the executor, of each agent, and of the project.
namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;

// Polling is the authority: a process may be killed, or suspended between two calls.
constexpr milliseconds slots_interval{250};
constexpr int max_looks_for_slots = 50;  // a second

}  // namespace

asio::awaitable<void> wait_for_slot(Execution& x, const async::SemaphoreGuard& place)
{
    if (!place.admitted()) {
        ExecutorCore::announce_wait(x);
        auto e = x.core->event_before_start(x, EventType::waiting_for_slot);
        e.details["priority"] = x.request.priority;
        x.core->emit(e);
    }
    while (!place.admitted() && !x.is_cancelled()) co_await x.alarm->wait_until(time_point::max());
}

/// Null: the limit holds for this executor alone.
async::SlotSource* ExecutorCore::share_slots(const std::string& agent, std::size_t limit)
{
    if (options.limit_scope == LimitScope::executor) return nullptr;
    auto& shared =
        project_slots
            .try_emplace(agent, options.project_root, agent, options.parent_attempt, options.clock)
            .first->second;
    shared.set_count(limit);
    return &shared;
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
    (void)share_slots({}, wanted);
    slots.set_slots(room == 0 || wanted == 0 ? std::max(room, wanted) : std::min(room, wanted));
    serve_slots_if_needed();
}

/// Waits for a slot of its agent, then for one of the executor, until both are granted or it is
/// cancelled.
asio::awaitable<void> ExecutorCore::take_slots(Execution& x)
{
    if (!x.slot) {
        x.agent_slots = agent_slots_of(x);
        if (x.agent_slots != nullptr) {
            x.agent_slot = std::make_unique<async::SemaphoreGuard>(*x.agent_slots, *x.alarm,
                                                                   x.request.priority);
            serve_slots_if_needed();
            co_await wait_for_slot(x, *x.agent_slot);
        }
        x.slot.emplace(slots, *x.alarm, x.request.priority);
        serve_slots_if_needed();
    }
    co_await wait_for_slot(x, *x.slot);
    for (auto& [agent, shared] : project_slots)
        if (auto problem = shared.take_problem(); !problem.empty())
            x.result->warnings.push_back(std::move(problem));
}

void ExecutorCore::release_slots(Execution& x)
{
    x.slot.reset();
    x.agent_slot.reset();
    serve_slots_if_needed();
}

async::FifoSemaphore* ExecutorCore::agent_slots_of(const Execution& x)
{
    const auto found = agent_slots.find(known_agent(x));
    return found == agent_slots.end() ? nullptr : &found->second;
}

bool ExecutorCore::waits_for_others_slots() const
{
    return slots.priority_at_source() ||
           std::any_of(agent_slots.begin(), agent_slots.end(),
                       [](const auto& agent) { return agent.second.priority_at_source(); });
}

async::FifoSemaphore& ExecutorCore::semaphore_of(const std::string& agent)
{
    return agent.empty() ? slots : agent_slots.find(agent)->second;
}

void ExecutorCore::show_waiting()
{
    for (auto& [agent, shared] : project_slots)
        shared.show_waiting(semaphore_of(agent).priority_at_source());
}

// Shown first: what is released after that raises an event.
void ExecutorCore::retry_slots()
{
    show_waiting();
    for (auto& [agent, shared] : project_slots) semaphore_of(agent).retry();
    show_waiting();
}

Notifier::Subscription ExecutorCore::watch_slots()
{
    if (options.file_events == FileEvents::off) return nullptr;
    const auto folder = records::ProjectSlots::folder_of(options.project_root);
    return options.notifier->watch_folder(folder, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        asio::post(self->strand, [weak] {
            const auto core = weak.lock();
            if (core && core->slots_alarm) core->slots_alarm->wake();
        });
    });
}

// Asks again for slots that other processes use, for all executions at once.
asio::awaitable<void> ExecutorCore::serve_slots(std::shared_ptr<ExecutorCore>)
{
    const auto watch = watch_slots();
    async::RateLimit looks(max_looks_for_slots);
    for (retry_slots(); waits_for_others_slots(); retry_slots()) {
        co_await slots_alarm->wait_until(options.clock->now() + slots_interval);
        const auto earliest = looks.next(options.clock->now());
        while (options.clock->now() < earliest && waits_for_others_slots())
            co_await slots_alarm->wait_until(earliest);
    }
    slots_alarm.reset();
}

// Without memory, the next command that begins or ends tries again.
void ExecutorCore::serve_slots_if_needed() noexcept
try {
    if (slots_alarm) {
        show_waiting();
        if (!waits_for_others_slots()) slots_alarm->wake();
    } else if (waits_for_others_slots()) {
        slots_alarm = options.clock->make_timer(strand);
        asio::co_spawn(strand, serve_slots(shared_from_this()), asio::detached);
    }
} catch (const std::bad_alloc&) {
    slots_alarm.reset();
}

}  // namespace autoexec::inline v1
