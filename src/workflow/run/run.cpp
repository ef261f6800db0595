#include "workflow/run/run.hpp"

#include "protocol/layout.hpp"
#include "text/text.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

/// The life of a run: what is decided, what is begun, and how it ends.
namespace autoexec::workflow {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

StepState state_of(ExecutionStatus status)
{
    switch (status) {
        case ExecutionStatus::completed:
            return StepState::completed;
        case ExecutionStatus::timeout:
            return StepState::timeout;
        case ExecutionStatus::cancelled:
            return StepState::cancelled;
        case ExecutionStatus::failed:
            break;
    }
    return StepState::failed;
}

/// Who is woken when somebody is busy no more, while this lives.
class WakeRegistration {
public:
    WakeRegistration(RunContext& around, Timer& alarm) : context_(around), alarm_(&alarm)
    {
        context_.waiting.insert(alarm_);
    }
    ~WakeRegistration() { context_.waiting.erase(alarm_); }
    WakeRegistration(const WakeRegistration&) = delete;
    WakeRegistration& operator=(const WakeRegistration&) = delete;

private:
    RunContext& context_;
    Timer* alarm_;
};

std::string journal_sentence(const Journal& journal, error_code ec)
{
    const auto path = text::printable(journal.path().string());
    if (ec == errc::journal_lost)
        return fmt::format(
            "The journal {} was removed, replaced or truncated during the run, so "
            "nothing more was started.",
            path);
    return fmt::format("The journal {} can't be written: {}", path, ec.message());
}

bool is_in_flight(const StepResult& result)
{
    return result.state == StepState::running || result.state == StepState::waiting_manual;
}

}  // namespace

Run::Run(std::shared_ptr<RunContext> around, Workflow workflow, WorkflowRunOptions options,
         std::optional<Resumption> resumption)
    : context_(std::move(around)),
      workflow_(std::move(workflow)),
      options_(std::move(options)),
      resumption_(std::move(resumption)),
      alarm_(context_->options.clock->make_timer(context_->strand))
{}

Run::~Run()
{
    for (std::size_t i = 0; i < steps_.size(); ++i)
        if (is_in_flight(steps_[i]->result)) give_back(i);
}

asio::awaitable<Outcome> Run::execute(std::shared_ptr<Run>)
{
    // co_spawn lets only terminal cancellation through unless told otherwise.
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);

    const WakeRegistration waiting(*context_, *alarm_);
    begun_ = context_->options.clock->now();
    Outcome outcome;
    outcome.result.workflow_id = workflow_.id;
    outcome.result.status = WorkflowStatus::failed;
    outcome.result.error = co_await open(outcome.ec);
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    const bool was_cancelled = cancellation.cancelled() != asio::cancellation_type::none;
    if (!outcome.result.error.empty() && was_cancelled && !outcome.ec) {
        outcome.result.status = WorkflowStatus::cancelled;
        co_return outcome;
    }
    if (!outcome.result.error.empty()) {
        if (!outcome.ec) outcome.ec = errc::invalid_workflow;
        co_return outcome;
    }
    co_await go_through();
    outcome.result = finish();
    outcome.ec = journal_error_;
    co_return outcome;
}

// Nothing has begun as long as this has something to say.
asio::awaitable<std::string> Run::open(error_code& ec)
{
    std::string problem;
    if (resumption_) problem = co_await read_journal(ec);
    if (problem.empty()) problem = prepare();
    if (problem.empty() && options_.worktrees != WorktreeMode::in_place)
        problem = co_await open_trees();
    if (!problem.empty()) co_return problem;
    if (resumption_) {
        for (const auto& entry : resumption_->entries) replay(entry);
        problem = restart_what_is_asked();
        if (!problem.empty()) co_return problem;
        settle_in_flight();
        for (std::size_t i = 0; i < steps_.size(); ++i)
            if (scheduler_->node(i).judging) judge(i);
        co_return problem;
    }
    journal_ =
        Journal::create(context_->options.project_root, workflow_.id,
                        context_->options.clock->system_now(), context_->options.durability, ec);
    if (!journal_)
        co_return fmt::format("The run can't be recorded in '{}': {}.",
                              (context_->options.project_root / layout::records).string(),
                              ec.message());
    if (trees_) {
        trees_->repository().hold(journal_->descriptor());
        trees_->name_after(journal_->run_id());
    }
    record_start();
    if (trees_) problem = co_await trees_->begin();
    if (problem.empty())
        tell_start();
    else
        journal_->discard(context_->options.project_root);
    co_return problem;
}

