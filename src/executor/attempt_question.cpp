#include "executor/agent_text.hpp"
#include "executor/executor_impl.hpp"
#include "text/text.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

/// Questions of an attempt to a person: announced, answered, ended.
namespace autoexec::inline v1 {
namespace {

// Then an attempt that asks in vain is no longer waited for, and its questions are not recorded.
constexpr std::size_t max_unanswered = 100;

Question shown_question(const Redactor& redactor, Question question)
{
    question.text = agent_text(redactor, question.text, max_agent_message);
    for (auto& option : question.options)
        option.label = agent_text(redactor, option.label, protocol::max_option_label);
    return question;
}

std::string_view outcome_of(const OpenQuestion& question)
{
    if (!question.answer) return "unanswered";
    const bool denied = question.answer->denies();
    return denied ? "denied" : "answered";
}

}  // namespace

std::string words_of(const OpenQuestion& question)
{
    auto words = question.shown.text;
    boost::algorithm::replace_all(words, "\n", "; ");
    return words;
}

void ExecutorCore::follow_question(Execution& x, Attempt& a)
{
    if (x.read_only || !a.monitor.status()) return;
    const auto& status = *a.monitor.status();
    const auto* const reported =
        status.waiting_for && !status.is_final() ? &*status.waiting_for : nullptr;
    // The same id with another content is not shown: an answer is only for what was asked first.
    const bool is_same = reported && a.question && reported->id == a.question->asked.id;
    if (a.question && !is_same) end_question(x, a);
    if (reported && !a.question && a.unanswered < max_unanswered) begin_question(x, a, *reported);
}

void ExecutorCore::begin_question(Execution& x, Attempt& a, const Question& question)
{
    ++a.unanswered;
    a.times.waits_for_person = true;
    a.question.emplace(OpenQuestion{question, shown_question(*options.redactor, question), {}});
    if (a.running) (void)write_running(x, a);
    auto e = event(x, a, EventType::input_needed);
    e.question = a.question->shown;
    e.details["waiting_for"] = protocol::to_json(a.question->shown);
    emit(e);
}

void ExecutorCore::end_question(Execution& x, Attempt& a)
{
    const auto ended = *std::exchange(a.question, std::nullopt);
    a.times.waits_for_person = a.times.answered = false;
    a.times.last_change = options.clock->now();
    if (ended.answer) --a.unanswered;
    if (a.running) (void)write_running(x, a);
    auto e = event(x, a, EventType::input_ended);
    e.question = ended.shown;
    e.details["question_id"] = ended.shown.id;
    e.details["outcome"] = outcome_of(ended);
    if (ended.answer && !ended.answer->option.empty()) e.details["option"] = ended.answer->option;
    if (ended.answer && !ended.answer->text.empty())
        e.details["text"] = agent_text(*options.redactor, ended.answer->text, max_agent_message);
    emit(e);
}

// The first answer to a question counts.
void ExecutorCore::pass_on_answer(Execution& x, Attempt& a) const
{
    auto file = std::exchange(x.answer, std::nullopt);
    if (!file || !a.question || a.question->answer || file->attempt_id != a.attempt_id) return;
    if (!protocol::flaw_of(file->answer, a.question->asked).empty()) return;
    file->digest = protocol::digest_of(a.question->asked);
    if (const auto ec = x.mailbox->answer(a.attempt_id, protocol::format_answer(*file))) {
        x.result.warnings.push_back(fmt::format(
            "An answer could not be passed on to the agent: {}. An agent of another process gets "
            "answers only in a git worktree.",
            ec.message()));
        return;
    }
    a.question->answer = std::move(file->answer);
    a.times.answered = true;
    options.notifier->notify(x.request.worktree);
}

bool ExecutorCore::fails_on_input(const Execution& x, Attempt& a) const
{
    if (!a.question || x.options.on_input == OnInput::wait) return false;
    a.end.facts.cause = Cause::broken;
    a.end.error = CommandError{"The command waits for a person: " + words_of(*a.question),
                               input_needed, false, 0};
    return true;
}

}  // namespace autoexec::inline v1
