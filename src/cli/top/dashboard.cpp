#include "cli/top/dashboard.hpp"

#include "cli/session/project.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::cli {
namespace {

bool is_down(const KeyPress& key)
{
    return key.key == Key::down || key.is("j");
}

bool is_up(const KeyPress& key)
{
    return key.key == Key::up || key.is("k");
}

bool is_begin(const KeyPress& key)
{
    return key.key == Key::home || key.is("g");
}

bool is_end(const KeyPress& key)
{
    return key.key == Key::end || key.is("G");
}

}  // namespace

void Dashboard::show(const ProjectState& state)
{
    is_known_ = true;
    rows_ = rows_of(state);
    engine_ = engine_line(state);
    const auto at = std::ranges::find(rows_, selected_id_, &TopRow::id);
    if (at != rows_.end()) selected_ = static_cast<std::size_t>(at - rows_.begin());
    selected_ = std::min(selected_, rows_.empty() ? 0 : rows_.size() - 1);
    if (opened_) update_opened();
    if (!answer_) return;
    if (std::ranges::none_of(rows_, [&](const TopRow& row) { return answer_->is_of(row); }))
        answer_->end();
}

// What is gone stays as it was last.
void Dashboard::update_opened()
{
    const auto at = std::ranges::find(rows_, opened_->id, &TopRow::id);
    if (at == rows_.end()) return;
    const bool has_new_steps = at->steps != opened_->steps;
    opened_ = *at;
    if (!has_new_steps) return;
    log_.clear();
    for (const auto& step : opened_->steps) log_.append(step + '\n');
}

const TopRow* Dashboard::current() const noexcept
{
    if (opened_) return &*opened_;
    return selected_ < rows_.size() ? &rows_[selected_] : nullptr;
}

void Dashboard::select(std::size_t row)
{
    if (rows_.empty()) return;
    selected_ = std::min(row, rows_.size() - 1);
    selected_id_ = rows_[selected_].id;
}

void Dashboard::move(long rows)
{
    if (opened_) return log_.scroll(rows);
    const auto back = static_cast<std::size_t>(rows < 0 ? -rows : 0);
    select(rows < 0 ? selected_ - std::min(selected_, back)
                    : selected_ + static_cast<std::size_t>(rows));
}

void Dashboard::open()
{
    if (rows_.empty()) return;
    select(selected_);
    opened_ = rows_[selected_];
    attempts_.clear();
    attempt_.reset();
    log_.clear();
    for (const auto& step : opened_->steps) log_.append(step + '\n');
}

void Dashboard::close()
{
    opened_.reset();
    log_.clear();
}

void Dashboard::show_attempts(std::vector<TopAttempt> attempts)
{
    attempts_ = std::move(attempts);
    // One that has not ended.
    const auto& id = opened_->attempt_id;
    if (!id.empty() && std::ranges::find(attempts_, id, &TopAttempt::attempt_id) == attempts_.end())
        attempts_.push_back({id, opened_->state});
}

std::string Dashboard::shown_attempt() const
{
    if (!opened_ || opened_->kind != TopRow::Kind::execution) return {};
    if (attempt_ && *attempt_ < attempts_.size()) return attempts_[*attempt_].attempt_id;
    return attempts_.empty() ? opened_->attempt_id : attempts_.back().attempt_id;
}

void Dashboard::step_attempt(bool forward)
{
    if (attempts_.empty()) return;
    const auto now = attempt_.value_or(attempts_.size() - 1);
    if (forward && now + 1 < attempts_.size()) attempt_ = now + 1;
    if (!forward && now > 0) attempt_ = now - 1;
    if (attempt_ == attempts_.size() - 1) attempt_.reset();  // later ones follow it
}

void Dashboard::find(bool forward)
{
    if (found_text_.empty()) return;
    if (!opened_) return find_row(forward);
    if (!log_.find(found_text_, forward)) message_ = fmt::format("Not found: {}", found_text_);
}

void Dashboard::find_row(bool forward)
{
    for (std::size_t step = 1; step <= rows_.size(); ++step) {
        const auto at = (selected_ + (forward ? step : rows_.size() - step)) % rows_.size();
        const auto& row = rows_[at];
        const auto text = fmt::format("{} {} {} {} {} {}", row.state, row.id, row.agent,
                                      shown_path(row.worktree), row.command, row.note);
        if (find_text(text, found_text_) != std::string::npos) return select(at);
    }
    message_ = fmt::format("Not found: {}", found_text_);
}