asio::awaitable<void> Run::go_through()
{
    for (;;) {
        const auto state = co_await asio::this_coro::cancellation_state;
        look_around(state.cancelled());
        while (!ended_.empty()) {
            auto ended = std::move(ended_.front());
            ended_.pop_front();
            if (needs_commit(ended))
                begin_commit(std::move(ended));
            else
                conclude(std::move(ended));
        }
        advance();
        if (!ended_.empty()) continue;
        if (scheduler_->in_flight() == 0 && scheduler_->finished()) break;
        co_await alarm_->wait_until(context_->options.clock->now() +
                                    context_->options.look_interval);
    }
    if (trees_ && !cancelled_ && !journal_error_) {
        co_await merge_all();
        if (!options_.merge_into.empty() && scheduler_->failures().empty())
            co_await merge_into_target();
    }
}

void Run::look_around(asio::cancellation_type asked)
{
    if (asked != asio::cancellation_type::none) {
        const bool at_once =
            (asked & asio::cancellation_type::terminal) != asio::cancellation_type::none;
        stop("The workflow was cancelled",
             at_once ? asio::cancellation_type::terminal : asio::cancellation_type::partial);
    } else if (take_run_cancel(context_->options.project_root, journal_->run_id())) {
        stop("The workflow was cancelled", asio::cancellation_type::partial);
    }
    look_at_manual_steps();
}

void Run::advance()
{
    const auto questions = asks();
    while (const auto decision = scheduler_->next(questions)) {
        switch (decision->kind) {
            case Decision::Kind::start:
                begin(decision->step, decision->round);
                break;
            case Decision::Kind::skip:
                note_skip(*decision);
                break;
            case Decision::Kind::fail:
                note_failed_condition(*decision);
                break;
        }
    }
}

Scheduler::Asks Run::asks()
{
    Scheduler::Asks asks;
    asks.has_room = [this](std::size_t i) { return has_room(i); };
    asks.condition = [this](std::size_t i, std::string& problem) {
        return plan_.steps[i].condition.evaluate(values_for(i, false), problem);
    };
    return asks;
}

void Run::begin(std::size_t i, int round)
{
    auto& step = *steps_[i];
    step.result = StepResult{};
    step.result.id = workflow_.steps[i].id;
    step.result.state = StepState::running;
    step.result.round = round;
    step.result.started_at = now_text();
    step.started = context_->options.clock->now();
    step.attempts_left.reset();
    if (step.in_git && !step.goes_on) step.tree.clear();
    occupy(i);
    begin_work(i);
}

// From the journal's line on; also for an engine that goes on with it.
void Run::begin_work(std::size_t i)
{
    auto& step = *steps_[i];
    if (!step.runs_nothing) step.request.execution_id = text::new_uuid();
    if (step.in_git) {
        step.goes_on = !step.tree.empty();
        if (!step.goes_on) step.tree = tree_name_of(i);
        step.request.worktree = trees_->path_of(step.tree);
    }
    if (is_unwanted(i)) return end_unwanted(i);
    if (!record_begin(i)) return end_unwanted(i);
    if (!step.in_git) drop_baseline_of_others(i);
    (void)remove_markers(context_->options.project_root, journal_->run_id(), step.result.id);
    tell_step(WorkflowEvent::Type::step_started, i);
    if (step.runs_nothing)
        ended_.push_back({i, {}, {}, StepState::completed});
    else if (step.in_git)
        spawn(i, prepare_tree(shared_from_this(), i));
    else
        hand_over(i);
}

bool Run::record_begin(std::size_t i)
{
    auto& step = *steps_[i];
    step.recorded = false;
    protocol::StepStarted start{step.result.id,
                                step.result.round,
                                step.request.execution_id,
                                step.request.worktree.string(),
                                {}};
    if (step.goes_on) start.tree = step_tree(i);
    return record(start);
}

