#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::inline v1 {

/// What a person is asked.
enum class QuestionKind {
    question,    ///< Answered by a text, or by one of its options.
    permission,  ///< For a tool: answered by one of its options, or denied.
};
std::string_view to_string(QuestionKind kind) noexcept;

/// A possible answer.
struct QuestionOption {
    std::string id;     ///< Unique within its question.
    std::string label;  ///< For people.

    bool operator==(const QuestionOption&) const = default;
};

/// What a command waits for: a person's answer. See `doc/file-protocol.md`.
struct Question {
    QuestionKind kind = QuestionKind::question;
    std::string id;  ///< Not that of another question of the attempt.
    std::string text;
    std::vector<QuestionOption> options;
    std::optional<std::chrono::system_clock::time_point> since;

    bool operator==(const Question&) const = default;
};

/// The answer to a question. Without a text and an option, permission is denied, and a question has
/// no answer.
struct Answer {
    std::string question_id;
    std::string option;  ///< The id of one.
    std::string text;

    /// True if it has neither.
    [[nodiscard]] bool denies() const noexcept { return option.empty() && text.empty(); }

    bool operator==(const Answer&) const = default;
};

}  // namespace autoexec::inline v1
