#pragma once

#include "autoexec/event_sink.hpp"
#include "autoexec/workflow.hpp"
#include "autoexec/workflow_result.hpp"
#include "cli/session/output.hpp"
#include "cli/session/slot_queue.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::cli {

/// Progress of a workflow: on a terminal, a row for each active step below the results; elsewhere,
/// a line for each transition.
class WorkflowDisplay final : public EventSink {
public:
    WorkflowDisplay(Screen::Mode mode, const Workflow& workflow);
    WorkflowDisplay(const WorkflowDisplay&) = delete;
    WorkflowDisplay& operator=(const WorkflowDisplay&) = delete;

    [[nodiscard]] Screen& screen() noexcept { return screen_; }

    /// Events of the commands of steps. On the executor's strand.
    void publish(const Event& event) override;

    /// A step that ended before this program started.
    void record_earlier(const std::string& step_id, StepState state);

    /// Events of the steps.
    void record(const WorkflowEvent& event);

private:
    struct Row {
        std::string step_id;
        std::string execution_id;  ///< Empty: it has not begun.
        std::string state;
        std::string command;
        std::string progress;
        std::string asks;  ///< While it waits for an answer.
        int round = 1;
        int attempt = 1;
        std::chrono::steady_clock::time_point since;
    };

    void begin(const WorkflowEvent& event);
    void add_row(const WorkflowEvent& event);
    void end(const WorkflowEvent& event);
    void send_back(const WorkflowEvent& event);
    Row* find(const std::string& step_id);
    /// Active ones, then the first that wait for a slot, with their places.
    [[nodiscard]] std::vector<std::pair<const Row*, std::size_t>> choose_rows(
        std::size_t room) const;
    [[nodiscard]] std::vector<std::string> table(const Screen::Size& size) const;

    Screen screen_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    /// The prefix of the steps of each run: empty for the run itself, `STEP/` for a child run.
    std::map<std::string, std::string, std::less<>> runs_;
    std::map<std::string, StepState> states_;
    std::set<std::string> outdated_;  ///< In flight, and will run again.
    std::vector<Row> rows_;           ///< In the order of their start.
    SlotQueue queue_;                 ///< Of those that wait for a slot.
    std::string last_wait_;           ///< Why commands wait for an agent.
};

/// The line of a step that has ended, after its state.
std::string after_state(const StepResult& result, const ModelPrices& prices);

/// The message for an event of a gate, a restart or a merge; empty for all other events.
std::string sentence_of(const WorkflowEvent& event);

/// At the end: the result, the critical path, and the failed steps. `usage`: of the whole run, as
/// text.
std::string summary_of(const WorkflowResult& result, const std::string& merged_into,
                       const std::string& usage);

/// One line of `--json`.
boost::json::object to_json(const WorkflowEvent& event, const std::string& workflow_id);

}  // namespace autoexec::cli
