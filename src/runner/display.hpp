#pragma once

#include "autoexec/event.hpp"
#include "autoexec/executor.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace autoexec::runner {

/// What a person sees of a run: on a terminal a live table below the lines of what has ended,
/// elsewhere a line for each step. On standard error; the results go to standard output.
class Display final : public EventSink {
public:
    enum class Mode { quiet, lines, table };
    static Mode suitable_mode(bool quiet);

    Display(Mode mode, std::size_t total) : mode_(mode), total_(total) {}

    /// On the executor's strand.
    void publish(const Event& event) override;

    /// Shows a line for good, above the table.
    void say(const std::string& line);

    /// A result has been told to the user.
    void finished(const ExecutionResult& result);

    /// Draws the table anew.
    void tick();
    /// Takes it away.
    void clear();

private:
    struct Row {
        std::string execution_id;
        std::string state;
        std::string worktree;
        std::string progress;
        int attempt = 1;
        std::chrono::steady_clock::time_point since;
    };

    void plain_line(const Event& event);
    void draw();

    Mode mode_;
    std::size_t total_;
    std::size_t ended_ = 0;
    std::size_t drawn_ = 0;
    std::map<std::string, Row> rows_;  ///< By execution id: in the order of their start.
};

/// The line for standard output.
std::string result_line(const ExecutionResult& result);

}  // namespace autoexec::runner
