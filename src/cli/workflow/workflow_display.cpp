#include "cli/workflow/workflow_display.hpp"

#include "cli/session/display.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/manual_step.hpp"
#include "protocol/step_answer.hpp"
#include "protocol/usage.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

namespace json = boost::json;

constexpr std::size_t max_failures = 10;
// On narrower terminals, rows have neither attempt nor round.
constexpr std::size_t min_wide = 60;

std::string execution_of(const StepResult& result)
{
    return result.execution ? short_id(result.execution->execution_id) : std::string();
}

std::string_view word_for(StepState state)
{
    return state == StepState::timeout ? "timed out" : to_string(state);
}

// `5 completed, 1 skipped`
std::string counts_of(const std::vector<StepResult>& steps)
{
    std::map<StepState, int> counts;
    for (const auto& step : steps) ++counts[step.state];
    std::string text;
    for (const auto& [state, count] : counts)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, word_for(state));
    return text;
}

std::string chain_of(const WorkflowResult& result)
{
    std::string text;
    for (const auto& id : result.critical_path) {
        const auto step = std::find_if(result.steps.begin(), result.steps.end(),
                                       [&](const StepResult& s) { return s.id == id; });
        if (step == result.steps.end()) continue;
        text += fmt::format("{}{} {}", text.empty() ? "" : " → ", text::printable(id),
                            text::format_duration(step->duration));
    }
    return text;
}

bool is_failure(const StepResult& step)
{
    return step.state == StepState::failed || step.state == StepState::timeout;
}

std::string failures_of(const WorkflowResult& result)
{
    std::string text;
    std::size_t count = 0;
    for (const auto& step : result.steps) {
        if (!is_failure(step) || ++count > max_failures) continue;
        text += fmt::format("{} {}: {}", text::printable(step.id), word_for(step.state),
                            text::printable(step.reason));
        if (step.execution && step.execution->attempts > 0)
            text += fmt::format(" (autoexec logs {})", execution_of(step));
        text += '\n';
    }
    if (count > max_failures) text += fmt::format("… and {} more\n", count - max_failures);
    return text;
}

std::string place_of_work(const WorkflowResult& result, const std::string& merged_into)
{
    const bool has_work = std::any_of(result.steps.begin(), result.steps.end(),
                                      [](const auto& step) { return !step.commit.empty(); });
    if (result.branch.empty() || result.commit.empty() || !has_work) return {};
    const auto branch = text::printable(result.branch);
    if (result.status != WorkflowStatus::completed)
        return fmt::format("The completed work is on the branch {}\n", branch);
    if (!merged_into.empty())
        return fmt::format("The work is on the branch {}, and in {}\n", branch,
                           text::printable(merged_into));
    return fmt::format("The work is on the branch {0}: git merge {0}\n", branch);
}

std::string way_on(const WorkflowResult& result)
{
    if (result.run_id.empty() || result.status == WorkflowStatus::completed) return {};
    // Cancelled and conflicting steps run again in any case.
    const bool must_be_asked =
        std::any_of(result.steps.begin(), result.steps.end(), [](const auto& step) {
            return is_failure(step) && !step.tolerated && step.state != StepState::cancelled &&
                   step.code != "merge_conflict";
        });
    return fmt::format("To resume: autoexec workflow resume{} {}\n",
                       must_be_asked ? " --from-failed" : "", text::printable(result.run_id));
}

}  // namespace

WorkflowDisplay::WorkflowDisplay(Screen::Mode mode, const Workflow& workflow)
    : screen_(mode, [this](const Screen::Size& size) { return table(size); })
{
    for (const auto& step : workflow.steps) states_[step.id] = StepState::pending;
}

