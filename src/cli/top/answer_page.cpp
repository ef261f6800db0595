#include "cli/top/answer_page.hpp"

#include "cli/session/project.hpp"
#include "protocol/control_files.hpp"
#include "text/columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::string_view deny_option = "deny";
constexpr std::string_view choice_keys = "Up/Down, Enter choose  PgUp/PgDn scroll  Esc later";
constexpr std::string_view ended_text = "The question has ended. Enter or Esc: back";
constexpr std::string_view text_keys = "Enter send  Esc back";

}  // namespace

AnswerPage::AnswerPage(const TopRow& row)
    : row_id_(row.id), question_id_(row.question ? row.question->id : row.wait_id)
{
    if (row.question) {
        const bool is_permission = row.question->kind == QuestionKind::permission;
        title_ = fmt::format("{} {}: {}", short_id(row.id),
                             is_permission ? "asks for permission" : "asks", row.command);
        target_ = {"answer", row.attempt_id, "--question=" + row.question->id};
        add_question(*row.question);
    } else {
        title_ = "The step is yours: " + row.id;
        target_ = {"answer", row.id};
        if (row.wait) target_.push_back("--question=" + row.wait_id);
        add_manual_step(row);
    }
    text_.to_begin();
}

// Nothing is allowed by Enter alone.
void AnswerPage::add_question(const Question& question)
{
    text_.append(question.text);
    const bool is_permission = question.kind == QuestionKind::permission;
    if (!is_permission) choices_.push_back({"Answer in words", {}, "Answer: "});
    choices_.push_back({is_permission ? "Deny" : "Give no answer", {"--deny"}});
    for (const auto& option : question.options) {
        if (is_permission && option.id == deny_option) continue;  // the same as the first one
        auto label =
            option.label.empty() ? option.id : fmt::format("{} ({})", option.label, option.id);
        choices_.push_back({std::move(label), {"--option=" + option.id}});
    }
}

void AnswerPage::add_manual_step(const TopRow& row)
{
    if (row.wait) {
        text_.append(row.note + "\n\n" + row.wait->text + "\n\nIn " + row.worktree.string());
    } else {
        text_.append("Instructions: " + (row.worktree / control_files::simple).string());
    }
    if (row.wait && row.wait->is_approval)
        choices_ = {{"Leave it for later", {}},
                    {"Approve", {"--option=approve"}},
                    {"Reject", {"--option=reject"}, "Reason: "}};
    else
        choices_ = {{"Leave it for later", {}},
                    {"It is done", {"--option=done"}},
                    {"It cannot be done", {"--deny"}, "Reason: "}};
}

bool AnswerPage::is_of(const TopRow& row) const
{
    return row.id == row_id_ && row.section == Section::needs_you &&
           (row.question ? row.question->id : row.wait_id) == question_id_ &&
           (!row.question || target_[1] == row.attempt_id);
}

AnswerPage::Outcome AnswerPage::press(const KeyPress& key)
{
    if (has_ended_) {
        const bool closes = key.key == Key::enter || key.key == Key::escape;
        return closes ? Outcome::closed : Outcome::open;
    }
    if (editor_) {
        if (key.key == Key::escape) editor_.reset();
        if (key.key == Key::enter)
            return editor_->text().empty() ? Outcome::open : Outcome::answered;
        if (editor_) editor_->press(key);
        return Outcome::open;
    }
    if (key.key == Key::escape || key.is("q")) return Outcome::closed;
    if (key.key == Key::enter) return choose(selected_);
    if (key.key == Key::page_up) text_.scroll(-5);
    if (key.key == Key::page_down) text_.scroll(5);
    if ((key.key == Key::up || key.is("k")) && selected_ > 0) --selected_;
    if ((key.key == Key::down || key.is("j")) && selected_ + 1 < choices_.size()) ++selected_;
    return Outcome::open;
}

AnswerPage::Outcome AnswerPage::choose(std::size_t choice)
{
    if (choices_[choice].text_prompt.empty())
        return choices_[choice].words.empty() ? Outcome::closed : Outcome::answered;
    editor_.emplace();
    return Outcome::open;
}

std::vector<std::string> AnswerPage::words() const
{
    auto words = target_;
    const auto& choice = choices_[selected_];
    words.insert(words.end(), choice.words.begin(), choice.words.end());
    if (editor_) words.push_back("--text=" + editor_->text());
    words.emplace_back("--no-wait");
    return words;
}

Frame AnswerPage::draw(const Screen::Size& size)
{
    const auto rows = std::max<std::size_t>(size.rows, 6);
    const auto choice_rows = std::min(choices_.size(), rows / 2);
    text_.set_size(size.columns, rows - choice_rows - 3);
    Frame frame;
    frame.lines.push_back({title_, Style::heading});
    for (auto& line : text_.visible()) frame.lines.push_back(std::move(line));
    frame.lines.resize(rows - choice_rows - 2);
    const auto first = selected_ < choice_rows ? 0 : selected_ - choice_rows + 1;
    for (auto i = first; i < first + choice_rows; ++i)
        frame.lines.push_back({fmt::format("{} {}", i == selected_ ? '>' : ' ', choices_[i].label),
                               i == selected_ ? Style::selected : Style::plain});
    if (has_ended_ || !editor_) {
        frame.lines.push_back({has_ended_ ? std::string(ended_text) : "", Style::attention});
        frame.lines.push_back({std::string(choice_keys), Style::faint});
        return frame;
    }
    const auto& prompt = choices_[selected_].text_prompt;
    const auto columns = size.columns - std::min(size.columns, prompt.size());
    auto [text, column] = editor_->visible(columns);
    frame.cursor = Frame::Position{frame.lines.size(), prompt.size() + column};
    frame.lines.push_back({prompt + text});
    frame.lines.push_back({std::string(text_keys), Style::faint});
    return frame;
}

}  // namespace autoexec::cli
