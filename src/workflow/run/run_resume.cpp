#include "records/running.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"
#include "workflow/journal/result.hpp"
#include "workflow/run/run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>

/// How a run goes on: its journal is told to the scheduler again, and what was in flight when the
/// engine died is settled.
namespace autoexec::workflow {
namespace {

namespace json = boost::json;
using text::Fields;

constexpr std::string_view redacted = "***REDACTED***";

bool is_hidden(const json::value& value)
{
    return value.is_string() && value.get_string().find(redacted) != json::string::npos;
}

std::optional<ExecutionStatus> parse_execution_status(std::string_view word)
{
    for (const auto status : {ExecutionStatus::completed, ExecutionStatus::failed,
                              ExecutionStatus::timeout, ExecutionStatus::cancelled})
        if (to_string(status) == word) return status;
    return std::nullopt;
}

// As much of it as conditions can ask for, and as the result shows.
std::optional<ExecutionResult> execution_in(const Fields& line)
{
    const auto result = line.object("result");
    const auto status = parse_execution_status(result.string("status").value_or(""));
    if (!status) return std::nullopt;
    ExecutionResult execution;
    execution.status = *status;
    execution.execution_id = result.string("execution_id").value_or("");
    execution.attempts = static_cast<int>(result.integer("attempts", 0, 1'000'000).value_or(0));
    execution.worktree = result.string("worktree").value_or("");
    execution.missing_artifacts = result.object("verified").strings("missing");
    const auto verified = result.object("verified").string("artifacts").value_or("");
    execution.verified = verified == "all"       ? Verification::all
                         : verified == "partial" ? Verification::partial
                                                 : Verification::none;
    execution.artifacts = result.object("claimed").strings("artifacts");
    if (const auto code = result.object("exit").integer("exit_code"))
        execution.exit_code = static_cast<int>(*code);
    if (const auto error = result.string("error"))
        execution.error = CommandError{*error, result.string("error_code").value_or(""), {}, 0};
    return execution;
}

std::vector<git::ArtifactSource> sources_in(const json::object& transition)
{
    std::vector<git::ArtifactSource> sources;
    const auto* const list = transition.if_contains("laid");
    if (list == nullptr || !list->is_array()) return sources;
    for (const auto& item : list->get_array()) {
        std::vector<std::string> ignored;
        const Fields source(item.if_object(), ignored);
        sources.push_back(
            {source.string("commit").value_or(""), source.string("path").value_or("")});
    }
    return sources;
}

std::optional<records::RunningEntry> running_entry(const std::filesystem::path& root,
                                                   const std::string& execution_id)
{
    for (auto& entry : records::list_running(root))
        if (entry.record.execution_id == execution_id) return std::move(entry);
    return std::nullopt;
}

}  // namespace

asio::awaitable<std::string> Run::read_journal(error_code& ec)
{
    const auto& root = context_->options.project_root;
    const auto& run_id = resumption_->run_id;
    std::string problem;
    auto record = read_run(root, run_id, problem);
    if (!record) co_return problem;
    // Without those records a step that is still in flight would be started again.
    (void)records::list_running(root, ec);
    if (ec) co_return records::unreadable_sentence(root, ec);
    journal_ = Journal::take_over(root, run_id, context_->options.durability, ec);
    if (!journal_ && ec == errc::worktree_busy) {
        ec = {};
        co_return fmt::format("The run '{}' goes on already: its engine lives.", run_id);
    }
    if (!journal_)
        co_return fmt::format("The journal of '{}' can't be taken over: {}.", run_id, ec.message());
    auto settling = settle_calls();
    if (!co_await std::move(settling))
        co_return fmt::format(
            "Git still works for the engine of '{}' that has ended. Go on when it has finished.",
            run_id);
    record = read_run(root, run_id, problem);  // once more: it is ours now
    if (!record || record->transitions.empty())
        co_return fmt::format("The journal of '{}' says nothing of a run.", run_id);
    if (record->workflow_id != workflow_.id)
        co_return fmt::format("The run '{}' is of the workflow '{}', not of '{}'.", run_id,
                              record->workflow_id, workflow_.id);
    if (!resumption_->what.accept_changed && !record->hash.empty() &&
        record->hash != workflow_.hash)
        co_return fmt::format(
            "The workflow '{}' has changed since the run began. To go on with it as "
            "it is now, accept that: --accept-changed.",
            workflow_.path);
    // What was asked of an engine that is no more.
    (void)take_run_cancel(root, run_id);
    resumption_->transitions = std::move(record->transitions);
    std::set<std::string> hashes;
    const json::object* start = nullptr;
    for (const auto& transition : resumption_->transitions) {
        std::vector<std::string> ignored;
        const Fields line(&transition, ignored);
        if (line.string("event") != to_string(WorkflowEvent::Type::run_started)) continue;
        start = &transition;
        hashes.insert(line.string("hash").value_or(""));
    }
    hashes.insert(workflow_.hash);
    has_changed_ = hashes.size() > 1;
    if (start == nullptr)
        co_return fmt::format("The journal of '{}' does not say how the run began.", run_id);
    co_return take_back_options(*start);
}

// Calls of git that the engine before us had begun are not stopped by its death.
asio::awaitable<bool> Run::settle_calls()
{
    constexpr std::chrono::milliseconds interval{20};
    constexpr std::chrono::seconds time_limit{75};  // more than they get
    auto& clock = *context_->options.clock;
    const auto timer = clock.make_timer(context_->strand);
    const auto deadline = clock.now() + time_limit;
    while (!journal_->is_settled()) {
        if (clock.now() >= deadline) co_return false;
        co_await timer->wait_until(clock.now() + interval);
    }
    co_return true;
}

std::string Run::take_back_options(const json::object& start)
{
    std::vector<std::string> ignored;
    const Fields line(&start, ignored);
    const auto mode = line.string("worktrees").value_or("");
    std::optional<WorktreeMode> known;
    for (const auto m : {WorktreeMode::step, WorktreeMode::workflow, WorktreeMode::in_place})
        if (to_string(m) == mode) known = m;
    if (!known)
        return fmt::format("The journal of '{}' does not say where its steps work.",
                           resumption_->run_id);
    options_.worktrees = *known;
    options_.worktree = line.string("worktree").value_or("");
    options_.base = line.string("base").value_or("HEAD");
    if (options_.merge_into.empty()) options_.merge_into = line.string("merge_into").value_or("");
    const auto* const params = start.if_contains("params");
    if (params == nullptr || !params->is_object()) return {};
    std::string problems;
    for (const auto& [name, value] : params->get_object()) {
        if (options_.params.contains(name)) continue;
        if (is_hidden(value))
            problems += fmt::format(
                "The parameter '{}' holds a secret, which is not kept: give it "
                "again.\n",
                std::string_view(name));
        else if (workflow_.params.contains(name) || name == "prompt")
            options_.params[name] = value;
    }
    return problems;
}

void Run::replay(const json::object& transition)
{
    using enum WorkflowEvent::Type;
    std::vector<std::string> ignored;
    const Fields line(&transition, ignored);
    const auto type = parse_event_type(line.string("event").value_or(""));
    if (!type) return;
    if (*type == run_started) ended_as_.reset();
    if (*type == run_ended) ended_as_ = parse_workflow_status(line.string("status").value_or(""));
    if (*type == merged) last_commit_ = line.string("commit").value_or("");
    if (*type == restarted) {
        std::vector<std::size_t> roots;
        for (const auto& id : line.strings("roots"))
            if (const auto k = index_of(workflow_, id)) roots.push_back(*k);
        const auto all = scheduler_->restart(roots);
        forget_work(all);
        drop_baselines(all, roots);
        note_skipped_by_restart();
    }
    const auto i = index_of(workflow_, line.string("step").value_or(""));
    if (!i) return;  // of a step that is no more
    switch (*type) {
        case step_started:
            return replay_start(*i, transition);
        case step_prepared:
            return replay_preparation(*i, transition);
        case step_ready:
            return replay_baseline(*i, transition);
        case step_waiting:
            steps_[*i]->result.state = StepState::waiting_manual;
            break;
        case step_executed: {
            Ended ended;
            ended.step = *i;
            ended.state =
                parse_step_state(line.string("state").value_or("")).value_or(StepState::failed);
            ended.reason = line.string("reason").value_or("");
            ended.missing = line.strings("missing");
            ended.execution = execution_in(line);
            executed_.insert_or_assign(*i, std::move(ended));
            steps_[*i]->recorded = true;
            break;
        }
        case step_ended:
            return replay_end(*i, transition);
        case step_skipped:
            // What was skipped for others' failures is decided anew.
            if (line.boolean("goes_on").value_or(false) &&
                scheduler_->node(*i).state == StepState::pending) {
                scheduler_->resume_skip(*i, line.string("reason").value_or(""));
                steps_[*i]->result.state = StepState::skipped;
                steps_[*i]->result.tolerated = true;
                steps_[*i]->result.reason = line.string("reason").value_or("");
            }
            break;
        case gate_judged:
            return replay_judgement(*i, transition);
        default:
            break;
    }
}

void Run::replay_start(std::size_t i, const json::object& transition)
{
    std::vector<std::string> ignored;
    const Fields line(&transition, ignored);
    auto& step = *steps_[i];
    step.result = StepResult{};
    step.result.id = workflow_.steps[i].id;
    step.result.state = StepState::running;
    step.result.round = static_cast<int>(line.integer("round", 1, 1'000'000).value_or(1));
    step.result.started_at = line.string("time").value_or("");
    step.request.execution_id = line.string("execution_id").value_or("");
    step.recorded = step.failed_late = false;
    step.tree.clear();
    step.base.clear();
    step.laid.clear();
    if (!step.in_git) drop_baseline_of_others(i);
    if (step.in_git && line.string("tree")) replay_preparation(i, transition);
    executed_.erase(i);
    scheduler_->resume_start(i, step.result.round);
}

// Only names that this engine gives are taken: a journal is a file like others.
void Run::replay_preparation(std::size_t i, const json::object& transition)
{
    std::vector<std::string> ignored;
    const Fields line(&transition, ignored);
    auto& step = *steps_[i];
    auto tree = line.string("tree").value_or("");
    if (!step.in_git || !git::is_branch_part(tree)) return;
    step.base = line.string("base").value_or("");
    step.laid = sources_in(transition);
    step.tree = std::move(tree);
    step.result.branch = "workflow/" + step.tree;
    step.request.worktree = trees_->path_of(step.tree);
    drop_baseline_of_others(i);
}

void Run::replay_end(std::size_t i, const json::object& transition)
{
    std::vector<std::string> ignored;
    const Fields line(&transition, ignored);
    auto& step = *steps_[i];
    auto& result = step.result;
    executed_.erase(i);
    const auto state =
        parse_step_state(line.string("state").value_or("")).value_or(StepState::failed);
    result.reason = line.string("reason").value_or("");
    result.code = line.string("code").value_or("");
    result.ended_at = line.string("ended_at").value_or("");
    constexpr double longest = 1e9;  // seconds
    result.duration = std::chrono::milliseconds(static_cast<std::int64_t>(
        1000 * std::clamp(line.number("duration_seconds").value_or(0), 0.0, longest)));
    result.execution = execution_in(line);
    // Its work is there; whether it can be brought together is seen again in the end.
    if (line.boolean("late").value_or(false)) {
        result.state = scheduler_->node(i).state;
        result.reason.clear();
        result.code.clear();
        step.failed_late = true;
        return;
    }
    if (scheduler_->node(i).state != StepState::running) return;
    step.commit = line.string("commit").value_or("");
    step.kept = line.string("kept").value_or("");
    if (options_.worktrees == WorktreeMode::workflow && !step.commit.empty())
        last_commit_ = step.commit;
    std::set<std::string> provided;
    for (auto& artifact : line.strings("provided")) provided.insert(std::move(artifact));
    // A failure that counts as skipped was a failure when it ended.
    const bool tolerated = line.boolean("tolerated").value_or(false);
    const auto ended = state == StepState::skipped ? StepState::failed : state;
    const bool discarded = line.boolean("discarded").value_or(false);
    if (discarded) {
        step.commit.clear();
        step.kept.clear();
    }
    if (discarded || state == StepState::completed) drop_baseline(i);
    (void)scheduler_->ended(i, ended, std::move(provided), result.reason);
    result.state = scheduler_->node(i).state;
    result.tolerated = tolerated;
    result.commit = step.commit;
}

void Run::replay_judgement(std::size_t i, const json::object& transition)
{
    if (!scheduler_->node(i).judging) return;
    const auto* const passed = transition.if_contains("passed");
    auto& result = steps_[i]->result;
    if (passed == nullptr || !passed->is_bool()) {
        std::vector<std::string> ignored;
        scheduler_->fail_judgement(
            i, Fields(&transition, ignored).string("reason").value_or("it was not judged"));
    } else {
        result.gate_passed = passed->get_bool();
        const auto verdict = scheduler_->judge(i, passed->get_bool());
        if (verdict.kind == Verdict::Kind::back) {
            Parent feedback{result.id, steps_[i]->commit};
            forget_work(verdict.steps);
            drop_baselines(verdict.steps);
            steps_[verdict.to]->feedback = std::move(feedback);
            return;
        }
    }
    const auto& node = scheduler_->node(i);
    result.state = node.state;
    if (node.state == StepState::completed) return;
    result.reason = node.reason;
    result.code = "gate";
    result.tolerated = node.goes_on;
}

// Tried on a copy: what is pending may all be there only to be skipped.
bool Run::anything_left() const
{
    if (scheduler_->in_flight() > 0) return true;
    for (std::size_t i = 0; i < steps_.size(); ++i)
        if (scheduler_->node(i).judging) return true;
    auto rehearsal = *scheduler_;
    Scheduler::Asks asks;
    asks.has_room = [](std::size_t) { return true; };
    asks.condition = [](std::size_t, std::string&) { return true; };
    while (const auto decision = rehearsal.next(asks))
        if (decision->kind == Decision::Kind::start) return true;
    return false;
}

/// A sentence if there is nothing to do.
std::string Run::restart_what_is_asked()
{
    const auto& what = resumption_->what;
    std::vector<std::size_t> roots;
    std::string problems;
    for (const auto& id : what.from) {
        const auto i = index_of(workflow_, id);
        if (i && scheduler_->node(*i).state == StepState::running)
            problems += fmt::format("Step '{}' is in flight.\n", id);
        else if (i)
            roots.push_back(*i);
        else
            problems += fmt::format("There is no step '{}'.\n", id);
    }
    const auto named = roots;
    if (!problems.empty()) return problems;
    const auto failures = scheduler_->failures();
    for (const auto i : failures) {
        const auto& result = steps_[i]->result;
        if (!what.from_failed && result.state != StepState::cancelled &&
            result.code != "merge_conflict")
            continue;
        if (std::find(named.begin(), named.end(), i) == named.end()) roots.push_back(i);
    }
    // Whoever's work is whole begins anew from what it now stands on.
    for (const auto i : roots)
        steps_[i]->goes_on =
            steps_[i]->in_git && !steps_[i]->tree.empty() && steps_[i]->commit.empty();
    // Failed without a failed step: only the work could not be brought together.
    const bool is_over = ended_as_ && (ended_as_ == WorkflowStatus::completed || !failures.empty());
    if (roots.empty() && is_over && !anything_left())
        return failures.empty()
                   ? fmt::format("The run '{}' has completed: there is nothing left to do.",
                                 resumption_->run_id)
                   : fmt::format(
                         "Of the run '{}' {} failed, and nothing else is left to do. To run "
                         "again what failed: --from-failed.",
                         resumption_->run_id, failures.size() == 1 ? "one step" : "some steps");
    scheduler_->set_fail_fast(options_.fail_fast);
    record_start();
    tell_start();
    if (roots.empty()) return {};
    const auto all = scheduler_->restart(roots);
    json::array names;
    json::array again;
    for (const auto i : roots) names.emplace_back(workflow_.steps[i].id);
    std::vector<std::string> ids;
    for (const auto i : all) ids.push_back(workflow_.steps[i].id);
    for (const auto& id : ids) again.emplace_back(id);
    record(WorkflowEvent::Type::restarted,
           {{"roots", std::move(names)}, {"steps", std::move(again)}});
    forget_work(all);
    drop_baselines(all, roots);
    note_skipped_by_restart();
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::restarted;
    event.steps = std::move(ids);
    tell(std::move(event));
    return {};
}

// With a gate's end that stands, although others run again.
void Run::note_skipped_by_restart()
{
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        auto& result = steps_[i]->result;
        const auto& node = scheduler_->node(i);
        if (node.state != StepState::skipped || result.state != StepState::pending) continue;
        result.state = node.state;
        result.reason = node.reason;
    }
}

