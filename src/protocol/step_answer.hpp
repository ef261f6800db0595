#pragma once

#include "autoexec/workflow_result.hpp"
#include "text/json_fields.hpp"

#include <boost/json/object.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// Text ↔ struct for manual steps: what they wait for, and people's answers. Pure.
namespace autoexec::protocol {

inline constexpr std::size_t step_answer_limit = 256 * 1024;
inline constexpr std::size_t max_step_reason = 16 * 1024;
inline constexpr std::size_t max_step_answerer = 256;

boost::json::object to_json(const ManualWait& wait);
boost::json::object to_json(const StepAnswer& answer);

/// Nullopt for an empty object.
std::optional<ManualWait> read_manual_wait(const text::Fields& in);
/// Nullopt without a known decision.
std::optional<StepAnswer> read_step_answer(const text::Fields& in);

/// `running/decisions/RUN/ID`: a person's answer, for the executor of the run.
struct StepAnswerFile {
    std::string execution_id;  ///< Of the round of the step that waits.
    StepAnswer answer;

    bool operator==(const StepAnswerFile&) const = default;
};

std::string format_step_answer(const StepAnswerFile& file);

/// Nullopt if the text is damaged, if it names no execution, decision or author, or if a text is
/// too long: a damaged file must not become an approval, and an answer without an author is that of
/// a deadline.
std::optional<StepAnswerFile> parse_step_answer(std::string_view text);

}  // namespace autoexec::protocol