// Nothing that has not begun is begun any more.
bool Run::is_unwanted(std::size_t i) const
{
    return cancelled_ || journal_error_ || scheduler_->node(i).superseded ||
           (scheduler_->stopped() && *scheduler_->stopped() != Scheduler::Stop::by_gate);
}

void Run::end_unwanted(std::size_t i)
{
    Ended ended;
    ended.step = i;
    ended.state = StepState::cancelled;
    ended.reason = journal_error_ ? "It could not be recorded" : "It was cancelled";
    ended.settled = true;
    note_ended(std::move(ended));
}

// A step whose work ends by an exception must not be waited for.
void Run::spawn(std::size_t i, asio::awaitable<void> work)
{
    auto finish = [self = shared_from_this(), i](std::exception_ptr failure) {
        if (failure) self->note_ended(ended_by(i, failure));
    };
    asio::co_spawn(context_->strand, std::move(work), std::move(finish));
}

void Run::hand_over(std::size_t i)
{
    if (auto problem = missing_requirement(i); !problem.empty()) {
        Ended ended;
        ended.step = i;
        ended.state = StepState::failed;
        ended.code = "requirement_missing";
        ended.reason = std::move(problem);
        ended.settled = true;
        return note_ended(std::move(ended));
    }
    const auto& announce = context_->options.on_worktree;
    if (announce) announce(steps_[i]->request.worktree);
    if (options_.automatic)
        run_command(i);
    else
        publish_for_people(i);
}

CommandRequest Run::request_of(std::size_t i)
{
    auto request = steps_[i]->request;
    if (steps_[i]->attempts_left) request.max_attempts = steps_[i]->attempts_left;
    request.artifact_baseline = baseline_of(i);
    const auto hooks = std::make_shared<CommandHooks>();
    hooks->before_retry = steps_[i]->before_retry;
    hooks->on_baseline = [self = shared_from_this(), i](ArtifactBaseline baseline) {
        return asio::co_spawn(self->context_->strand,
                              self->note_baseline(self, i, std::move(baseline)),
                              asio::use_awaitable);
    };
    hooks->on_end = [self = shared_from_this(), i](ExecutionResult result) {
        return asio::co_spawn(self->context_->strand, self->note_early(self, i, std::move(result)),
                              asio::use_awaitable);
    };
    request.hooks = hooks;
    return request;
}

void Run::run_command(std::size_t i)
{
    auto finish = [self = shared_from_this(), i](error_code ec, ExecutionResult result) {
        self->note_execution(i, ec, std::move(result));
    };
    context_->engine.async_execute_command(
        request_of(i),
        asio::bind_cancellation_slot(steps_[i]->cancel.slot(),
                                     asio::bind_executor(context_->strand, std::move(finish))));
}

// Before what is in flight is tidied up: so it is always known how a command has ended.
asio::awaitable<void> Run::note_early(std::shared_ptr<Run>, std::size_t i, ExecutionResult result)
{
    const auto ended = ended_with(i, std::move(result));
    if (!record_executed(ended)) throw system_error(journal_error_);
    co_return;
}

Run::Ended Run::ended_by(std::size_t i, const std::exception_ptr& failure)
{
    Ended ended;
    ended.step = i;
    ended.state = StepState::failed;
    ended.settled = true;
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        ended.reason = e.what();
    }
    return ended;
}

Run::Ended Run::ended_with(std::size_t i, ExecutionResult result) const
{
    Ended ended;
    ended.step = i;
    ended.state = state_of(result.status);
    if (result.error) ended.reason = result.error->message;
    ended.execution = std::move(result);
    return ended;
}

void Run::note_execution(std::size_t i, error_code ec, ExecutionResult result)
{
    auto ended = ended_with(i, std::move(result));
    ended.ec = ec;
    if (ec) ended.state = StepState::failed;
    if (ec && ended.reason.empty()) ended.reason = ec.message();
    note_ended(std::move(ended));
}

void Run::note_ended(Ended ended)
{
    ended_.push_back(std::move(ended));
    alarm_->wake();
}

