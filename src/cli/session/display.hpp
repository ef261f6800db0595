#pragma once

#include "autoexec/event_sink.hpp"
#include "cli/session/screen.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// What a person sees of a run: on a terminal a row for each command in flight, below the lines of
/// what has ended; elsewhere a line for each step.
class Display final : public EventSink {
public:
    Display(Screen::Mode mode, std::size_t total);
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    [[nodiscard]] Screen& screen() noexcept { return screen_; }

    /// On the executor's strand.
    void publish(const Event& event) override;

    /// A result has been told to the user.
    void finished(const ExecutionResult& result);

private:
    struct Row {
        std::string execution_id;
        std::string state;
        std::string worktree;
        std::string progress;
        int attempt = 1;
        std::chrono::steady_clock::time_point since;
    };

    [[nodiscard]] std::vector<std::string> table(const Screen::Size& size) const;

    Screen screen_;
    std::size_t total_;
    std::size_t ended_ = 0;
    std::map<std::string, Row> rows_;  ///< By execution id: in the order of their start.
};

/// How an execution stands by an event, in a word; empty: as before.
std::string state_of(const Event& event);

/// What an agent says of its work; empty: nothing.
std::string text_of(const std::optional<Progress>& progress);

/// For a log of lines; empty for what only a table shows.
std::string sentence_of(const Event& event);

/// The line for standard output.
std::string result_line(const ExecutionResult& result);

}  // namespace autoexec::cli
