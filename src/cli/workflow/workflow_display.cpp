#include "cli/workflow/workflow_display.hpp"

#include "cli/session/display.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace autoexec::cli {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

bool is_in_flight(StepState state)
{
    return state == StepState::running || state == StepState::waiting_manual;
}

}  // namespace

WorkflowDisplay::WorkflowDisplay(Screen::Mode mode, const Workflow& workflow)
    : screen_(mode, [this](const Screen::Size& size) { return table(size); })
{
    for (const auto& step : workflow.steps) states_[step.id] = StepState::pending;
}

void WorkflowDisplay::publish(const Event& event)
{
    if (run_id_.empty() || event.workflow_id != run_id_) return;
    auto* const row = find(event.step_id.value_or(""));
    if (row == nullptr) return;
    row->attempt = event.attempt;
    if (const auto state = state_of(event); !state.empty()) row->state = state;
    const auto what = sentence_of(event);
    if (event.progress)
        row->progress = text_of(event.progress);
    else if (event.type == EventType::execution_retry)
        row->progress = what;
    // The event of the step announces its start.
    const bool is_start = event.type == EventType::execution_started && event.attempt == 1;
    if (screen_.mode() == Screen::Mode::lines && !what.empty() && !is_start)
        print_message("{}: {}\n", text::printable(row->step_id), text::printable(what));
}

void WorkflowDisplay::record_earlier(const std::string& step_id, StepState state)
{
    const auto step = states_.find(step_id);
    if (step != states_.end()) step->second = state;
}

void WorkflowDisplay::record(const WorkflowEvent& event)
{
    switch (event.type) {
        case WorkflowEvent::Type::run_started:
            run_id_ = event.run_id;
            break;
        case WorkflowEvent::Type::step_started:
            begin(event);
            break;
        case WorkflowEvent::Type::step_waiting:
            states_[event.step_id] = event.state;
            if (auto* const row = find(event.step_id)) row->state = "manual";
            break;
        case WorkflowEvent::Type::step_ended:
        case WorkflowEvent::Type::step_skipped:
            end(event);
            break;
        case WorkflowEvent::Type::sent_back:
        case WorkflowEvent::Type::restarted:
            send_back(event);
            break;
        default:
            break;
    }
}

void WorkflowDisplay::begin(const WorkflowEvent& event)
{
    states_[event.step_id] = event.state;
    Row row;
    row.step_id = event.step_id;
    row.state = "waiting";
    row.round = event.round;
    row.since = std::chrono::steady_clock::now();
    rows_.push_back(std::move(row));
    if (screen_.mode() != Screen::Mode::lines) return;
    print_message("{}: started{}\n", text::printable(event.step_id),
                  event.round > 1 ? fmt::format(", round {}", event.round) : std::string());
}

void WorkflowDisplay::end(const WorkflowEvent& event)
{
    const bool again = outdated_.erase(event.step_id) > 0;
    states_[event.step_id] = again ? StepState::pending : event.state;
    std::erase_if(rows_, [&](const Row& row) { return row.step_id == event.step_id; });
}

void WorkflowDisplay::send_back(const WorkflowEvent& event)
{
    for (const auto& id : event.steps) {
        if (is_in_flight(states_[id]))
            outdated_.insert(id);
        else
            states_[id] = StepState::pending;
    }
}

WorkflowDisplay::Row* WorkflowDisplay::find(const std::string& step_id)
{
    const auto at = std::find_if(rows_.begin(), rows_.end(),
                                 [&](const Row& row) { return row.step_id == step_id; });
    return at == rows_.end() ? nullptr : &*at;
}

std::vector<std::string> WorkflowDisplay::table(const Screen::Size& size) const
{
    const auto shown = std::min(rows_.size(), room_for_rows(size));
    std::size_t id_width = 0;
    for (const auto& row : rows_) id_width = std::max(id_width, row.step_id.size());
    id_width = std::min(id_width, std::max<std::size_t>(size.columns / 3, 12));
    const std::size_t fixed = 9 + id_width + 1 + 8 + 4 + 4;
    const auto rest = size.columns > fixed + 10 ? size.columns - fixed - 1 : 10;
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < shown; ++i) {
        const auto& row = rows_[i];
        const auto age = text::format_duration(duration_cast<milliseconds>(now - row.since));
        const auto round = row.round > 1 ? fmt::format("r{}", row.round) : std::string();
        lines.push_back(fmt::format("{} {} {:>7} #{:<2} {:3} {}", cell(row.state, 8),
                                    cell(row.step_id, id_width), age, row.attempt, round,
                                    cell(row.progress, rest)));
    }
    if (shown < rows_.size()) lines.push_back(fmt::format("… and {} more", rows_.size() - shown));
    const auto count = [&](auto holds) {
        return std::count_if(states_.begin(), states_.end(),
                             [&](const auto& step) { return holds(step.second); });
    };
    const auto waiting = count([](StepState s) { return s == StepState::pending; });
    const auto in_flight = count(is_in_flight);
    const auto all = static_cast<long>(states_.size());
    lines.push_back(fmt::format("{} of {} {} finished, {} running, {} waiting",
                                all - waiting - in_flight, all, all == 1 ? "step" : "steps",
                                in_flight, waiting));
    return lines;
}

}  // namespace autoexec::cli
