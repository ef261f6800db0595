#include "cli/workflow/workflow_text.hpp"

#include "cli/session/project.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <string_view>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t max_failures = 10;

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

std::string step_line(const StepResult& result)
{
    const auto duration =
        result.round > 0 ? text::format_duration(result.duration) : std::string("-");
    auto line = fmt::format("{:9} {:8} {:>7}  {}", to_string(result.state), execution_of(result),
                            duration, text::printable(result.id));
    std::string numbers;
    if (result.round > 1) numbers = fmt::format("round {}", result.round);
    if (result.execution && result.execution->attempts > 1)
        numbers +=
            fmt::format("{}attempt {}", numbers.empty() ? "" : ", ", result.execution->attempts);
    if (!numbers.empty()) line += fmt::format("  ({})", numbers);
    if (!result.reason.empty()) line += "  " + text::printable(result.reason);
    if (result.tolerated && is_failure(result)) line += "  (the workflow continues)";
    return line;
}

std::string sentence_of(const WorkflowEvent& event)
{
    if (event.type == WorkflowEvent::Type::restarted)
        return text::printable(fmt::format("Running again: {}", fmt::join(event.steps, ", ")));
    const bool is_of_gate = event.type == WorkflowEvent::Type::gate_judged ||
                            event.type == WorkflowEvent::Type::sent_back;
    if (!is_of_gate) return {};
    auto text =
        fmt::format("{}: {}", text::printable(event.step_id), text::printable(event.message));
    if (event.steps.size() > 1)
        text += text::printable(fmt::format("; running again: {}", fmt::join(event.steps, ", ")));
    return text;
}

std::string summary_of(const WorkflowResult& result, const std::string& merged_into)
{
    auto text = fmt::format(
        "{} {} in {}: {}\n", text::printable(result.workflow_id),
        result.status == WorkflowStatus::cancelled ? "was cancelled" : to_string(result.status),
        text::format_duration(result.duration), counts_of(result.steps));
    if (result.critical_path.size() > 1)
        text += fmt::format("Critical path: {}\n", chain_of(result));
    const auto failures = failures_of(result);
    text += failures;
    if (failures.empty() && result.status == WorkflowStatus::failed)
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
    if (event.type == WorkflowEvent::Type::sent_back ||
        event.type == WorkflowEvent::Type::restarted)
        o["steps"] = json::array(event.steps.begin(), event.steps.end());
    const bool has_ended = event.type == WorkflowEvent::Type::step_ended ||
                           event.type == WorkflowEvent::Type::step_skipped;
    if (has_ended && event.result != nullptr) o["result"] = autoexec::to_json(*event.result);
    return o;
}

}  // namespace autoexec::cli
