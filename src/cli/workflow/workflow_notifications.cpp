#include "cli/workflow/workflow_notifications.hpp"

#include "cli/workflow/manual_step.hpp"
#include "cli/workflow/workflow_display.hpp"
#include "text/json.hpp"

#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_notified_text = 300;

using Kind = notify::Kind;
using Type = WorkflowEvent::Type;

// A gate whose last round failed ends a step that had completed.
std::optional<Kind> kind_of(const WorkflowEvent& event)
{
    if (event.type == Type::step_waiting) return Kind::needs_input;
    if (event.type != Type::step_ended && event.type != Type::gate_judged) return std::nullopt;
    if (event.state == StepState::failed || event.state == StepState::timeout) return Kind::failed;
    const bool has_completed =
        event.type == Type::step_ended && event.state == StepState::completed;
    return has_completed ? std::optional(Kind::completed) : std::nullopt;
}

std::string text_of(const WorkflowEvent& event, Kind kind)
{
    StepEntry step;
    step.wait = event.wait;
    auto text = fmt::format("{} ({}): {}", event.step_id, event.run_id,
                            event.wait                          ? waiting_sentence(step)
                            : kind == Kind::needs_input         ? "waits for a person"
                            : event.state == StepState::timeout ? "timed out"
                                                                : to_string(kind));
    const auto reason = event.result != nullptr ? event.result->reason : std::string();
    if (!reason.empty()) text += ": " + reason;
    return notify::one_line(text, max_notified_text);
}

}  // namespace

std::optional<notify::Notification> notification_of(const WorkflowEvent& event,
                                                    const std::string& workflow_id)
{
    const auto kind = kind_of(event);
    if (!kind) return std::nullopt;
    notify::Notification n;
    n.kind = *kind;
    n.subject =
        fmt::format("{} {} {} {}", event.run_id, event.step_id, event.round, to_string(event.type));
    n.text = text_of(event, *kind);
    n.message = to_json(event, workflow_id);
    return n;
}

notify::Notification notification_of(const WorkflowResult& result, const std::string& summary)
{
    notify::Notification n;
    n.kind = Kind::run_ended;
    n.subject = result.run_id;
    n.text = notify::one_line(summary.substr(0, summary.find('\n')), max_notified_text);
    n.message = autoexec::to_json(result);
    n.message.erase("steps");
    return n;
}

}  // namespace autoexec::cli