void Run::settle_in_flight()
{
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        auto& step = *steps_[i];
        if (scheduler_->node(i).state != StepState::running) continue;
        step.started = context_->options.clock->now();
        occupy(i);
        if (const auto executed = executed_.find(i); executed != executed_.end()) {
            ended_.push_back(executed->second);
        } else if (step.runs_nothing) {
            ended_.push_back({i, {}, {}, StepState::completed});
        } else if (step.result.state == StepState::waiting_manual) {
            if (const auto& timeout = step.request.timeout) step.deadline = step.started + *timeout;
            std::string why;
            if (const auto ec = put_files(i, why))
                take_back(i, StepState::failed, why.empty() ? ec.message() : why);
        } else {
            adopt(i);
        }
        if (scheduler_->node(i).superseded) cancel_step(i, asio::cancellation_type::partial);
    }
}

// Its agent may still be at work, or have finished; or a command may lie there that nobody has
// taken.
void Run::adopt(std::size_t i)
{
    const auto& step = *steps_[i];
    const auto entry = running_entry(context_->options.project_root, step.request.execution_id);
    if (!entry) return settle_by_records(i);
    AttemptReference reference(entry->record.execution_id, entry->record.attempt_id,
                               entry->record.attempt);
    reference.started_at = entry->record.started_at;
    if (const auto& announce = context_->options.on_worktree) announce(step.request.worktree);
    set_before_retry(i);
    auto finish = [self = shared_from_this(), i](std::exception_ptr failure,
                                                 ExecutionResult result) {
        if (!failure) return self->note_adopted(i, std::move(result));
        auto ended = ended_by(i, failure);
        ended.code = "interrupted";
        ended.reason = "What was in flight can't be gone on with: " + ended.reason;
        self->note_ended(std::move(ended));
    };
    asio::co_spawn(
        context_->strand, adopt_attempt(std::move(reference), request_of(i)),
        asio::bind_cancellation_slot(steps_[i]->cancel.slot(),
                                     asio::bind_executor(context_->strand, std::move(finish))));
}