void Run::conclude(Ended ended)
{
    const auto i = ended.step;
    auto& step = *steps_[i];
    release(i);
    const auto provided = provided_by(i, ended);
    step.result.execution = std::move(ended.execution);
    step.result.ended_at = now_text();
    step.result.duration =
        duration_cast<milliseconds>(context_->options.clock->now() - step.started);
    const auto judged = scheduler_->ended(i, ended.state, provided, ended.reason);
    const bool discarded = judged == Scheduler::Judged::discarded;
    step.result.state = discarded ? StepState::cancelled : scheduler_->node(i).state;
    step.result.reason =
        discarded ? "A gate has sent back to what it works from" : std::move(ended.reason);
    step.result.tolerated = ended.state != StepState::completed && scheduler_->node(i).goes_on;
    step.result.code = std::move(ended.code);
    if (discarded) step.commit.clear();
    if (discarded) step.kept.clear();
    step.result.commit = step.commit;
    step.result.warnings = std::move(ended.warnings);
    step.goes_on = false;
    if (discarded || ended.state == StepState::completed) drop_baseline(i);
    record_end(i, discarded);
    if (!discarded) mark(i);
    tell_step(WorkflowEvent::Type::step_ended, i, step.result.reason);
    if (judged == Scheduler::Judged::by_gate) judge(i);
    if (scheduler_->stopped() == Scheduler::Stop::by_failure)
        for (std::size_t k = 0; k < steps_.size(); ++k)
            cancel_step(k, asio::cancellation_type::partial);
}

void Run::judge(std::size_t i)
{
    auto& step = *steps_[i];
    std::string problem;
    const auto holds = plan_.steps[i].gate.evaluate(values_for(i, true), problem);
    Verdict verdict;
    if (holds)
        verdict = scheduler_->judge(i, *holds);
    else
        scheduler_->fail_judgement(i, problem);
    step.result.gate_passed = holds;
    const auto& node = scheduler_->node(i);
    const bool has_failed = !holds || verdict.kind == Verdict::Kind::fail;
    if (has_failed) {
        step.result.state = node.state;
        step.result.reason = node.reason;
        step.result.code = "gate";
        step.result.tolerated = node.goes_on;
    }
    record(protocol::GateJudged{step.result.id, step.result.round, holds, step.result.state,
                                has_failed ? step.result.reason : std::string()});
    if (has_failed) {
        (void)remove_markers(context_->options.project_root, journal_->run_id(), step.result.id);
        mark(i);
    }
    tell_step(WorkflowEvent::Type::gate_judged, i,
              has_failed ? step.result.reason
                         : fmt::format("The gate {}", *holds ? "passed" : "did not pass"));
    if (verdict.kind == Verdict::Kind::back) send_back(i, verdict);
}

void Run::send_back(std::size_t gate, const Verdict& verdict)
{
    std::vector<std::string> ids;
    for (const auto k : verdict.steps) ids.push_back(workflow_.steps[k].id);
    const auto& to = workflow_.steps[verdict.to].id;
    record(protocol::SentBack{workflow_.steps[gate].id, steps_[gate]->result.round, to, ids});
    Parent feedback{workflow_.steps[gate].id, steps_[gate]->commit};
    forget_work(verdict.steps);
    drop_baselines(verdict.steps);
    steps_[verdict.to]->feedback = std::move(feedback);
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::sent_back;
    event.step_id = workflow_.steps[gate].id;
    event.round = steps_[gate]->result.round;
    event.message = fmt::format("Back to '{}'", to);
    event.steps = std::move(ids);
    tell(std::move(event));
}

// What runs again makes its work anew.
void Run::forget_work(const std::vector<std::size_t>& steps)
{
    for (const auto k : steps) {
        auto& step = *steps_[k];
        if (!scheduler_->node(k).forced) step.feedback = {};
        step.commit.clear();
        step.kept.clear();
        if (scheduler_->node(k).superseded)
            cancel_step(k, asio::cancellation_type::partial);
        else
            step.result.state = StepState::pending;
    }
}

void Run::note_skip(const Decision& decision)
{
    auto& result = steps_[decision.step]->result;
    result = StepResult{};
    result.id = workflow_.steps[decision.step].id;
    result.state = StepState::skipped;
    result.reason = decision.reason;
    result.tolerated = decision.goes_on;
    result.ended_at = now_text();
    record(protocol::StepSkipped{result.id, decision.round, decision.reason, decision.goes_on});
    tell_step(WorkflowEvent::Type::step_skipped, decision.step, decision.reason);
}

