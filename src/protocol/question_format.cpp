#include "protocol/question_format.hpp"

#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

bool has_option(const Question& question, std::string_view id)
{
    return std::ranges::find(question.options, id, &QuestionOption::id) != question.options.end();
}

void read_options(const json::value& list, Question& question, std::vector<std::string>& complaints)
{
    if (!list.is_array()) {
        complaints.emplace_back("`waiting_for.options` is not a list of objects.");
        return;
    }
    const auto& items = list.get_array();
    for (const auto& item : std::span(items).first(std::min(items.size(), max_question_options))) {
        std::vector<std::string> ignored;
        const text::Fields fields(item.if_object(), ignored);
        QuestionOption option{fields.string("id").value_or(""),
                              fields.string("label").value_or("")};
        if (option.label.empty()) option.label = option.id;
        if (option.id.empty() || option.id.size() > max_question_id ||
            has_option(question, option.id))
            complaints.emplace_back("An item of `waiting_for.options` has no id of its own.");
        else
            question.options.push_back(std::move(option));
    }
    if (items.size() > max_question_options)
        complaints.emplace_back("`waiting_for.options` has too many items.");
}

Question read_question(const json::object& object, std::vector<std::string>& complaints)
{
    Question question;
    const text::Fields fields(&object, complaints, "waiting_for.");
    const auto kind = fields.string("kind");
    if (kind) {
        const auto known = parse_word<QuestionKind>(*kind);
        if (!known)
            complaints.emplace_back("`waiting_for.kind` is unknown; a question is assumed.");
        question.kind = known.value_or(QuestionKind::question);
    }
    question.id = fields.string("id").value_or("");
    question.text = fields.string("text").value_or("");
    question.since = fields.time("since");
    if (const auto* const options = object.if_contains("options"); options && !options->is_null())
        read_options(*options, question, complaints);
    return question;
}

}  // namespace

json::object to_json(const Question& question)
{
    json::array options;
    for (const auto& option : question.options)
        options.push_back(json::object{{"id", option.id}, {"label", option.label}});
    json::object out{
        {"kind", to_string(question.kind)}, {"id", question.id}, {"text", question.text}};
    if (!options.empty()) out["options"] = std::move(options);
    if (question.since) out["since"] = text::iso_utc(question.since);
    return out;
}

std::optional<Question> question_in(const json::object& object, std::string_view key,
                                    std::vector<std::string>& complaints)
{
    const auto* const value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return std::nullopt;
    Question question;
    if (const auto* const words = value->if_string()) {
        question.text = std::string(*words);
    } else if (const auto* const members = value->if_object()) {
        question = read_question(*members, complaints);
    } else {
        complaints.push_back(fmt::format("`{}` is neither an object nor a string.", key));
        return std::nullopt;
    }
    if (question.text.empty()) {
        complaints.push_back(fmt::format("`{}` has no text.", key));
        return std::nullopt;
    }
    if (question.id.size() > max_question_id) question.id.clear();
    if (question.id.empty()) question.id = digest_of(question).substr(0, 16);
    return question;
}

std::string digest_of(const Question& question)
{
    auto content = to_json(question);
    content.erase("since");
    return text::sha256_hex(text::dump_line(content));
}

std::string flaw_of(const Answer& answer, const Question& question)
{
    if (answer.question_id != question.id) return "It answers another question.";
    if (answer.text.size() > max_answer_text)
        return fmt::format("Its text has {} bytes; at most {} are allowed.", answer.text.size(),
                           max_answer_text);
    if (answer.denies()) return {};
    if (!answer.option.empty() && !answer.text.empty()) return "It has both an option and a text.";
    if (answer.option.empty())
        return question.kind == QuestionKind::permission
                   ? "Permission is given by an option, not by a text."
                   : "";
    if (has_option(question, answer.option)) return {};
    return fmt::format("The question has no option '{}'.", text::printable(answer.option));
}

std::string format_answer(const AnswerFile& file)
{
    json::object out{{"attempt_id", file.attempt_id}};
    if (!file.answer.question_id.empty()) out["question_id"] = file.answer.question_id;
    if (!file.answer.option.empty()) out["option"] = file.answer.option;
    if (!file.answer.text.empty()) out["text"] = file.answer.text;
    if (!file.digest.empty()) out["digest"] = file.digest;
    if (!file.prompts.empty()) out["prompts"] = json::value_from(file.prompts);
    if (file.earlier_prompts > 0) out["earlier_prompts"] = file.earlier_prompts;
    if (!file.prompt_id.empty()) out["prompt_id"] = file.prompt_id;
    return text::dump_indented(out);
}

std::optional<AnswerFile> parse_answer(std::string_view text)
{
    const auto json = text::read_json_object(text);
    if (json.kind != text::JsonReading::Kind::valid || json.repaired) return std::nullopt;
    std::vector<std::string> complaints;
    const text::Fields top(&json.object, complaints);
    AnswerFile file;
    file.attempt_id = top.string("attempt_id").value_or("");
    file.answer.question_id = top.string("question_id").value_or("");
    file.answer.option = top.string("option").value_or("");
    file.answer.text = top.string("text").value_or("");
    file.digest = top.string("digest").value_or("");
    file.prompts = top.strings("prompts");
    file.earlier_prompts = top.integer("earlier_prompts", 0).value_or(0);
    file.prompt_id = top.string("prompt_id").value_or("");
    const bool is_too_long = std::ranges::any_of(
        file.prompts, [](const auto& prompt) { return prompt.size() > max_prompt; });
    // Otherwise a damaged approval would become a denial, and the other way round.
    if (!complaints.empty() || !json.warnings.empty() || file.attempt_id.empty() ||
        (file.answer.question_id.empty() && file.prompts.empty()) || is_too_long ||
        file.answer.text.size() > max_answer_text || file.prompt_id.size() > max_prompt_id)
        return std::nullopt;
    return file;
}

}  // namespace autoexec::protocol