asio::awaitable<ExecutionResult> Run::adopt_attempt(AttemptReference attempt,
                                                    CommandRequest request)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    auto adopting = context_->engine.adopt(std::move(attempt), std::move(request));
    co_return co_await std::move(adopting);
}

void Run::note_adopted(std::size_t i, ExecutionResult result)
{
    const bool lost = result.error && result.error->code == "agent_lost";
    const auto attempts = result.attempts;
    auto ended = ended_with(i, std::move(result));
    if (lost) {
        ended.code = "interrupted";
        ended.reason = fmt::format(
            "Its engine ended while it ran: {}{}", ended.reason,
            workflow_.steps[i].idempotent
                ? fmt::format(" That was attempt {}.", attempts)
                : " It is not idempotent, so it is run again only when asked: --from-failed");
    }
    note_ended(std::move(ended));
}

// Nothing of it is in flight, and how it ended does not stand in the journal: it has never begun,
// or waited for its next attempt, or another engine has tidied up after its own.
void Run::settle_by_records(std::size_t i)
{
    const auto last = last_metric(i);
    if (!last) return begin_work(i);
    const int attempts = last->retry_count + 1;
    if (last->error_message == records::interrupted_message)
        return note_lost(i, attempts, *last->error_message);
    if (last->status != "completed" && attempts < max_attempts(i)) {
        steps_[i]->attempts_left = max_attempts(i) - attempts;
        return begin_work(i);
    }
    ExecutionResult result;
    result.status = parse_execution_status(last->status).value_or(ExecutionStatus::failed);
    result.execution_id = last->execution_id;
    result.attempts = attempts;
    if (last->error_message) result.error = CommandError{*last->error_message, {}, {}, 0};
    note_ended(ended_with(i, std::move(result)));
}