void WorkflowDisplay::publish(const Event& event)
{
    const auto run = runs_.find(event.workflow_id.value_or(""));
    if (run == runs_.end()) return;
    auto* const row = find(run->second + event.step_id.value_or(""));
    if (row == nullptr) return;
    if (row->execution_id != event.execution_id) queue_.erase(row->execution_id);
    row->execution_id = event.execution_id;
    row->command = event.command;
    row->attempt = event.attempt;
    if (const auto state = state_of(event); !state.empty()) row->state = state;
    row->asks = asks_after(event, std::move(row->asks));
    queue_.publish(event);
    const auto place = queue_.place_of(event.execution_id);
    const auto what = place > 0 ? fmt::format("queued {}", place) : sentence_of(event);
    row->progress = event.type == EventType::execution_retry
                        ? what
                        : progress_after(event, std::move(row->progress));
    // The event of the step announces its start.
    const bool is_start = event.type == EventType::execution_started && event.attempt == 1;
    if (is_line(screen_.mode(), event) && !what.empty() && !is_start &&
        !repeats_wait(event, last_wait_))
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
        case WorkflowEvent::Type::run_waiting:
            runs_[event.run_id] = event.parent_steps.empty() ? "" : event.parent_steps + "/";
            break;
        case WorkflowEvent::Type::step_started:
            begin(event);
            break;
        case WorkflowEvent::Type::step_waiting:
            if (find(event.step_id) == nullptr) add_row(event);  // an earlier executor had begun it
            states_[event.step_id] = event.state;
            find(event.step_id)->state = "manual";
            break;
        case WorkflowEvent::Type::step_ended:
        case WorkflowEvent::Type::step_skipped:
            end(event);
            break;
        case WorkflowEvent::Type::expanded:
            for (const auto& id : event.steps) states_.emplace(id, StepState::pending);
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
    add_row(event);
    if (screen_.mode() != Screen::Mode::lines) return;
    print_message("{}: started{}\n", text::printable(event.step_id),
                  event.round > 1 ? fmt::format(", round {}", event.round) : std::string());
}

void WorkflowDisplay::add_row(const WorkflowEvent& event)
{
    Row row;
    row.step_id = event.step_id;
    row.state = "waiting";
    row.round = event.round;
    row.since = std::chrono::steady_clock::now();
    rows_.push_back(std::move(row));
}

