#pragma once

#include "cli/top/answer_page.hpp"
#include "cli/top/frame.hpp"
#include "cli/top/keys.hpp"
#include "cli/top/line_editor.hpp"
#include "cli/top/log_text.hpp"
#include "cli/top/rows.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// What a key asks of the caller.
struct TopRequest {
    bool quits = false;
    bool redraws = false;
    std::vector<std::string> subcommand{};  ///< To be run; empty: none.
};

/// An attempt of an execution, for its details.
struct TopAttempt {
    std::string attempt_id;
    std::string text;  ///< How it ended.
};

/// What `autoexec top` shows, and what keys do to it. No input and output.
class Dashboard {
public:
    using Time = std::chrono::system_clock::time_point;

    explicit Dashboard(std::string project) : project_(std::move(project)) {}

    void show(const ProjectState& state);
    /// A sentence until the next key.
    void show_message(std::string message) { message_ = std::move(message); }

    TopRequest press(const KeyPress& key);
    [[nodiscard]] Frame draw(const Screen::Size& size, Time now);

    /// The row whose details are shown; null: none.
    [[nodiscard]] const TopRow* opened() const noexcept { return opened_ ? &*opened_ : nullptr; }
    /// Its attempts that have ended, oldest first.
    void show_attempts(std::vector<TopAttempt> attempts);
    /// The attempt whose output is shown; empty: none.
    [[nodiscard]] std::string shown_attempt() const;
    /// Of that attempt.
    [[nodiscard]] LogText& log() noexcept { return log_; }

private:
    /// Of the details of a row: what is known about it, and its output.
    enum class Parts { both, output, details };

    /// A question that y answers, and anything else ends.
    struct Confirmation {
        std::string sentence;
        std::vector<std::string> words;
    };

    void update_opened();
    void select(std::size_t row);
    void move(long rows);
    void open();
    void close();
    void step_attempt(bool forward);
    void find(bool forward);
    void find_row(bool forward);
    void ask_to_cancel();
    void ask_to_run_again(bool in_its_session);
    void answer();
    [[nodiscard]] const TopRow* current() const noexcept;

    TopRequest press_in_search(const KeyPress& key);
    TopRequest press_in_confirmation(const KeyPress& key);
    TopRequest press_in_answer(const KeyPress& key);
    TopRequest press_command(const KeyPress& key);
    bool press_in_list(const KeyPress& key);
    bool press_in_details(const KeyPress& key);

    [[nodiscard]] Frame draw_list(const Screen::Size& size, Time now);
    [[nodiscard]] Frame draw_details(const Screen::Size& size, Time now);
    [[nodiscard]] static Frame draw_help();
    void add_bottom(Frame& frame, const Screen::Size& size) const;
    [[nodiscard]] std::string title() const;
    [[nodiscard]] std::string log_title() const;
    [[nodiscard]] std::vector<Line> details_of(const TopRow& row, Time now) const;

    std::string project_;
    bool is_known_ = false;  ///< `show` was called.
    std::string engine_;
    std::vector<TopRow> rows_;
    std::size_t selected_ = 0;
    std::string selected_id_;   ///< Empty: the first one, whichever that is.
    std::size_t list_top_ = 0;  ///< The first line of the list that is visible.
    std::size_t page_ = 1;      ///< How many lines are visible.
    std::string message_;

    std::optional<TopRow> opened_;
    std::vector<TopAttempt> attempts_;
    std::optional<std::size_t> attempt_;  ///< Absent: the last one.
    Parts parts_ = Parts::both;
    LogText log_;

    bool helps_ = false;
    std::optional<LineEditor> search_;
    std::string found_text_;
    std::optional<Confirmation> confirmation_;
    std::optional<AnswerPage> answer_;
};

}  // namespace autoexec::cli