void Dashboard::ask_to_cancel()
{
    const auto* const row = current();
    if (row == nullptr || !row->can_be_cancelled) {
        message_ = "This cannot be cancelled: it does not run, and does not wait.";
        return;
    }
    Confirmation confirmation;
    if (row->kind == TopRow::Kind::run) {
        confirmation.sentence = fmt::format("Cancel the run {}? y/n", row->id);
        confirmation.words = {"workflow", "cancel", "--no-wait", row->id};
    } else {
        confirmation.sentence =
            fmt::format("Cancel {}? y/n  ({})", short_id(row->id), row->command);
        confirmation.words = {"cancel", "--no-wait", row->id};
    }
    confirmation_ = std::move(confirmation);
}

void Dashboard::ask_to_run_again(bool in_its_session)
{
    const auto* const row = current();
    if (row == nullptr || !row->can_run_again) {
        message_ = "Only a command that has ended can run again.";
        return;
    }
    Confirmation confirmation;
    confirmation.sentence =
        fmt::format("{} {}? y/n  ({})", in_its_session ? "Continue" : "Run again",
                    short_id(row->id), row->command);
    confirmation.words = {"rerun", "--detach"};
    if (in_its_session) confirmation.words.emplace_back("--continue");
    confirmation.words.push_back(row->id);
    confirmation_ = std::move(confirmation);
}

void Dashboard::answer()
{
    const auto* const row = current();
    if (row == nullptr || row->section != Section::needs_you)
        message_ = "This asks nothing.";
    else
        answer_.emplace(*row);
}

TopRequest Dashboard::press(const KeyPress& key)
{
    if (key.key == Key::redraw) return {.redraws = true};
    message_.clear();
    if (search_) return press_in_search(key);
    if (confirmation_) return press_in_confirmation(key);
    if (answer_) return press_in_answer(key);
    if (helps_) {
        helps_ = false;
        return {};
    }
    return press_command(key);
}

TopRequest Dashboard::press_in_search(const KeyPress& key)
{
    if (key.key == Key::escape) search_.reset();
    if (key.key == Key::enter) {
        found_text_ = search_->text();
        search_.reset();
        find(true);
    }
    if (search_) search_->press(key);
    return {};
}

TopRequest Dashboard::press_in_confirmation(const KeyPress& key)
{
    TopRequest request;
    if (key.is("y")) request.subcommand = std::move(confirmation_->words);
    confirmation_.reset();
    return request;
}

TopRequest Dashboard::press_in_answer(const KeyPress& key)
{
    TopRequest request;
    const auto outcome = answer_->press(key);
    if (outcome == AnswerPage::Outcome::answered) request.subcommand = answer_->words();
    if (outcome != AnswerPage::Outcome::open) answer_.reset();
    return request;
}

TopRequest Dashboard::press_command(const KeyPress& key)
{
    if (opened_ ? press_in_details(key) : press_in_list(key)) return {};
    if (key.is("q")) return {.quits = true};
    if (is_down(key)) move(1);
    if (is_up(key)) move(-1);
    if (key.key == Key::page_down || key.is(" ")) move(static_cast<long>(page_));
    if (key.key == Key::page_up) move(-static_cast<long>(page_));
    if (key.is("c")) ask_to_cancel();
    if (key.is("a")) answer();
    if (key.is("r") || key.is("R")) ask_to_run_again(key.is("R"));
    if (key.is("/")) search_.emplace();
    if (key.is("n")) find(true);
    if (key.is("N")) find(false);
    if (key.is("?")) helps_ = true;
    return {};
}

bool Dashboard::press_in_list(const KeyPress& key)
{
    if (key.key == Key::enter)
        open();
    else if (is_begin(key))
        select(0);
    else if (is_end(key))
        select(rows_.size());
    else
        return false;
    return true;
}

bool Dashboard::press_in_details(const KeyPress& key)
{
    if (key.is("q") || key.key == Key::escape)
        close();
    else if (is_begin(key))
        log_.to_begin();
    else if (is_end(key) || key.is("f"))
        log_.to_end();
    else if (key.key == Key::left || key.key == Key::right)
        step_attempt(key.key == Key::right);
    else if (key.key == Key::tab)
        parts_ = parts_ == Parts::both     ? Parts::output
                 : parts_ == Parts::output ? Parts::details
                                           : Parts::both;
    else
        return false;
    return true;
}

}  // namespace autoexec::cli
