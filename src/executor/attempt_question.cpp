#include "executor/executor_impl.hpp"
#include "redaction/agent_text.hpp"
#include "text/text.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

/// Questions of an attempt to a person: announced, answered, ended.
namespace autoexec::inline v1 {
namespace {

// Then an attempt that asks in vain is no longer waited for, and its questions are not recorded.
constexpr std::size_t max_unanswered = 100;
constexpr std::size_t max_taken_ids = 16;

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

void record_taken(OpenPrompts& prompts, const std::string& id)
{
    ++prompts.taken;
    if (id.empty()) return;
    prompts.taken_ids.push_back(id);
    if (prompts.taken_ids.size() > max_taken_ids) prompts.taken_ids.pop_front();
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
    if (reported && !a.question && a.unanswered < max_unanswered && !is_ambiguous(x, a, *reported))
        begin_question(x, a, *reported);
}

// A person answers by the question's id, also when its program has replaced it meanwhile.
bool ExecutorCore::is_ambiguous(Execution& x, Attempt& a, const Question& question)
{
    const auto digest = protocol::digest_of(question);
    if (a.digests->try_emplace(question.id, digest).first->second == digest) return false;
    warn_once(x, "A question was not shown: the agent had asked another one with the same id.");
    return true;
}

void ExecutorCore::begin_question(Execution& x, Attempt& a, const Question& question)
{
    ++a.unanswered;
    a.times.waits_for_person = true;
    a.question = std::make_unique<OpenQuestion>(
        OpenQuestion{question, shown_question(*options.redactor, question), {}});
    if (const auto ec = a.has_record ? write_running(x, a) : error_code())
        warn_once(x, fmt::format("A question could not be recorded, so only this process can "
                                 "answer it: {}.",
                                 ec.message()));
    auto e = event(x, a, EventType::input_needed);
    e.question = a.question->shown;
    e.details["waiting_for"] = protocol::to_json(a.question->shown);
    emit(e);
}

void ExecutorCore::end_question(Execution& x, Attempt& a)
{
    const auto ended = *std::exchange(a.question, nullptr);
    a.times.waits_for_person = false;
    a.times.last_change = options.clock->now();
    if (ended.answer) --a.unanswered;
    if (a.has_record) (void)write_running(x, a);
    auto e = event(x, a, EventType::input_ended);
    e.question = ended.shown;
    e.details["question_id"] = ended.shown.id;
    e.details["outcome"] = outcome_of(ended);
    if (ended.answer && !ended.answer->option.empty()) e.details["option"] = ended.answer->option;
    if (ended.answer && !ended.answer->text.empty())
        e.details["text"] = agent_text(*options.redactor, ended.answer->text, max_agent_message);
    emit(e);
}

// What a person answers or says.
void ExecutorCore::pass_on(Execution& x, Attempt& a)
{
    follow_prompts(x, a);
    send_message(x, a);
    a.times.awaits_agent = (a.question && a.question->answer) || !a.prompts.get().passed_on.empty();
}

// The first answer to a question counts. A message replaces the one before, so it has all that the
// agent may not have read.
void ExecutorCore::send_message(Execution& x, Attempt& a)
{
    std::vector<protocol::AnswerFile> given;
    if (!x.input.get().answers.empty()) given.swap(x.input->answers);
    const auto answer = std::ranges::find_if(given, [&a](const auto& one) {
        return a.question && !a.question->answer && one.attempt_id == a.attempt_id &&
               protocol::flaw_of(one.answer, a.question->asked).empty();
    });
    const bool answers = answer != given.end();
    const bool says = pass_on_prompts(x, a);
    if (!answers && !says) return;
    protocol::AnswerFile file;
    file.attempt_id = a.attempt_id;
    if (answers || (a.question && a.question->answer)) {
        file.answer = answers ? answer->answer : *a.question->answer;
        file.digest = protocol::digest_of(a.question->asked);
    }
    auto& prompts = a.prompts.edit();
    for (const auto& prompt : prompts.passed_on) file.prompts.push_back(prompt.text);
    file.earlier_prompts = prompts.taken;
    prompts.sent = options.clock->now();
    if (const auto ec = x.mailbox->answer(a.attempt_id, protocol::format_answer(file))) {
        warn_once(x, fmt::format("An answer or a prompt could not be passed on to the agent: {}. "
                                 "An agent of another process gets them only in a git worktree.",
                                 ec.message()));
        prompts.passed_on.clear();
        return;
    }
    if (answers) a.question->answer = answer->answer;
    options.notifier->notify(x.worktree);
}

void ExecutorCore::follow_prompts(Execution& x, Attempt& a)
{
    const auto& status = a.monitor.status();
    if (x.read_only || !status) return;
    if (!status->prompts_taken && !a.prompts.get().accepted) return;
    auto& prompts = a.prompts.edit();
    const auto before = prompts.taken;
    while (prompts.taken < status->prompts_taken.value_or(0) && !prompts.passed_on.empty()) {
        record_taken(prompts, prompts.passed_on.front().id);
        prompts.passed_on.pop_front();
    }
    const bool accepts = status->prompts_taken && !status->is_final();
    if (accepts == prompts.accepted && before == prompts.taken) return;
    prompts.accepted = accepts;
    if (a.has_record) (void)write_running(x, a);
}

// True if there is something new, or if the agent has not taken it for some time: it may have
// missed it while it was replaced.
bool ExecutorCore::pass_on_prompts(Execution& x, Attempt& a)
{
    if (!a.prompts.get().accepted) return false;
    auto& prompts = a.prompts.edit();
    auto& said = x.input.edit().prompts;
    std::size_t size = 0;
    for (const auto& prompt : prompts.passed_on) size += prompt.text.size();
    bool is_new = false;
    while (!said.empty() && size + said.front().text.size() <= protocol::max_prompt) {
        size += said.front().text.size();
        auto e = event(x, a, EventType::prompt_sent);
        e.details["text"] = agent_text(*options.redactor, said.front().text, max_agent_message);
        emit(e);
        prompts.passed_on.push_back(std::move(said.front()));
        said.pop_front();
        is_new = true;
    }
    return is_new ||
           (!prompts.passed_on.empty() && options.clock->now() >= prompts.sent + answered_poll);
}

void ExecutorCore::report_late_prompts(Execution& x, Attempt& a)
{
    const auto late = x.input.get().prompts.size() + a.prompts.get().passed_on.size();
    (void)x.input.take();
    if (late > 0)
        x.result->warnings.push_back(
            fmt::format("{} had no turn: the program takes none, or its last turn had ended.",
                        text::counted(late, "prompt")));
}

bool ExecutorCore::fails_on_input(const Execution& x, Attempt& a) const
{
    if (!a.question || x.options->on_input == OnInput::wait) return false;
    a.end->facts.cause = Cause::broken;
    a.end->error = CommandError{"The command waits for a person: " + words_of(*a.question),
                                error_codes::input_needed, false, 0};
    return true;
}

}  // namespace autoexec::inline v1
