#pragma once

#include "cli/top/keys.hpp"
#include "cli/top/line_editor.hpp"
#include "cli/top/log_text.hpp"
#include "cli/top/rows.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// What a person is asked, with the possible answers.
class AnswerPage {
public:
    /// `row` must ask something.
    explicit AnswerPage(const TopRow& row);

    /// Whether this is still what `row` asks.
    [[nodiscard]] bool is_of(const TopRow& row) const;

    /// Accepts no answer from now on. It stays until Enter or Escape: what a person is typing must
    /// not become commands.
    void end() noexcept { has_ended_ = true; }

    enum class Outcome { open, closed, answered };
    Outcome press(const KeyPress& key);
    /// The words of the subcommand that answers, once the outcome is `answered`.
    [[nodiscard]] std::vector<std::string> words() const;

    [[nodiscard]] Frame draw(const Screen::Size& size);

private:
    struct Choice {
        std::string label;
        std::vector<std::string> words;
        std::string text_prompt{};  ///< Not empty: a text belongs to it.
    };

    void add_question(const Question& question);
    void add_manual_step(const TopRow& row);
    Outcome choose(std::size_t choice);

    std::string row_id_;
    std::string question_id_;
    std::string title_;
    std::vector<std::string> target_;  ///< The first words of the subcommand.
    LogText text_;
    std::vector<Choice> choices_;
    std::size_t selected_ = 0;
    bool has_ended_ = false;
    std::optional<LineEditor> editor_;  ///< For the text of the selected one.
};

}  // namespace autoexec::cli
