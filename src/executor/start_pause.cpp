#include "executor/executor_impl.hpp"
#include "logging/log.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <utility>

/// Starts that a person has paused: they wait without a slot until they are resumed.
namespace autoexec::inline v1 {

void ExecutorCore::refresh_pauses()
{
    const auto& problem = pauses.reading().problem;
    const auto before = problem;
    const bool has_changed = pauses.refresh();
    if (!problem.empty() && problem != before)
        logging::log(logging::LogLevel::warning, "{}", problem);
    if (has_changed) wake_held();
}

std::string ExecutorCore::reason_for_pause(const Execution& x) const
{
    return pauses.reason_for(known_agent(x), x.request.workflow_id);
}

/// The authority: it reads the file just before a start.
bool ExecutorCore::is_paused(const Execution& x)
{
    refresh_pauses();
    return !reason_for_pause(x).empty();
}

/// Until starts are resumed, or the execution is cancelled. What was read last counts.
asio::awaitable<void> ExecutorCore::wait_for_resume(Execution& x)
{
    const auto begin = options.clock->now();
    std::string reported;
    for (auto reason = reason_for_pause(x); !reason.empty() && !x.is_cancelled();
         reason = reason_for_pause(x)) {
        if (std::exchange(reported, reason) != reason) {
            announce_wait(x);
            auto e = event_before_start(x, EventType::waiting_for_resume);
            e.details["reason"] = reason;
            emit(e);
        }
        const auto place = ++last_held;
        held_commands.emplace(place, x.alarm);
        co_await x.alarm->wait_until(time_point::max());
        held_commands.erase(place);
    }
    if (reported.empty()) co_return;
    const auto waited =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.clock->now() - begin);
    x.result->warnings.push_back(
        fmt::format("The start was paused for {}: {}.", text::format_duration(waited), reported));
}

}  // namespace autoexec::inline v1
