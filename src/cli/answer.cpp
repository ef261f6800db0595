#include "cli/session/audit_display.hpp"
#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"
#include "protocol/question_format.hpp"
#include "records/log_file.hpp"
#include "records/queries.hpp"
#include "redaction/agent_text.hpp"
#include "redaction/stages.hpp"
#include "text/json.hpp"

#include <boost/algorithm/string/replace.hpp>

#include <chrono>
#include <thread>

namespace autoexec::cli {
namespace {

constexpr char answer_examples[] = R"(
Examples:
  autoexec answer 3f2a91c0                   # show the question, and how to answer it
  autoexec answer 9be47d10 --question 1 --option allow
  autoexec answer 3f2a91c0 "Use port 8080."
  autoexec answer 3f2a91c0 --deny
  autoexec answer RUN/STEP --option approve  # a manual step: as workflow approve
)";

struct AnswerOptions : CommonOptions {
    std::string id;
    std::optional<std::string> text;
    std::string question;
    std::string option;
    bool deny = false;
    bool no_wait = false;
};

bool gives_none(const AnswerOptions& options)
{
    return !options.text && options.option.empty() && !options.deny;
}

protocol::RunningRecord find_waiting(const std::filesystem::path& root, const std::string& id)
{
    auto record = find_running(root, id);
    if (!record.waiting_for)
        fail(exit_usage, "execution '{}' does not wait for an answer; see autoexec status", id);
    return record;
}

std::string as_word(const std::string& id)
{
    return text::printable(text::quote_words(std::vector{id}));
}

void print_question(const protocol::RunningRecord& record, bool as_json)
{
    const auto& question = *record.waiting_for;
    if (as_json) {
        print_json({{"execution_id", record.execution_id},
                    {"attempt_id", record.attempt_id},
                    {"worktree", record.worktree},
                    {"waiting_for", protocol::to_json(question)}});
        return;
    }
    const auto id = short_id(record.execution_id);
    print_result("{} in {} {}:\n", id, shown_path(record.worktree),
                 question.kind == QuestionKind::permission ? "asks for permission" : "asks");
    // Marked, so that no line of it looks like those below.
    auto text = text::printable(question.text, true);
    boost::algorithm::replace_all(text, "\n", "\n  | ");
    print_result("  | {}\n", text);
    for (const auto& option : question.options)
        print_result("  --option {:10} {}\n", as_word(option.id), text::printable(option.label));
    const bool has_options = !question.options.empty();
    print_message("Answer with: autoexec answer {} --question {} {}\n", short_id(record.attempt_id),
                  as_word(question.id),
                  question.kind == QuestionKind::permission ? "--option ID, or --deny"
                  : has_options                             ? "TEXT, --option ID, or --deny"
                                                            : "TEXT, or --deny");
}

// Otherwise a person who has read one question could allow what another one asks.
void check_question(const AnswerOptions& options, const protocol::RunningRecord& record)
{
    const auto& question = *record.waiting_for;
    if (!options.question.empty() &&
        (options.question != question.id || !is_called(record.attempt_id, options.id)))
        fail(exit_usage, "attempt '{}' does not wait for question '{}'; see autoexec answer {}",
             options.id, text::printable(options.question), short_id(record.execution_id));
    if (options.question.empty() && !options.deny && question.kind == QuestionKind::permission)
        fail(exit_usage,
             "permission is given only with the ids of the attempt and its --question; see "
             "autoexec answer {}",
             options.id);
}

Answer make_answer(const AnswerOptions& options, const Question& question)
{
    Answer answer{question.id, options.option, options.text.value_or("")};
    if (text::valid_utf8(answer.text) != answer.text) fail(exit_usage, "the answer is not UTF-8");
    if (answer.denies() && !options.deny)
        fail(exit_usage, "the answer is empty; use --deny to give none");
    if (const auto flaw = protocol::flaw_of(answer, question); !flaw.empty())
        fail(exit_usage, "{} See autoexec answer {}", flaw, options.id);
    return answer;
}

// How the question ended, from the audit log; empty if that has no such event within a second.
boost::json::object end_in_audit(const std::filesystem::path& root,
                                 const protocol::RunningRecord& record)
{
    AuditFilter filter;
    filter.event_type = "input_ended";
    filter.execution_id = record.execution_id;
    for (int tries = 0; tries < 10; ++tries) {
        for (auto& event :
             records::read_audit(records::Folder::of({}, root, "audit"), filter).events) {
            auto* const details = event.if_contains("details");
            if (details != nullptr && details->is_object() &&
                text_of(event, "attempt_id") == record.attempt_id &&
                text_of(details->get_object(), "question_id") == record.waiting_for->id)
                return std::move(details->get_object());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
    return {};
}

// The executor may know secrets that this process does not know: only what precedes the first one
// is compared then.
bool is_recorded_as(const std::string& text, const std::string& recorded)
{
    if (recorded == agent_text(Redactor(), text, max_agent_message)) return true;
    const auto secret = recorded.find(redaction::redaction_marker);
    return secret != recorded.npos && text.starts_with(recorded.substr(0, secret));
}

std::string_view sentence_of(const std::string& outcome, bool is_ours)
{
    if (outcome.empty()) return "no longer waits for this answer";
    if (outcome == "unanswered") return "has ended its question without an answer";
    return is_ours ? "got the answer" : "got another answer before";
}

void print_outcome(const AnswerOptions& options, const protocol::RunningRecord& record,
                   std::string_view status, const std::string& outcome, std::string_view sentence)
{
    if (options.json)
        print_json({{"execution_id", record.execution_id},
                    {"question_id", record.waiting_for->id},
                    {"status", status},
                    {"outcome", text::text_or_null(outcome)}});
    else
        print_result("{} {}\n", short_id(record.execution_id), sentence);
}

void print_end(const std::filesystem::path& root, const AnswerOptions& options,
               const protocol::RunningRecord& record)
{
    const auto end = end_in_audit(root, record);
    const auto outcome = text_of(end, "outcome");
    const bool is_ours = (outcome == "denied") == options.deny &&
                         text_of(end, "option") == options.option &&
                         is_recorded_as(options.text.value_or(""), text_of(end, "text"));
    print_outcome(options, record, "ended", outcome, sentence_of(outcome, is_ours));
}

int answer_command(const AnswerOptions& options, const std::filesystem::path& root)
{
    const auto record = find_waiting(root, options.id);
    if (gives_none(options)) {
        print_question(record, options.json);
        return exit_completed;
    }
    const auto& question = *record.waiting_for;
    check_question(options, record);
    send_to_executor(root, {record.attempt_id, make_answer(options, question), {}});
    if (options.no_wait) {
        print_outcome(options, record, "sent", {}, "was sent the answer");
        return exit_completed;
    }
    wait_for_end("question", [&] { return !still_waits(root, record.attempt_id, question.id); });
    print_end(root, options, record);
    return exit_completed;
}

std::optional<StepDecision> decision_of(const AnswerOptions& options)
{
    if (options.option == "approve") return StepDecision::approved;
    if (options.option == "reject") return StepDecision::rejected;
    if (options.option == "done") return StepDecision::done;
    if (options.option == "fail") return StepDecision::failed;
    if (!options.deny)
        fail(exit_usage,
             "a manual step is answered with --option approve, reject, done or fail, or --deny "
             "[REASON]");
    return std::nullopt;
}

// `RUN/STEP`: as `workflow approve`, `reject`, `done` and `fail`.
int answer_step(const AnswerOptions& options)
{
    const auto slash = options.id.rfind('/');
    ManualStepOptions step;
    static_cast<CommonOptions&>(step) = options;
    step.run = options.id.substr(0, slash);
    step.words = {options.id.substr(slash + 1)};
    step.no_wait = options.no_wait;
    step.question = options.question;
    if (gives_none(options)) return show_step(step);
    step.decision = decision_of(options);
    step.reason = options.text.value_or("");
    return mark_step(step);
}

int answer(const AnswerOptions& options)
{
    if (options.deny && !options.option.empty())
        fail(exit_usage, "--deny and --option cannot be combined");
    if (options.id.find('/') != std::string::npos) return answer_step(options);
    if (options.deny && options.text) fail(exit_usage, "--deny and a text cannot be combined");
    if (!options.option.empty() && options.text)
        fail(exit_usage, "--option and a text cannot be combined");
    return answer_command(options, project_root(options));
}

void define_answer(CLI::App& app, AnswerOptions& o)
{
    app.footer(answer_examples);
    add_common(app, o);
    add_execution(app, o.id, "; of a manual step, RUN/STEP");
    app.add_option(
           "text,--text", o.text,
           "The answer; use --text=TEXT if it begins with '-'; without one, show the question")
        ->type_name("TEXT");
    app.add_option("--question", o.question,
                   "Answer only this question; needed to give permission, with the id of the "
                   "attempt")
        ->type_name("ID");
    app.add_option("--option", o.option, "Choose this option of the question")->type_name("ID");
    app.add_flag("--deny", o.deny, "Deny the permission, or give no answer");
    app.add_flag("--no-wait", o.no_wait, "Do not wait until the answer has arrived");
}

}  // namespace

extern const Subcommand answer_subcommand =
    subcommand("answer", "Answer a question of a running command", define_answer, answer);

}  // namespace autoexec::cli
