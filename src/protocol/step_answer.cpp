#include "protocol/step_answer.hpp"

#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <vector>

namespace autoexec::protocol {

namespace json = boost::json;

json::object to_json(const ManualWait& wait)
{
    return {{"text", text::text_or_null(wait.text)},
            {"by", text::text_or_null(wait.by)},
            {"until", text::text_or_null(text::iso_utc(wait.until))},
            {"approval", wait.is_approval}};
}

json::object to_json(const StepAnswer& answer)
{
    return {{"decision", to_string(answer.decision)},
            {"by", text::text_or_null(answer.by)},
            {"reason", text::text_or_null(answer.reason)},
            {"at", text::text_or_null(text::iso_utc(answer.at))}};
}

std::optional<ManualWait> read_manual_wait(const text::Fields& in)
{
    if (in.empty()) return std::nullopt;
    return ManualWait{in.string("text").value_or(""), in.string("by").value_or(""),
                      in.time("until"), in.boolean("approval").value_or(false)};
}

std::optional<StepAnswer> read_step_answer(const text::Fields& in)
{
    const auto decision = parse_word<StepDecision>(in.string("decision").value_or(""));
    if (!decision) return std::nullopt;
    return StepAnswer{*decision, in.string("by").value_or(""), in.string("reason").value_or(""),
                      in.time("at")};
}

std::string format_step_answer(const StepAnswerFile& file)
{
    json::object out{{"execution_id", file.execution_id}};
    const auto answer = to_json(file.answer);
    out.insert(answer.begin(), answer.end());
    return text::dump_indented(out);
}

std::optional<StepAnswerFile> parse_step_answer(std::string_view text)
{
    const auto json = text::read_json_object(text);
    if (json.kind != text::JsonReading::Kind::valid || json.repaired || !json.warnings.empty())
        return std::nullopt;
    std::vector<std::string> complaints;
    const text::Fields in(&json.object, complaints);
    StepAnswerFile file;
    file.execution_id = in.string("execution_id").value_or("");
    const auto answer = read_step_answer(in);
    if (!answer || !complaints.empty() || file.execution_id.empty() || answer->by.empty() ||
        answer->reason.size() > max_step_reason || answer->by.size() > max_step_answerer)
        return std::nullopt;
    file.answer = *answer;
    return file;
}

}  // namespace autoexec::protocol