void Run::note_failed_condition(const Decision& decision)
{
    const auto i = decision.step;
    auto& result = steps_[i]->result;
    result = StepResult{};
    result.id = workflow_.steps[i].id;
    result.state = scheduler_->node(i).state;
    result.round = decision.round;
    result.reason = decision.reason;
    result.tolerated = decision.goes_on;
    result.ended_at = now_text();
    record_end(i, false);
    mark(i);
    tell_step(WorkflowEvent::Type::step_ended, i, result.reason);
}

void Run::stop(std::string reason, asio::cancellation_type how)
{
    const bool hard = how == asio::cancellation_type::terminal;
    if (cancelled_ && (stopping_hard_ || !hard)) return;
    cancelled_ = true;
    stopping_hard_ = hard;
    scheduler_->stop(std::move(reason));
    git_interrupt_->cancel(*context_->options.clock, how);
    for (std::size_t i = 0; i < steps_.size(); ++i) cancel_step(i, how);
}

void Run::cancel_step(std::size_t i, asio::cancellation_type how)
{
    auto& step = *steps_[i];
    if (step.result.state == StepState::running)
        step.cancel.emit(how);
    else if (step.result.state == StepState::waiting_manual)
        take_back(i, StepState::cancelled, "It was cancelled");
}

WorkflowResult Run::finish()
{
    WorkflowResult result;
    result.run_id = journal_->run_id();
    result.workflow_id = workflow_.id;
    result.duration = duration_cast<milliseconds>(context_->options.clock->now() - begun_);
    if (trees_) result.branch = trees_->branch();
    result.commit = commit_;
    for (const auto& step : steps_) result.steps.push_back(step->result);
    const auto failures = scheduler_->failures();
    result.status = WorkflowStatus::completed;
    if (journal_error_) {
        fail_by_journal(result);
    } else if (cancelled_) {
        result.status = WorkflowStatus::cancelled;
        result.error = "The workflow was cancelled.";
    } else if (!failures.empty()) {
        result.status = WorkflowStatus::failed;
        result.error = sentence_of(failures);
    } else if (!merge_problem_.empty()) {
        result.status = WorkflowStatus::failed;
        result.error = merge_problem_;
    }
    result.critical_path = critical_path();
    record(protocol::RunEnded{result.status, result.error});
    if (journal_error_) fail_by_journal(result);  // perhaps only now
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::run_ended;
    event.status = result.status;
    event.message = result.error;
    tell(std::move(event));
    return result;
}

void Run::fail_by_journal(WorkflowResult& result) const
{
    result.status = WorkflowStatus::failed;
    result.error = journal_sentence(*journal_, journal_error_);
}

// The first that failed by itself: others may have been cancelled for it.
std::string Run::sentence_of(const std::vector<std::size_t>& failures) const
{
    const auto by_itself = std::find_if(failures.begin(), failures.end(), [this](std::size_t i) {
        return steps_[i]->result.state != StepState::cancelled;
    });
    const auto i = by_itself == failures.end() ? failures.front() : *by_itself;
    auto text = fmt::format("Step '{}': {}", workflow_.steps[i].id, steps_[i]->result.reason);
    if (failures.size() > 1) text += fmt::format(" (and {} more)", failures.size() - 1);
    return text;
}

std::vector<std::string> Run::critical_path() const
{
    const auto none = steps_.size();
    std::vector<milliseconds> longest(steps_.size(), milliseconds{0});
    std::vector<std::size_t> before(steps_.size(), none);
    std::size_t last = none;
    for (const auto i : plan_.order) {
        for (const auto from : plan_.steps[i].waits_for) {
            if (longest[from] <= longest[i]) continue;
            longest[i] = longest[from];
            before[i] = from;
        }
        longest[i] += steps_[i]->result.duration;
        if (steps_[i]->result.round > 0 && (last == none || longest[i] > longest[last])) last = i;
    }
    std::vector<std::string> path;
    for (auto i = last; i != none; i = before[i])
        if (steps_[i]->result.round > 0) path.insert(path.begin(), workflow_.steps[i].id);
    return path;
}

}  // namespace autoexec::workflow
