#pragma once

#include "autoexec/question.hpp"

#include <boost/json/object.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Text ↔ struct for questions and their answers. Pure.
namespace autoexec::protocol {

inline constexpr std::size_t max_question_id = 100;  ///< Also of an option.
inline constexpr std::size_t max_question_options = 20;
inline constexpr std::size_t max_option_label = 200;
inline constexpr std::size_t max_answer_text = 64 * 1024;
inline constexpr std::size_t max_prompt = 64 * 1024;
inline constexpr std::size_t max_prompts = 100;  ///< That wait, of an attempt.

boost::json::object to_json(const Question& question);

/// The question in a member of `object`, an object or a text. What has a wrong type counts as
/// absent, with a sentence in `complaints`. A question without an id gets one that depends on its
/// content.
std::optional<Question> question_in(const boost::json::object& object, std::string_view key,
                                    std::vector<std::string>& complaints);

/// Identifies the content of a question, without `since`.
std::string digest_of(const Question& question);

/// Why an answer is none to this question, as a sentence; empty: it is one.
std::string flaw_of(const Answer& answer, const Question& question);

/// What a person answers or says, and what an executor passes on to an agent.
struct AnswerFile {
    std::string attempt_id;
    Answer answer;  ///< Without the id of a question: none.
    /// Of the question that the executor has seen: empty in the file of a person.
    std::string digest;
    std::vector<std::string> prompts{};  ///< For further turns.
    std::int64_t earlier_prompts = 0;    ///< How many of the attempt came before these.
    /// Of the last prompt in the file of a person: the running record names it once it was taken.
    std::string prompt_id{};
};

inline constexpr std::size_t max_prompt_id = 64;

inline constexpr std::size_t answer_limit = 512 * 1024;

std::string format_answer(const AnswerFile& file);

/// Nullopt if it names no attempt, if it has neither an answer nor a prompt, if it is damaged, or
/// if a text is too long.
std::optional<AnswerFile> parse_answer(std::string_view text);

}  // namespace autoexec::protocol