std::optional<ExecutionMetric> Run::last_metric(std::size_t i) const
{
    if (!context_->options.metrics) return std::nullopt;
    MetricsFilter filter;
    filter.execution_id = steps_[i]->request.execution_id;
    filter.limit = 1;
    auto metrics = context_->options.metrics->get_metrics(filter);
    if (metrics.empty()) return std::nullopt;
    return std::move(metrics.front());
}

int Run::max_attempts(std::size_t i) const
{
    const auto& request = steps_[i]->request;
    return request.max_attempts.value_or(request.retry ? request.retry->max_attempts
                                                       : context_->options.max_attempts);
}

// By the rules of retries: again only where that does no harm, and never more often than allowed.
void Run::note_lost(std::size_t i, int attempts, const std::string& reason)
{
    const bool idempotent = workflow_.steps[i].idempotent;
    if (idempotent && attempts < max_attempts(i)) {
        steps_[i]->attempts_left = max_attempts(i) - attempts;
        return begin_work(i);
    }
    Ended ended;
    ended.step = i;
    ended.state = StepState::failed;
    ended.code = "interrupted";
    ended.reason =
        idempotent ? fmt::format("Its engine ended while it ran, in its last attempt: {}", reason)
                   : fmt::format(
                         "Its engine ended while it ran: {} It is not idempotent, so it is run "
                         "again only when asked: --from-failed",
                         reason);
    note_ended(std::move(ended));
}

}  // namespace autoexec::workflow
