#include "protocol/artifact_path.hpp"
#include "text/json.hpp"
#include "text/text.hpp"
#include "workflow/journal/results_file.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <utility>

/// What a run tells: to its journal, in markers, to who watches, and to conditions.
namespace autoexec::workflow {
namespace {

namespace json = boost::json;

// An agent's words must not fill the journal.
constexpr std::size_t max_words_length = 16 * 1024;
constexpr std::size_t max_items = 1000;

std::string first_words(const std::string& text)
{
    if (text.size() <= max_words_length) return text;
    return text::valid_utf8(text.substr(0, max_words_length)) + "…";
}

void shorten(json::value& value);

void shorten(json::object& object)
{
    for (auto& [key, value] : object) shorten(value);
}

// Its depth is that of our own result, plus what an agent may have told: bounded by the reader.
void shorten(json::value& value)
{
    if (value.is_string()) {
        const auto& text = value.get_string();
        if (text.size() > max_words_length) value = first_words(std::string(text));
    } else if (auto* const list = value.if_array()) {
        if (list->size() > max_items) list->resize(max_items);
        for (auto& item : *list) shorten(item);
    } else if (auto* const object = value.if_object()) {
        shorten(*object);
    }
}

bool has_ended_well(StepState state)
{
    return state == StepState::completed || state == StepState::skipped;
}

}  // namespace

bool Run::record(WorkflowEvent::Type type, json::object more)
{
    if (journal_error_) return false;
    for (const auto* const key : {"reason", "error"})
        if (auto* const words = more.if_contains(key)) shorten(*words);
    journal_error_ = journal_->append(type, context_->options.clock->system_now(), more);
    if (!journal_error_) return true;
    scheduler_->stop("The journal can't be written", Scheduler::Stop::by_failure);
    for (std::size_t i = 0; i < steps_.size(); ++i)
        cancel_step(i, asio::cancellation_type::partial);
    return false;
}

void Run::record_start()
{
    const auto& redactor = *context_->options.redactor;
    json::object params;
    for (const auto& [name, value] : options_.params)
        params[name] = value.is_string() ? json::value(redactor.redact(value.get_string())) : value;
    json::array steps;
    for (const auto& step : workflow_.steps)
        steps.push_back({{"id", step.id}, {"agent", step.agent}, {"action", step.action}});
    for (auto& step : steps_) step->request.workflow_id = journal_->run_id();
    record(WorkflowEvent::Type::run_started,
           {{"run_id", journal_->run_id()},
            {"workflow_id", workflow_.id},
            {"name", workflow_.name},
            {"path", workflow_.path},
            {"hash", workflow_.hash},
            {"pid", ::getpid()},
            {"automatic", options_.automatic},
            {"fail_fast", options_.fail_fast},
            {"max_parallel", options_.max_parallel},
            {"worktrees", to_string(options_.worktrees)},
            {"worktree", context_->absolute(options_.worktree).string()},
            {"base", text::text_or_null(trees_ ? trees_->base() : std::string())},
            {"branch", text::text_or_null(trees_ ? trees_->branch() : std::string())},
            {"merge_into", text::text_or_null(options_.merge_into)},
            {"params", std::move(params)},
            {"steps", std::move(steps)}});
}

void Run::tell_start() const
{
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::run_started;
    tell(std::move(event));
}

// What is known of a step whose command has ended.
json::object Run::step_record(std::size_t i) const
{
    const auto& result = steps_[i]->result;
    const auto& execution = result.execution;
    auto whole = to_json(result);
    whole.erase("output");  // stands in `output/`; here it would only fill the journal
    shorten(whole);
    return {
        {"step", result.id},
        {"round", result.round},
        {"state", to_string(result.state)},
        {"reason", text::text_or_null(result.reason)},
        {"execution_id", text::text_or_null(execution ? execution->execution_id : std::string())},
        {"attempts", execution ? execution->attempts : 0},
        {"started_at", text::text_or_null(result.started_at)},
        {"duration_seconds", std::chrono::duration<double>(result.duration).count()},
        {"result", std::move(whole)}};
}

/// Once for each round.
bool Run::record_executed(const Ended& ended)
{
    auto& step = *steps_[ended.step];
    if (std::exchange(step.recorded, true)) return !journal_error_;
    step.result.execution = ended.execution;
    auto line = step_record(ended.step);
    line["state"] = to_string(ended.state);
    line["reason"] = text::text_or_null(ended.reason);
    line["missing"] = json::array(ended.missing.begin(), ended.missing.end());
    return record(WorkflowEvent::Type::step_executed, std::move(line));
}

void Run::record_end(std::size_t i, bool discarded, bool late)
{
    const auto& result = steps_[i]->result;
    json::array provided;
    for (const auto& artifact : scheduler_->node(i).provided) provided.emplace_back(artifact);
    auto line = step_record(i);
    line["tolerated"] = result.tolerated;
    line["discarded"] = discarded;
    line["late"] = late;
    line["code"] = text::text_or_null(result.code);
    line["ended_at"] = text::text_or_null(result.ended_at);
    line["provided"] = std::move(provided);
    line["commit"] = text::text_or_null(result.commit);
    line["kept"] = text::text_or_null(steps_[i]->kept);
    record(WorkflowEvent::Type::step_ended, std::move(line));
}

void Run::mark(std::size_t i) const
{
    const auto& step = workflow_.steps[i];
    const auto& result = steps_[i]->result;
    Marker marker;
    marker.workflow_id = journal_->run_id();
    marker.step_id = step.id;
    marker.agent = step.agent;
    marker.action = step.action;
    std::transform(marker.action.begin(), marker.action.end(), marker.action.begin(), [](char c) {
        return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    marker.done = has_ended_well(result.state);
    marker.timestamp = text::iso_local(context_->options.clock->system_now());
    marker.error = result.reason;
    marker.worktree_path = steps_[i]->request.worktree.string();
    marker.worktree_name = steps_[i]->request.worktree.filename().string();
    marker.expected_artifacts = steps_[i]->request.expected_artifacts;
    const auto& provided = scheduler_->node(i).provided;
    marker.found_artifacts.assign(provided.begin(), provided.end());
    marker.duration_seconds = std::chrono::duration<double>(result.duration).count();
    marker.started_at = result.started_at;
    marker.completed_at = result.ended_at;
    if (result.execution && result.execution->error)
        marker.error_type = result.execution->error->code;
    // The journal is the truth; a marker that can't be written is missed by scripts alone.
    (void)write_marker(context_->options.project_root, marker);
}

void Run::tell(WorkflowEvent event) const
{
    if (!options_.on_event) return;
    event.run_id = journal_->run_id();
    options_.on_event(event);
}

void Run::tell_step(WorkflowEvent::Type type, std::size_t i, std::string message) const
{
    const auto& result = steps_[i]->result;
    WorkflowEvent event;
    event.type = type;
    event.step_id = result.id;
    event.round = result.round;
    event.state = result.state;
    event.message = std::move(message);
    event.worktree = steps_[i]->request.worktree;
    event.result = &result;
    tell(std::move(event));
}

ExpressionValues Run::values_for(std::size_t i, bool in_gate)
{
    ExpressionValues values;
    values.value_of = [this, i, in_gate](const ExpressionName& name, std::string& problem) {
        return value_of(i, in_gate, name, problem);
    };
    values.exists = [this, i, in_gate](const std::string& path) {
        return exists(i, in_gate, path);
    };
    return values;
}

// Before a step runs, its worktree is not there: it will hold what those have made that it waits
// for.
bool Run::exists(std::size_t i, bool in_gate, const std::string& path) const
{
    if (in_gate || !steps_[i]->in_git) return is_in_worktree(steps_[i]->request.worktree, path);
    std::set<std::size_t> parents;
    std::vector<bool> seen(steps_.size());
    find_parents(i, seen, parents);
    for (const auto k : parents)
        if (is_in_worktree(steps_[k]->request.worktree, path)) return true;
    return parents.empty() && is_in_worktree(context_->options.project_root, path);
}

std::optional<json::value> Run::value_of(std::size_t i, bool in_gate, const ExpressionName& name,
                                         std::string& problem)
{
    const auto meaning = meaning_of(name, index_);
    switch (meaning.kind) {
        case Meaning::Kind::parameter:
            if (const auto* const value = options_.params.if_contains(meaning.rest)) return *value;
            problem = fmt::format("the parameter '{}' was not given", meaning.rest);
            return std::nullopt;
        case Meaning::Kind::step_field: {
            auto value = field_of(meaning.step, meaning.field, problem);
            if (value.is_null()) return std::nullopt;
            return value;
        }
        case Meaning::Kind::step_result:
            i = meaning.step;
            break;
        case Meaning::Kind::other:
            if (in_gate) break;
            problem = fmt::format("there is no '{}'", name.text());
            return std::nullopt;
    }
    const auto results = results_of(i, problem);
    if (!results) return std::nullopt;
    if (meaning.path.size() == 2 && meaning.path[0] == "scoring" && meaning.path[1] == "passed") {
        const auto passed = scoring_passed(*results, workflow_.steps[i], problem);
        return passed ? std::optional<json::value>(*passed) : std::nullopt;
    }
    return value_at(*results, meaning.path, problem);
}

json::value Run::field_of(std::size_t i, StepField field, std::string& problem) const
{
    const auto& result = steps_[i]->result;
    switch (field) {
        case StepField::outcome:
            return json::value(to_string(result.state));
        case StepField::attempts:
            return result.execution ? result.execution->attempts : 0;
        case StepField::round:
            return result.round;
        case StepField::verified:
            return json::value(
                to_string(result.execution ? result.execution->verified : Verification::none));
        case StepField::exit_code:
            break;
    }
    if (result.execution && result.execution->exit_code) return *result.execution->exit_code;
    problem = fmt::format("no exit code is known of '{}'", result.id);
    return nullptr;
}

std::optional<json::object> Run::results_of(std::size_t i, std::string& problem) const
{
    if (steps_[i]->result.state == StepState::skipped || steps_[i]->result.round == 0) {
        problem =
            fmt::format("'{}' has not run, so there are no results of it", workflow_.steps[i].id);
        return std::nullopt;
    }
    // What was there before says nothing of this attempt.
    const auto& execution = steps_[i]->result.execution;
    const auto own = protocol::artifact_path(plan_.steps[i].results);
    const auto is_own = [&](const std::string& path) {
        return protocol::artifact_path(path) == own;
    };
    if (execution && std::any_of(execution->missing_artifacts.begin(),
                                 execution->missing_artifacts.end(), is_own)) {
        problem = fmt::format("'{}' has not written '{}' anew", workflow_.steps[i].id,
                              plan_.steps[i].results);
        return std::nullopt;
    }
    return read_results(steps_[i]->request.worktree, plan_.steps[i].results, problem);
}

std::set<std::string> Run::provided_by(std::size_t i, const Ended& ended) const
{
    std::set<std::string> provided;
    const auto& execution = ended.execution;
    const bool completed = ended.state == StepState::completed;
    // Of what failed, that which was seen to be there; of what completed, also that which nobody
    // was asked to see.
    if (!completed && (!execution || execution->verified == Verification::none)) return provided;
    const auto& missing = execution ? execution->missing_artifacts : ended.missing;
    for (const auto& path : steps_[i]->request.expected_artifacts) {
        const bool is_missing = std::find(missing.begin(), missing.end(), path) != missing.end();
        if (is_missing && (!completed || plan_.steps[i].require_artifacts)) continue;
        if (auto normal = protocol::artifact_path(path)) provided.insert(*std::move(normal));
    }
    return provided;
}

bool Run::has_room(std::size_t i) const
{
    const auto& step = *steps_[i];
    if (step.runs_nothing) return true;
    if (!step.turn.empty() && context_->busy_trees.contains(step.turn)) return false;
    const auto limit = context_->options.agent_limits.find(step.agent);
    if (limit == context_->options.agent_limits.end() || limit->second == 0) return true;
    const auto busy = context_->busy_agents.find(step.agent);
    return busy == context_->busy_agents.end() || busy->second < limit->second;
}

void Run::occupy(std::size_t i)
{
    const auto& step = *steps_[i];
    if (step.runs_nothing) return;
    if (!step.turn.empty()) context_->busy_trees.insert(step.turn);
    ++context_->busy_agents[step.agent];
}

void Run::give_back(std::size_t i)
{
    const auto& step = *steps_[i];
    if (step.runs_nothing) return;
    if (!step.turn.empty()) context_->busy_trees.erase(step.turn);
    --context_->busy_agents[step.agent];
}

void Run::release(std::size_t i)
{
    give_back(i);
    for (auto* const timer : context_->waiting)
        if (timer != alarm_.get()) timer->wake();
}

std::string Run::now_text() const
{
    return text::iso_utc(context_->options.clock->system_now());
}

}  // namespace autoexec::workflow
