#pragma once

#include "autoexec/event_sink.hpp"
#include "cli/session/output.hpp"
#include "cli/session/slot_queue.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// Progress of `autoexec run`: on a terminal, below the results, a row for each active command and
/// for the next ones; elsewhere, a line for each event.
class Display final : public EventSink {
public:
    Display(Screen::Mode mode, std::size_t total);
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    [[nodiscard]] Screen& screen() noexcept { return screen_; }

    /// On the executor's strand.
    void publish(const Event& event) override;

    /// Called when a result has been printed.
    void finished(const ExecutionResult& result);

private:
    struct Row {
        std::string execution_id;
        std::string state;
        std::filesystem::path worktree;
        std::string command;
        std::string progress;
        std::string asks;  ///< While it waits for an answer.
        int attempt = 1;
        std::chrono::steady_clock::time_point since;
    };

    [[nodiscard]] std::vector<std::string> table(const Screen::Size& size) const;
    /// `place`: in the queue; zero: it is not there.
    static std::string row_line(const Row& row, std::size_t place,
                                std::chrono::steady_clock::time_point now, std::size_t columns);

    Screen screen_;
    std::size_t total_;
    std::size_t ended_ = 0;
    std::chrono::steady_clock::time_point begin_;
    std::map<std::string, Row> rows_;  ///< By execution id: in the order of their start.
    SlotQueue queue_;                  ///< Of those that wait for a slot.
    std::string last_wait_;            ///< Why commands wait for their start.
};

/// How many executions that wait for a slot a table shows.
inline constexpr std::size_t max_queued_rows = 5;

/// The state in a table: `queued 3` for the third one in the queue; `place` zero: it is not there.
std::string state_in_table(const std::string& state, const std::string& asks, std::size_t place);

/// The state of an execution after an event; empty: unchanged.
std::string state_of(const Event& event);

/// What an execution asks after an event, given what it asked before; empty: nothing.
std::string asks_after(const Event& event, std::string asks);

/// Whether the sentence of an event is printed, and not only shown in a table.
bool is_line(Screen::Mode mode, const Event& event);

/// What a row shows after an event: the progress, or why the command waits for its start.
std::string progress_after(const Event& event, std::string progress);

/// Whether an event reports again why commands wait for their start, as after the last one.
bool repeats_wait(const Event& event, std::string& last);

/// The progress that an agent has reported; empty: none.
std::string text_of(const std::optional<Progress>& progress);

/// The line for an event; empty if only a table shows it.
std::string sentence_of(const Event& event);

/// The line of a result on standard output, after its state.
std::string after_state(const ExecutionResult& result, const ModelPrices& prices);

/// The last lines that a command has printed, if it failed; empty: none. Pure.
std::string excerpt_of(const ExecutionResult& result);

}  // namespace autoexec::cli