void WorkflowDisplay::end(const WorkflowEvent& event)
{
    const bool again = outdated_.erase(event.step_id) > 0;
    states_[event.step_id] = again ? StepState::pending : event.state;
    if (const auto* const row = find(event.step_id)) queue_.erase(row->execution_id);
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

std::vector<std::pair<const WorkflowDisplay::Row*, std::size_t>> WorkflowDisplay::choose_rows(
    std::size_t room) const
{
    std::vector<std::pair<const Row*, std::size_t>> shown;
    for (const auto& row : rows_)
        if (shown.size() < room && !queue_.contains(row.execution_id)) shown.emplace_back(&row, 0);
    std::size_t place = 0;
    for (const auto& id : queue_.first(std::min(max_queued_rows, room - shown.size()))) {
        ++place;
        const auto row = std::ranges::find(rows_, id, [](const Row& r) { return r.execution_id; });
        if (row != rows_.end()) shown.emplace_back(&*row, place);
    }
    return shown;
}

std::vector<std::string> WorkflowDisplay::table(const Screen::Size& size) const
{
    const auto shown = choose_rows(room_for_rows(size));
    std::size_t id_width = 0;
    for (const auto& row : rows_) id_width = std::max(id_width, row.step_id.size());
    id_width = std::min(id_width, std::max<std::size_t>(size.columns / 3, 12));
    const bool is_wide = size.columns >= min_wide;
    const std::size_t fixed = 9 + id_width + 1 + 8 + (is_wide ? 4 + 4 : 0);
    const auto rest = size.columns > fixed + 1 ? size.columns - fixed - 1 : 1;
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::string> lines;
    for (const auto& [shown_row, place] : shown) {
        const auto& row = *shown_row;
        const auto& says = row.progress.empty() ? row.command : row.progress;
        const auto age = text::format_duration(duration_cast<milliseconds>(now - row.since));
        const auto round = row.round > 1 ? fmt::format("r{}", row.round) : std::string();
        lines.push_back(
            fmt::format("{} {} {:>7} {}{}", cell(state_in_table(row.state, row.asks, place), 8),
                        cell(row.step_id, id_width), age,
                        is_wide ? fmt::format("#{:<2} {:3} ", row.attempt, round) : std::string(),
                        cell(row.asks.empty() ? says : row.asks, rest)));
    }
    if (shown.size() < rows_.size())
        lines.push_back(fmt::format("… and {} more", rows_.size() - shown.size()));
    const auto count = [&](auto holds) {
        return std::count_if(states_.begin(), states_.end(),
                             [&](const auto& step) { return holds(step.second); });
    };
    const auto waiting = count([](StepState s) { return s == StepState::pending; });
    const auto in_flight = count(is_in_flight);
    const auto queued = static_cast<long>(queue_.size());
    const auto all = static_cast<long>(states_.size());
    const auto took = text::format_duration(duration_cast<milliseconds>(now - begin_));
    const auto total =
        is_wide ? text::counted(states_.size(), "step") + " finished" : fmt::format("{} done", all);
    lines.push_back(fmt::format("{}: {} of {}, {} running, {} waiting", took,
                                all - waiting - in_flight, total, in_flight - queued,
                                waiting + queued));
    return lines;
}

std::string after_state(const StepResult& result, const ModelPrices& prices)
{
    const auto duration =
        result.round > 0 ? text::format_duration(result.duration) : std::string("-");
    auto line =
        fmt::format(" {:8} {:>7}  {}", execution_of(result), duration, text::printable(result.id));
    std::string numbers;
    if (result.round > 1) numbers = fmt::format("round {}", result.round);
    if (result.execution && result.execution->attempts > 1)
        numbers +=
            fmt::format("{}attempt {}", numbers.empty() ? "" : ", ", result.execution->attempts);
    if (!numbers.empty()) line += fmt::format("  ({})", numbers);
    if (!result.cached_from.empty())
        line += fmt::format("  (cached, from {})", text::printable(result.cached_from));
    if (result.execution)
        if (const auto usage = to_text(protocol::Spending(result.execution->usage, prices));
            !usage.empty())
            line += "  " + usage;
    if (result.answer && result.reason.empty())
        line += "  " + text::printable(words_of(*result.answer));
    if (!result.reason.empty()) line += "  " + text::printable(result.reason);
    if (result.tolerated && is_failure(result)) line += "  (the workflow continues)";
    return line;
}

std::string sentence_of(const WorkflowEvent& event)
{
    if (event.type == WorkflowEvent::Type::restarted)
        return text::printable(fmt::format("Running again: {}", fmt::join(event.steps, ", ")));
    if (event.type == WorkflowEvent::Type::run_waiting) return text::printable(event.message);
    const bool is_of_gate = event.type == WorkflowEvent::Type::gate_judged ||
                            event.type == WorkflowEvent::Type::sent_back;
    if (event.type == WorkflowEvent::Type::expanded || event.type == WorkflowEvent::Type::picked)
        return fmt::format("{}: {}", text::printable(event.step_id), event.message);
    if (!is_of_gate) return {};
    auto text =
        fmt::format("{}: {}", text::printable(event.step_id), text::printable(event.message));
    if (event.steps.size() > 1)
        text += text::printable(fmt::format("; running again: {}", fmt::join(event.steps, ", ")));
    return text;
}

std::string summary_of(const WorkflowResult& result, const std::string& merged_into,
                       const std::string& usage)
{
    auto text = fmt::format(
        "{} {} in {}: {}{}{}\n", text::printable(result.workflow_id),
        result.status == WorkflowStatus::cancelled ? "was cancelled" : to_string(result.status),
        text::format_duration(result.duration),
        result.steps.empty() ? "no step was resumed" : counts_of(result.steps),
        usage.empty() ? "" : "; ", usage);
    if (result.critical_path.size() > 1)
        text += fmt::format("Critical path: {}\n", chain_of(result));
    const auto failures = failures_of(result);
    text += failures;
    const bool is_refused = std::ranges::any_of(
        result.steps, [](const StepResult& step) { return step.state == StepState::pending; });
    if ((failures.empty() || is_refused) && result.status == WorkflowStatus::failed)
        text += text::printable(result.error) + '\n';
    return text + place_of_work(result, merged_into) + way_on(result);
}

json::object to_json(const WorkflowEvent& event, const std::string& workflow_id)
{
    const bool of_step = !event.step_id.empty();
    json::object o;
    o["event"] = to_string(event.type);
    o["time"] = text::iso_utc(std::chrono::system_clock::now());
    o["run_id"] = event.run_id;
    o["workflow_id"] = workflow_id;
    o["step_id"] = text::text_or_null(event.step_id);
    if (of_step)
        o["round"] = event.round;
    else
        o["status"] = to_string(event.status);
    if (event.result != nullptr) o["state"] = to_string(event.state);
    o["message"] = text::text_or_null(event.message);
    if (!event.parent_steps.empty()) o["parent_steps"] = event.parent_steps;
    if (event.wait) o["waiting_for"] = protocol::to_json(*event.wait);
    if (event.type == WorkflowEvent::Type::expanded || event.type == WorkflowEvent::Type::picked ||
        event.type == WorkflowEvent::Type::sent_back ||
        event.type == WorkflowEvent::Type::restarted)
        o["steps"] = json::array(event.steps.begin(), event.steps.end());
    const bool has_ended = event.type == WorkflowEvent::Type::step_ended ||
                           event.type == WorkflowEvent::Type::step_skipped;
    if (has_ended && event.result != nullptr) o["result"] = autoexec::to_json(*event.result);
    return o;
}

}  // namespace autoexec::cli
