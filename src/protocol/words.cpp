#include "protocol/words.hpp"

#include "autoexec/event.hpp"
#include "autoexec/view.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace autoexec::inline v1 {
namespace {

using namespace std::string_view_literals;

/// The words of an enumeration, in the order of its values.
template <class Enum>
constexpr int words_of = 0;

template <>
constexpr std::array words_of<ExecutionStatus>{"completed"sv, "failed"sv, "timeout"sv,
                                               "cancelled"sv};
template <>
constexpr std::array words_of<CompletionMethod>{"none"sv, "status_file"sv, "artifact_detection"sv};

template <>
constexpr std::array words_of<Verification>{"none"sv, "partial"sv, "all"sv};

template <>
constexpr std::array words_of<ReportedStatus>{"pending"sv, "running"sv, "completed"sv, "failed"sv};

template <>
constexpr std::array words_of<EventStatus>{"started"sv,    "pending"sv, "running"sv,
                                           "completed"sv,  "failed"sv,  "cancelled"sv,
                                           "interrupted"sv};
template <>
constexpr std::array words_of<EventType>{
    "command_detected"sv,      "execution_started"sv,   "status_updated"sv,
    "progress_updated"sv,      "command_unclaimed"sv,   "execution_completed"sv,
    "execution_failed"sv,      "execution_cancelled"sv, "execution_retry"sv,
    "execution_interrupted"sv, "status_rejected"sv,     "agent_lost"sv,
    "secret_in_command"sv,     "input_needed"sv,        "input_ended"sv,
    "prompt_sent"sv,           "permission_decided"sv,  "polling_only"sv,
    "starts_paused"sv,         "starts_resumed"sv,      "agent_paused"sv,
    "breaker_opened"sv,        "breaker_closed"sv,      "fallback_chosen"sv,
    "waiting_for_agent"sv,     "waiting_for_resume"sv,  "waiting_for_slot"sv,
    "waiting_for_worktree"sv};

template <>
constexpr std::array words_of<QuestionKind>{"question"sv, "permission"sv};

template <>
constexpr std::array words_of<StepState>{"pending"sv,   "running"sv, "waiting_manual"sv,
                                         "completed"sv, "failed"sv,  "timeout"sv,
                                         "cancelled"sv, "skipped"sv};
template <>
constexpr std::array words_of<StepDecision>{"approved"sv, "rejected"sv, "done"sv, "failed"sv};
template <>
constexpr std::array words_of<WorkflowStatus>{"running"sv, "completed"sv, "failed"sv,
                                              "cancelled"sv};
template <>
constexpr std::array words_of<WorkflowEvent::Type>{
    "run_started"sv,  "run_waiting"sv,  "step_started"sv,  "step_prepared"sv, "step_ready"sv,
    "step_retried"sv, "step_waiting"sv, "step_executed"sv, "step_ended"sv,    "step_skipped"sv,
    "expanded"sv,     "picked"sv,       "gate_judged"sv,   "sent_back"sv,     "restarted"sv,
    "merged"sv,       "run_ended"sv};

template <>
constexpr std::array words_of<ExecutionState>{"queued"sv,     "starting"sv,    "waiting"sv,
                                              "running"sv,    "needs_input"sv, "ending"sv,
                                              "interrupted"sv};

template <>
constexpr std::array words_of<WorktreeMode>{"step"sv, "workflow"sv, "in_place"sv};

template <class Enum>
std::string_view word_of(Enum value) noexcept
{
    const auto index = static_cast<std::size_t>(value);
    return index < words_of<Enum>.size() ? words_of<Enum>[index] : "unknown";
}

}  // namespace

std::string_view to_string(ExecutionStatus value) noexcept
{
    return word_of(value);
}

std::string_view to_string(CompletionMethod value) noexcept
{
    return word_of(value);
}

std::string_view to_string(Verification value) noexcept
{
    return word_of(value);
}

std::string_view to_string(ReportedStatus value) noexcept
{
    return word_of(value);
}

std::string_view to_string(EventType value) noexcept
{
    return word_of(value);
}

std::string_view to_string(EventStatus value) noexcept
{
    return word_of(value);
}

std::string_view to_string(QuestionKind value) noexcept
{
    return word_of(value);
}

std::string_view to_string(StepState value) noexcept
{
    return word_of(value);
}

std::string_view to_string(StepDecision value) noexcept
{
    return word_of(value);
}

std::string_view to_string(WorkflowStatus value) noexcept
{
    return word_of(value);
}

std::string_view to_string(WorkflowEvent::Type value) noexcept
{
    return word_of(value);
}

std::string_view to_string(ExecutionState value) noexcept
{
    return word_of(value);
}

std::string_view to_string(WorktreeMode value) noexcept
{
    return word_of(value);
}

}  // namespace autoexec::inline v1

namespace autoexec::protocol {

template <class Enum>
std::optional<Enum> parse_word(std::string_view word) noexcept
{
    const auto& words = words_of<Enum>;
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) return std::nullopt;
    return static_cast<Enum>(found - words.begin());
}

template std::optional<ExecutionStatus> parse_word(std::string_view) noexcept;
template std::optional<Verification> parse_word(std::string_view) noexcept;
template std::optional<ReportedStatus> parse_word(std::string_view) noexcept;
template std::optional<QuestionKind> parse_word(std::string_view) noexcept;
template std::optional<StepState> parse_word(std::string_view) noexcept;
template std::optional<StepDecision> parse_word(std::string_view) noexcept;
template std::optional<WorkflowStatus> parse_word(std::string_view) noexcept;
template std::optional<WorkflowEvent::Type> parse_word(std::string_view) noexcept;
template std::optional<WorktreeMode> parse_word(std::string_view) noexcept;

}  // namespace autoexec::protocol
