#include "agent/command_job.hpp"

#include "agent/environment.hpp"
#include "agent/programs.hpp"
#include "agent/template.hpp"
#include "agent/tree_snapshot.hpp"
#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "logging/log.hpp"
#include "protocol/control_files.hpp"
#include "protocol/error_codes.hpp"
#include "protocol/question_format.hpp"
#include "protocol/status.hpp"
#include "protocol/usage.hpp"
#include "text/text.hpp"

#include <boost/algorithm/string/replace.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <sysexits.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace autoexec::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds cancel_poll{250};
// Without heartbeats, new output is still reported at this interval.
constexpr milliseconds quiet_interval{1000};
// The executor ends an attempt at its deadline; this is for a dead executor.
constexpr milliseconds deadline_margin{15'000};
// How long to retry writing a result for lack of descriptors or memory.
constexpr milliseconds report_timeout{10'000};
constexpr milliseconds report_interval{250};

// How long its tasks in the background may keep a program that has reported its outcome.
constexpr std::chrono::minutes background_limit{10};
constexpr std::size_t max_model = 200;  // bytes of its name

// Error code: the session to continue does not exist.
constexpr char no_session[] = "no_session";

constexpr char out_of_memory[] = "The agent ran out of memory.";

std::string log_name(const handoff::AgentMailbox::Found& found)
{
    const auto& id = found.command.attempt_id;
    return (id.empty() ? fmt::format("legacy-{}-{}", found.stamp.inode, found.stamp.modified_ns)
                       : text::file_name_of(id)) +
           ".log";
}

bool fails(CommandError& error, std::string code, std::string message)
{
    error.code = std::move(code);
    error.message = std::move(message);
    return false;
}

std::vector<std::string> words_of(const std::string& option, const TemplateValues& values)
{
    TemplateProblem ignored;  // checked when the agents were read
    const auto compiled = compile_option(option, ignored);
    return compiled ? expand_option(*compiled, values) : std::vector<std::string>{};
}

bool continues_session(const AgentDefinition& definition, const protocol::CommandFile& command)
{
    const bool can = definition.driver == AgentDriver::acp || !definition.resume.empty();
    return can && definition.retry_in_session && !command.session.empty();
}

TemplateValues values_of(const AgentDefinition& definition, const protocol::CommandFile& command,
                         const std::filesystem::path& worktree)
{
    TemplateValues values;
    values.command = command.command;
    values.command_file_path = (worktree / control_files::command).string();
    values.worktree = worktree.string();
    values.workflow_id = command.workflow_id.value_or("");
    values.step_id = command.step_id.value_or("");
    values.attempt_id = command.attempt_id;
    if (const auto git_dir = git_files::git_dir_of(worktree)) {
        values.git_dir = git_dir->string();
        values.git_common_dir = git_files::git_common_dir(*git_dir).string();
    }
    if (command.max_cost)
        values.max_cost = fmt::format("{:.6f}", std::max(*command.max_cost, 1e-6));
    if (command.max_tokens) values.max_tokens = std::to_string(*command.max_tokens);
    values.model = definition.model;
    values.budget = words_of(definition.budget, values);
    if (!continues_session(definition, command)) {
        values.resume = words_of(definition.new_session, values);
        return values;
    }
    values.session = command.session;
    values.resume = words_of(definition.resume, values);
    return values;
}

// In a session that the program continues.
std::string prompt_to_continue(const protocol::CommandFile& command)
{
    if (command.failure.empty()) return command.command;
    return fmt::format("This failed: {}\nContinue, so that it is done:\n{}", command.failure,
                       command.command);
}

// If the prompt is too long with the failure, the program gets the command alone.
std::optional<std::vector<std::string>> expand_resuming(const CommandTemplate& text,
                                                        TemplateValues values,
                                                        const protocol::CommandFile& command,
                                                        std::string& problem)
{
    values.command = prompt_to_continue(command);
    if (auto argv = expand(text, values, problem)) return argv;
    values.command = command.command;
    return expand(text, values, problem);
}

bool names_session(const AgentDefinition& definition)
{
    return definition.new_session.find("{attempt_id}") != std::string::npos;
}

bool make_programs(const AgentDefinition& definition, const protocol::CommandFile& command,
                   const std::filesystem::path& worktree, std::vector<Program>& programs,
                   CommandError& error)
{
    static const OutputRules exit_code;
    if (!command.argv.empty()) {
        programs.push_back({command.argv, {}, &exit_code});
        return definition.accept_argv ||
               fails(error, "argv_not_accepted",
                     fmt::format("Agent '{}' runs only its own commands; set accept_argv for it, "
                                 "or send a command text.",
                                 definition.name));
    }
    if (!command.model.empty() && !takes_model(definition))
        return fails(error, "model_not_accepted",
                     fmt::format("Agent '{}' takes no model; add {{model}} to its commands.",
                                 definition.name));
    auto values = values_of(definition, command, worktree);
    const bool continues = continues_session(definition, command);
    const auto templates = templates_of(definition);
    for (std::size_t i = 0; i < templates.size(); ++i) {
        std::string problem;
        const bool has_session = uses(templates[i], Placeholder::resume);
        auto argv = continues && has_session
                        ? expand_resuming(templates[i], values, command, problem)
                        : expand(templates[i], values, problem);
        if (!argv) return fails(error, "invalid_command", std::move(problem));
        // Only the program that receives the command is judged by its output.
        programs.push_back({*std::move(argv),
                            {},
                            takes_command(definition, i) ? &definition.outcome : &exit_code});
        programs.back().resumes_session = continues && has_session;
        if (has_session && !continues && names_session(definition))
            programs.back().new_session = command.attempt_id;
    }
    TemplateProblem ignored;
    if (const auto input = compile_input(definition.input, ignored);
        input && !programs.empty() && !definition.input.empty()) {
        if (continues && uses(templates.front(), Placeholder::resume))
            values.command = prompt_to_continue(command);
        programs.front().input = expand_input(*input, values);
    }
    if (definition.driver == AgentDriver::acp && !programs.empty()) {
        auto& task = programs.front().task.emplace();
        task = {definition.name,
                command.command,
                {worktree, working_directory(definition, worktree)},
                definition.permissions,
                definition.mode,
                definition.model};
        if (continues) {
            task.session = command.session;
            programs.front().resumes_session = true;
            task.next_prompt = prompt_to_continue(command);
        }
    }
    return true;
}

bool prepare(const AgentDefinition& definition, const protocol::CommandFile& command,
             const std::filesystem::path& worktree, ProcessSpec& spec, CommandError& error)
{
    const auto missing = make_environment(definition, command, worktree, spec.environment);
    if (!missing.empty())
        return fails(error, "env_ref_missing",
                     fmt::format("The command refers to the variable {}, which is not set in the "
                                 "agent's environment.",
                                 text::printable(missing)));
    spec.directory = working_directory(definition, worktree);
    auto problem = working_directory_problem(definition, worktree);
    return problem.empty() || fails(error, "invalid_working_directory", std::move(problem));
}

std::unique_ptr<programs::OutputReader> make_reader(Program& program)
{
    if (!program.task) return std::make_unique<programs::EventReader>(*program.rules);
    return std::make_unique<acp::Client>(*std::move(program.task));
}

CommandError start_error(error_code ec, std::string message)
{
    const bool shortage = files::is_resource_shortage(ec);
    CommandError error;
    fails(error, shortage ? error_codes::no_resources : "spawn_failed", std::move(message));
    if (shortage || ec == boost::system::errc::text_file_busy) error.retryable = true;
    return error;
}

// Redact before truncating; otherwise a part of a secret could remain.
std::string first_words(const std::string& redacted)
{
    constexpr std::size_t max_bytes = 1000;
    if (redacted.size() <= max_bytes) return text::valid_utf8(redacted);
    return text::valid_utf8(redacted.substr(0, max_bytes)) + "…";
}

// Says so, because a person cannot judge the rest.
std::string cut(std::string text)
{
    constexpr std::size_t max_question = 8 * 1024;
    if (text.size() <= max_question) return text;
    return fmt::format("{}… (cut: it has {} bytes)", text::head(text, max_question), text.size());
}

// As its executor reads it, since an answer has the digest of that. An option whose id would show a
// secret cannot be chosen.
Question shown_question_of(const Redactor& redactor, Question question)
{
    const auto redact = [&redactor](const std::string& text) {
        return redactor.redact(text::valid_utf8(text));
    };
    question.text = cut(redact(question.text));
    std::erase_if(question.options,
                  [&redact](const auto& option) { return redact(option.id) != option.id; });
    for (auto& option : question.options) option.label = redact(option.label);
    std::vector<std::string> ignored;
    auto read =
        protocol::question_in({{"question", protocol::to_json(question)}}, "question", ignored);
    return read ? *std::move(read) : question;
}

std::string stop_message(const std::string& reason)
{
    if (reason == "timeout") return "The command was stopped after its time-out.";
    if (reason == error_codes::budget)
        return "The command was stopped, because its budget is used up.";
    if (reason == "agent_stopped") return "The command was stopped because its agent was stopped.";
    if (reason == "interrupted") return "The command was stopped because its executor has ended.";
    if (reason == "worktree_lost")
        return "The command was stopped because its worktree was removed.";
    return "The command was cancelled.";
}

void classify_stopped(const std::string& reason, ProgramResult& result)
{
    const bool late = reason == "timeout";
    result.completed = false;
    result.append_last_line = false;
    result.outcome = late ? "timeout" : reason == error_codes::budget ? "failed" : "cancelled";
    result.error = {stop_message(reason), reason, late ? std::nullopt : std::optional(false), 0};
}

void classify_by_exit_code(const ProcessExit& exit, const std::string& program,
                           ProgramResult& result)
{
    result.completed = exit.exit_code == 0;
    result.append_last_line = !result.completed;
    if (result.completed) return;
    if (exit.signal) {
        fails(result.error, fmt::format("signal_{}", *exit.signal),
              fmt::format("{} was ended by signal {} ({})", program, *exit.signal,
                          ::strsignal(*exit.signal)));
        return;
    }
    const auto code = exit.exit_code.value_or(-1);
    fails(result.error, fmt::format("exit_{}", code),
          fmt::format("{} exited with code {}", program, code));
    // sysexits.h: "temporary failure, user is invited to retry".
    if (code == EX_TEMPFAIL) result.error.retryable = true;
}

// A program whose outcome is read is an agent, which is asked for a change. If nothing else says
// whether it made one, its worktree is compared; after a retry, an earlier attempt may have.
bool may_change_nothing(const AgentDefinition& definition, const protocol::CommandFile& command)
{
    const bool is_agent =
        definition.driver == AgentDriver::acp || !definition.outcome.events.empty();
    return is_agent && command.argv.empty() && command.expected_artifacts.empty() &&
           command.attempt <= 1;
}

time_point deadline(const AgentDefinition& definition, const protocol::CommandFile& command,
                    time_point started)
{
    auto end = time_point::max();
    if (definition.timeout) end = started + *definition.timeout;
    if (const auto seconds = command.deadline_seconds; seconds && *seconds < 1e8)
        end = std::min(end, started + deadline_margin +
                                std::chrono::duration_cast<std::chrono::nanoseconds>(
                                    std::chrono::duration<double>(*seconds)));
    return end;
}

// Before the time-out of the executor, since the report would then not count.
time_point end_of_background(time_point reported_at, time_point late_at, milliseconds linger)
{
    const auto end = reported_at + background_limit;
    if (late_at == time_point::max()) return end;
    return std::min(end, std::max(reported_at + linger, late_at - 2 * deadline_margin));
}

// What all events of a command have in common.
Event event_of(const protocol::CommandFile& command, const std::filesystem::path& worktree,
               std::string redacted)
{
    Event e;
    e.ids() = command.ids();
    e.command = std::move(redacted);
    e.worktree = worktree;
    return e;
}

// For a command whose executor does not write these records.
Event record_of(const AgentStatus& s, const std::filesystem::path& worktree,
                std::chrono::nanoseconds duration, std::chrono::system_clock::time_point now)
{
    const bool completed = s.status == ReportedStatus::completed;
    Event e;
    e.type = completed ? EventType::execution_completed : EventType::execution_failed;
    e.time = now;
    e.ids() = s.ids();
    e.execution_id = text::new_uuid();
    e.attempt = 1;
    e.command = s.command.value_or("");
    e.worktree = worktree;
    e.status = completed ? EventStatus::completed : EventStatus::failed;
    ExecutionMetric m;
    m.ids() = e.ids();
    m.command = e.command;
    m.status = completed ? ExecutionStatus::completed : ExecutionStatus::failed;
    m.duration = duration;
    m.started_at = s.started_at;
    m.completed_at = now;
    e.details["duration_ms"] = m.duration.count();
    if (s.error) {
        m.error_message = s.error->message;
        e.details["error"] = s.error->message;
    }
    e.metric = std::move(m);
    return e;
}

}  // namespace

CommandJob::CommandJob(const AgentOptions& options, std::string agent_id,
                       std::filesystem::path worktree,
                       std::unique_ptr<handoff::AgentMailbox> mailbox,
                       handoff::AgentMailbox::Found found, std::unique_ptr<Timer> alarm)
    : options_(options),
      agent_id_(std::move(agent_id)),
      work_(options),
      worktree_(std::move(worktree)),
      mailbox_(std::move(mailbox)),
      found_(std::move(found)),
      redacted_(options.redactor->redact(found_.command.command)),
      alarm_(std::move(alarm)),
      output_(options.project_root, log_name(found_), options_.redactor, work_.max_output_bytes,
              work_.max_output_tail_bytes),
      permissions_(options, event_of(found_.command, worktree_, redacted_)),
      started_(options_.clock->now()),
      started_at_(options_.clock->system_now())
{}

asio::awaitable<void> CommandJob::run(std::shared_ptr<CommandJob> self,
                                      const AgentDefinition& agent)
{
    std::unique_ptr<AgentDefinition> changed;  // few commands have a folder or a model of their own
    const auto& folder = self->found_.command.working_directory;
    const auto& model = self->found_.command.model;
    if (!folder.empty() || !model.empty()) changed = std::make_unique<AgentDefinition>(agent);
    if (!folder.empty()) changed->working_directory = folder;
    if (!model.empty()) changed->model = model;
    const auto& definition = changed ? *changed : agent;
    self->agent_ = definition.name;
    ProgramResult result;
    std::vector<Program> programs;
    std::optional<TreeSnapshot> tree;
    if (make_programs(definition, self->found_.command, self->worktree_, programs, result.error)) {
        for (std::size_t i = 0; i < programs.size(); ++i) {
            self->step_ = fmt::format("{}/{}", i + 1, programs.size());
            self->write_running();
            if (i == 0 && may_change_nothing(definition, self->found_.command))
                tree = TreeSnapshot::take(self->worktree_, self->options_.status_file_name);
            co_await self->run_one(definition, std::move(programs[i]), result);
            if (!result.completed) break;
        }
        if (result.completed && tree) {
            auto comparing = tree->unchanged();
            self->report_.tree_unchanged = co_await std::move(comparing);
        }
    }
    self->output_.finish();  // processes a last line without a newline, such as a prompt
    if (const auto line = self->output_.last_error_line(); result.append_last_line && !line.empty())
        result.error.message += ": " + line;
    const auto last = self->last_status(result);
    const auto text = protocol::format_status(last);
    auto ec = self->mailbox_->write_status(text);
    // The claim is kept meanwhile: released without a result, it would mean a lost agent.
    const auto& clock = *self->options_.clock;
    const auto until = clock.now() + report_timeout;
    while (files::is_resource_shortage(ec) && clock.now() < until && !self->mailbox_->lost()) {
        co_await self->alarm_->wait_until(clock.now() + report_interval);
        ec = self->mailbox_->write_status(text);
    }
    self->finish(last, ec);
}

asio::awaitable<void> CommandJob::run_one(const AgentDefinition& definition, Program program,
                                          ProgramResult& result)
{
    const auto ex = co_await asio::this_coro::executor;
    result = {};
    ProcessSpec spec;
    if (!begin(definition, std::move(program), spec, result)) co_return;
    error_code ec;
    std::string why;
    const auto process = options_.spawner->spawn(ex, spec, ec, why);
    if (!process) {
        result.error = start_error(ec, why.empty() ? ec.message() : why);
        co_return;
    }
    attach(*process);
    ProcessExit exit;
    const auto wait = co_await wait_for(*process, definition, exit);
    outcome_source_.driver.reset();
    asked_.reset();
    open_question_.reset();
    if (wait == Wait::failed) {
        result.error = start_error(errc::no_resources, out_of_memory);
        co_return;
    }
    const auto limit = over_budget();
    note_report(exit);
    classify(exit, spec.argv.front(), definition, result);
    if (wait == Wait::ended) co_return;
    classify_stopped(stop_reason_, result);
    if (stop_reason_ == error_codes::budget && !limit.empty()) result.error.message += " " + limit;
}

// Returns false if there is nothing to start; `result` says why.
bool CommandJob::begin(const AgentDefinition& definition, Program program, ProcessSpec& spec,
                       ProgramResult& result)
{
    spec.interactive = program.task.has_value();
    if (program.task)
        program.task->on_decision = [this](const auto& call, bool allowed, const auto& rule) {
            permissions_.record(call, allowed, rule);
        };
    outcome_source_ = {make_reader(program), std::move(program.new_session),
                       program.resumes_session};
    outcome_source_.client = dynamic_cast<acp::Client*>(outcome_source_.reader.get());
    progress_.reset();
    spec.argv = std::move(program.argv);
    spec.input = std::move(program.input);
    spec.stop_grace = work_.stop_grace;
    // If this process dies, the claim stays locked until the program has ended.
    if (const auto claim = mailbox_->claim_descriptor()) spec.held.push_back(*claim);
    if (!prepare(definition, found_.command, worktree_, spec, result.error)) return false;
    if (stop_reason_.empty()) return true;
    classify_stopped(stop_reason_, result);
    return false;
}

void CommandJob::attach(Process& process)
{
    pid_ = process.pid();
    process.on_question([this](std::optional<Question> asked) {
        asked_ = std::move(asked);
        follow_question();
    });
    process.on_progress([this](Progress reported) {
        progress_ = std::move(reported);
        write_running();
    });
    auto* const client = outcome_source_.client;
    if (client == nullptr) return;
    outcome_source_.driver = std::make_unique<AcpDriver>(*client, process, options_.clock->now());
    write_running();  // a person may give prompts from now on
}

asio::awaitable<CommandJob::Wait> CommandJob::wait_for(Process& process,
                                                       const AgentDefinition& definition,
                                                       ProcessExit& exit)
{
    bool ended = false;
    const auto wait_for_end = [](std::shared_ptr<CommandJob> self, Process& p, ProcessExit& exited,
                                 bool& done) -> asio::awaitable<void> {
        const auto accept_output = [&job = *self](OutputStream stream, std::string_view chunk) {
            job.accept_output(stream, chunk);
        };
        try {
            exited = co_await p.wait(accept_output);
        } catch (const std::bad_alloc&) {
            exited.reason = errc::no_resources;
            exited.error = out_of_memory;
        }
        done = true;
        self->alarm_->wake();
    };
    const auto ex = co_await asio::this_coro::executor;
    asio::co_spawn(ex, wait_for_end(shared_from_this(), process, exit, ended), asio::detached);
    auto wait = Wait::failed;
    try {
        const bool stopped = co_await watch(process, definition, ended);
        wait = stopped ? Wait::stopped : Wait::ended;
    } catch (const std::bad_alloc&) {
        process.stop();
    }
    // Always wait for its end: the other coroutine writes to this one's frame.
    // NOLINTNEXTLINE(bugprone-infinite-loop): `wait_for_end` sets it
    while (!ended) co_await alarm_->wait_until(time_point::max());
    co_return wait;
}

// The log gets redacted output; the parser needs the original.
void CommandJob::accept_output(OutputStream stream, std::string_view chunk)
{
    output_.append(stream, chunk);
    received_ += chunk.size();
    if (outcome_source_.closed) return;
    auto& reader = *outcome_source_.reader;
    reader.feed(stream, chunk);
    if (outcome_source_.driver) outcome_source_.driver->flush();
    follow_question();
    note_conclusion();
    if (reader.hopeless() || !over_budget().empty()) alarm_->wake();
}

void CommandJob::note_conclusion()
{
    auto& source = outcome_source_;
    const auto now = options_.clock->now();
    const auto note = [now](std::optional<time_point>& since, bool holds) {
        if (!holds)
            since.reset();
        else if (!since)
            since = now;
    };
    const bool was_concluded = source.concluded_at.has_value();
    note(source.reported_at, source.reader->reported());
    note(source.concluded_at, source.reader->concluded());
    if (source.concluded_at && !was_concluded) alarm_->wake();
}

// A program that is driven by a protocol is first asked to end its turn.
void CommandJob::stop_process(Process& process)
{
    if (!outcome_source_.driver || outcome_source_.driver->end_turn()) process.stop();
    asked_.reset();
    follow_question();
}

// Reported at once: a person waits for it.
void CommandJob::follow_question()
{
    const auto* const client = outcome_source_.client;
    const auto* asked = client != nullptr ? client->question() : nullptr;
    if (asked == nullptr && asked_) asked = &*asked_;
    if (asked == nullptr && !open_question_) return;
    if (asked != nullptr && open_question_ && open_question_->asked == asked->id) return;
    open_question_.reset();
    if (asked != nullptr) {
        open_question_.emplace(OpenQuestion{*asked, asked->id, options_.clock->now()});
        auto& question = open_question_->question;
        question.id = fmt::format("{}", ++questions_);
        question = shown_question_of(*options_.redactor, std::move(question));
        question.since = options_.clock->system_now();
        alarm_->wake();
    }
    write_running();
}

// What its executor passes on of a person.
void CommandJob::read_message(Process& process)
{
    if (!stop_reason_.empty()) return;
    auto* const client = outcome_source_.client;
    std::optional<protocol::AnswerFile> file;
    if (!legacy() && (open_question_ || client != nullptr))
        file = mailbox_->take_answer(found_.command.attempt_id);
    if (file && client != nullptr) take_prompts(*client, *file);
    if (open_question_) answer_question(process, file);
}

// Some may have come before: until it reads how many were taken, its executor repeats them.
void CommandJob::take_prompts(acp::Client& client, const protocol::AnswerFile& file)
{
    auto number = file.earlier_prompts;
    const auto before = report_.prompts;
    for (const auto& prompt : file.prompts)
        if (number++ == report_.prompts && client.say(prompt)) ++report_.prompts;
    if (report_.prompts != before) write_running();
}

// An answer counts only if the executor has seen the very question that the program asks: what the
// program writes into the status file in its agent's name is never approved.
void CommandJob::answer_question(Process& process, const std::optional<protocol::AnswerFile>& file)
{
    const auto& open = *open_question_;
    Answer answer;
    const bool late = work_.input_timeout > milliseconds::zero() &&
                      options_.clock->now() >= open.since + work_.input_timeout;
    if (file && file->digest == protocol::digest_of(open.question) &&
        protocol::flaw_of(file->answer, open.question).empty())
        answer = file->answer;
    else if (!late && !legacy())  // its executor answers nothing
        return;
    answer.question_id = open.asked;
    asked_.reset();
    if (auto* const client = outcome_source_.client)
        client->answer_question(answer);
    else
        process.answer(answer);
    if (outcome_source_.driver) outcome_source_.driver->flush();
    follow_question();
}

// Handles the cancel file, deadlines and heartbeats until the program has ended. Returns true if it
// was stopped before it had reported its outcome.
asio::awaitable<bool> CommandJob::watch(Process& process, const AgentDefinition& definition,
                                        const bool& ended)
{
    const auto& clock = *options_.clock;
    const bool beats = work_.heartbeat_interval > milliseconds::zero();
    const auto beat = beats ? work_.heartbeat_interval : quiet_interval;
    auto next_beat = clock.now() + beat;
    std::size_t reported = 0;
    bool stopped = false;
    const auto late_at = deadline(definition, found_.command, started_);
    while (!ended) {
        const bool stopping = stopped || outcome_source_.closed;
        auto last =
            stopping ? time_point::max() : late_at;  // otherwise each wait would end at once
        if (outcome_source_.reported_at && !stopping)
            last = std::min(
                last, end_of_background(*outcome_source_.reported_at, late_at, definition.linger));
        if (outcome_source_.concluded_at && !stopping)
            last = std::min(last, *outcome_source_.concluded_at + definition.linger);
        const auto next = std::min(std::min(last, next_beat), clock.now() + cancel_poll);
        co_await alarm_->wait_until(next);
        if (ended) break;
        read_message(process);
        if (outcome_source_.driver) {
            outcome_source_.driver->check(clock.now());
            note_conclusion();
        }
        const bool over = clock.now() >= last;
        if ((over && outcome_source_.reported_at) || outcome_source_.reader->hopeless())
            outcome_source_.closed = true;
        if (stop_reason_.empty() && !outcome_source_.closed) stop_reason_ = reason_to_stop(over);
        stopped = stopped || (!stop_reason_.empty() && !outcome_source_.closed);
        if (stopped || outcome_source_.closed) stop_process(process);
        if (clock.now() >= next_beat) {
            next_beat = clock.now() + beat;
            if (beats || received_ != reported) write_running();
            reported = received_;
        }
    }
    co_return stopped;
}

std::string CommandJob::reason_to_stop(bool late)
{
    if (late) return "timeout";
    if (auto reason = mailbox_->cancel_reason(found_.command)) return std::move(*reason);
    if (mailbox_->lost()) return "worktree_lost";
    return outcome_source_.reported_at || over_budget().empty() ? "" : error_codes::budget;
}

// Only what the program reports while it runs.
std::string CommandJob::over_budget() const
{
    const auto& command = found_.command;
    if (!command.max_cost && !command.max_tokens) return {};
    auto used = report_.usage;
    auto reported = outcome_source_.reader->usage();
    // In a session that it continues, earlier attempts count, too: the executor knows how much.
    if (outcome_source_.resumes_session && reported.of_session) return {};
    if (outcome_source_.resumes_session && reported.cost_of_session) reported.cost_usd.reset();
    protocol::add_usage(used, reported);
    return protocol::limit_reached({command.max_cost.value_or(0), command.max_tokens.value_or(0)},
                                   protocol::Spending(used, {}), "this command");
}

void CommandJob::classify(const ProcessExit& exit, const std::string& program,
                          const AgentDefinition& definition, ProgramResult& result)
{
    result.exit_code = exit.exit_code;
    result.signal = exit.signal;
    if (!exit.error.empty()) {
        const auto missing =
            explain_missing(program, find_program(program, definition, worktree_), definition);
        result.error = start_error(exit.reason, missing.empty() ? exit.error : missing);
        return;
    }
    if (exit.report) {
        result.completed = exit.report->completed;
        result.error = exit.report->error;
        return;
    }
    auto& reader = *outcome_source_.reader;
    const auto said = reader.hopeless()
                          ? programs::hopeless_verdict(definition.outcome, *reader.trouble())
                          : reader.verdict(exit);
    if (!said) return classify_by_exit_code(exit, program, result);
    result.completed = said->completed || (said->cut && has_expected_artifacts());
    result.error.code = said->code;
    result.error.retry_after = said->retry_after;
    result.error.message = for_people(said->message);
    // It has done nothing, and another attempt starts a new session.
    if (said->code == no_session) result.error.retryable = true;
    if (!reader.denied().empty()) report_.denied = for_people(reader.denied_message());
}

bool CommandJob::has_expected_artifacts() const
{
    const auto& expected = found_.command.expected_artifacts;
    return !expected.empty() &&
           std::all_of(expected.begin(), expected.end(),
                       [this](const auto& path) { return mailbox_->has_artifact(path); });
}

void CommandJob::note_report(const ProcessExit& exit)
{
    const auto& reader = *outcome_source_.reader;
    auto used = reader.usage();
    used.model = options_.redactor->redact(used.model).substr(0, max_model);
    if (exit.cpu.count() > 0) used.cpu = exit.cpu;
    if (exit.peak_memory_kib > 0) used.peak_memory_kib = exit.peak_memory_kib;
    if (!used.empty()) protocol::add_usage(report_.usage, used);
    if (auto id = session(); !id.empty()) report_.session = std::move(id);
    report_.cause.reset();
    if (const auto& trouble = reader.trouble())
        report_.cause = CommandError{for_people(trouble->message), trouble->code, {}, 0, {}};
}

// Without an event, the program may not have begun the session with the id that it got.
std::string CommandJob::session() const
{
    const auto& reader = *outcome_source_.reader;
    const bool is_chosen = reader.session().empty() && reader.has_events();
    const auto& id = is_chosen ? outcome_source_.new_session : reader.session();
    return protocol::is_session_id(id) && options_.redactor->redact(id) == id ? id : "";
}

// Paths in the worktree become relative.
std::string CommandJob::for_people(std::string text) const
{
    boost::algorithm::replace_all(text, worktree_.string() + "/", "");
    return first_words(options_.redactor->redact(text));
}

Progress CommandJob::progress() const
{
    if (progress_) return *progress_;
    const auto& reader = *outcome_source_.reader;
    // A line of JSON is nothing for people.
    const auto& line = reader.shown().empty() ? output_.last_line() : reader.shown();
    return {reader.percentage(), step_,
            line.starts_with('{') ? "" : text::printable(for_people(line))};
}

AgentStatus CommandJob::status(ReportedStatus word)
{
    const auto& command = found_.command;
    AgentStatus s;
    s.structured = true;
    s.status = word;
    s.started_at = started_at_;
    s.ids() = command.ids();
    s.command = redacted_;
    s.agent_id = agent_id_;
    s.agent = agent_;
    if (pid_ > 0) s.pid = pid_;
    s.sequence = ++sequence_;
    if (output_.total() > 0) s.output = output_.tail();
    s.output_truncated = output_.truncated();
    return s;
}

void CommandJob::write_running()
{
    auto s = status(ReportedStatus::running);
    s.progress = progress();
    if (open_question_) s.waiting_for = open_question_->question;
    if (const auto* const client = outcome_source_.client;
        client != nullptr && client->accepts_prompts() && !legacy())
        s.prompts_taken = report_.prompts;
    if (auto id = session(); !id.empty()) s.session = std::move(id);
    if (const auto& trouble = outcome_source_.reader->trouble())
        s.cause = CommandError{for_people(trouble->message), trouble->code, {}, 0, {}};
    if (const auto ec = mailbox_->write_status(protocol::format_status(s)))
        logging::log(logging::LogLevel::warning, "{}: cannot write the status: {}",
                     worktree_.string(), ec.message());
    options_.notifier->notify_report(worktree_);
}

AgentStatus CommandJob::last_status(const ProgramResult& result)
{
    auto s = status(result.completed ? ReportedStatus::completed : ReportedStatus::failed);
    s.completed_at = options_.clock->system_now();
    s.outcome = result.completed ? "completed" : result.outcome.empty() ? "failed" : result.outcome;
    s.exit_code = result.exit_code;
    s.signal = result.signal;
    if (auto last = progress(); !last.message.empty()) s.progress = std::move(last);
    s.usage = report_.usage;
    if (!report_.session.empty() && result.error.code != no_session) s.session = report_.session;
    s.tree_unchanged = report_.tree_unchanged;
    if (report_.prompts > 0) s.prompts_taken = report_.prompts;
    if (result.completed && !report_.denied.empty()) s.permission_denied = report_.denied;
    if (!result.completed) s.cause = report_.cause;
    for (const auto& path : found_.command.expected_artifacts)
        if (mailbox_->has_artifact(path)) s.artifacts.push_back(path);
    if (!result.completed) {
        s.error = result.error;
        s.error->message = options_.redactor->redact(s.error->message);
        if (s.error->message.empty()) s.error->message = "The command failed.";
    }
    // Removed before the last status: afterwards, a command file may be the executor's next one.
    mailbox_->remove_command(found_);
    return s;
}

void CommandJob::finish(const AgentStatus& last, error_code ec)
{
    if (ec)
        logging::log(logging::LogLevel::error, "{}: cannot write the result: {}",
                     worktree_.string(), ec.message());
    if (files::is_resource_shortage(ec)) (void)mailbox_->report_shortage();
    permissions_.finish();
    mailbox_->release(legacy());
    if (legacy()) {
        const auto event = record_of(last, worktree_, options_.clock->now() - started_,
                                     options_.clock->system_now());
        for (const auto& sink : options_.sinks) sink->publish(event);
    }
    options_.notifier->notify_report(worktree_);
}

void CommandJob::refuse(std::string code, std::string message)
{
    if (!mailbox_->claim_descriptor())
        return;  // the job has ended: another one may be using the worktree
    ProgramResult result;
    result.error = {std::move(message), std::move(code), false, 0};
    const auto last = last_status(result);
    finish(last, mailbox_->write_status(protocol::format_status(last)));
}

void CommandJob::stop()
{
    if (stop_reason_.empty()) stop_reason_ = "agent_stopped";
    alarm_->wake();
}

}  // namespace autoexec::agent
