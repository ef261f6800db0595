#include "text/text.hpp"
#include "workflow/journal/results_file.hpp"
#include "workflow/plan/placeholders.hpp"
#include "workflow/plan/problem_text.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>

/// What is settled before a run begins: nothing is on disk yet, and nothing was asked of an agent.
namespace autoexec::workflow {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

bool is_same_type(const json::value& a, const json::value& b)
{
    return (a.is_number() && b.is_number()) || a.kind() == b.kind();
}

json::object filled(const json::object& params, const json::object& values)
{
    json::object out;
    for (const auto& [name, value] : params)
        out[name] =
            value.is_string()
                ? json::value(fill_placeholders(std::string_view(value.get_string()), values))
                : value;
    return out;
}

}  // namespace

/// A sentence for each thing that is wrong; empty if nothing is.
std::string Run::prepare()
{
    std::vector<PlanProblem> problems;
    plan_ = make_plan(workflow_, problems);
    std::string text;
    for (const auto& problem : problems)
        if (!problem.warning) text += sentence_for(workflow_, problem) + "\n";
    if (text.empty()) text = take_params();
    if (!text.empty()) return text;

    for (std::size_t i = 0; i < workflow_.steps.size(); ++i) {
        index_.emplace(workflow_.steps[i].id, i);
        text += make_step(i) + unknown_params_of(i);
    }
    if (text.empty()) text = what_is_missing();
    if (!text.empty()) return text;

    Scheduler::Limits limits;
    limits.max_parallel =
        options_.max_parallel > 0 ? options_.max_parallel : workflow_.max_parallel;
    limits.fail_fast = options_.fail_fast && !resumption_;  // its journal is told first
    scheduler_.emplace(workflow_, plan_, limits);
    return {};
}

std::string Run::take_params()
{
    std::string problems;
    auto values = workflow_.params;
    for (const auto& [name, given] : options_.params) {
        auto* const declared = values.if_contains(name);
        if (declared == nullptr && name != "prompt")
            problems += fmt::format("The workflow has no parameter '{}'.\n", text::printable(name));
        else if (declared == nullptr || declared->is_null() || is_same_type(*declared, given))
            values[name] = given;
        else if (declared->is_string())
            values[name] = text_of(given);
        else
            problems += fmt::format("The parameter '{}' must be {}.\n", name,
                                    declared->is_bool() ? "true or false" : "a number");
    }
    for (const auto& [name, value] : values)
        if (value.is_null())
            problems += fmt::format("The parameter '{}' is needed, and was not given.\n",
                                    std::string_view(name));
    options_.params = std::move(values);
    return problems;
}

std::string Run::make_step(std::size_t i)
{
    const auto& definition = workflow_.steps[i];
    auto step = std::make_unique<Step>(make_request(i));
    step->runs_nothing = is_closing(definition);
    step->result.id = definition.id;
    step->in_git = options_.worktrees != WorktreeMode::in_place && !step->runs_nothing &&
                   definition.worktree.empty();
    std::error_code ignored;
    const auto real = fs::weakly_canonical(step->request.worktree, ignored);
    step->turn = ignored ? step->request.worktree.string() : real.string();
    if (step->in_git)  // a worktree of its own, or the run's
        step->turn =
            options_.worktrees == WorktreeMode::workflow ? fmt::format("{}", fmt::ptr(this)) : "";
    std::string problem;
    if (!step->runs_nothing && options_.automatic && context_->options.assign)
        problem = context_->options.assign(definition, step->request);
    step->agent = step->request.agent.empty() ? definition.agent : step->request.agent;
    steps_.push_back(std::move(step));
    return problem.empty() ? problem : fmt::format("Step '{}': {}\n", definition.id, problem);
}

// `prompt` needs no declaration, so it may be asked for without having been given.
std::string Run::unknown_params_of(std::size_t i) const
{
    const auto& step = workflow_.steps[i];
    std::vector<std::string> names;
    const auto look_at = [&names](std::string_view text) {
        for (auto& name : placeholders_in(text)) names.push_back(std::move(name));
    };
    look_at(step.command);
    for (const auto& word : step.argv) look_at(word);
    for (const auto& [key, value] : step.params)
        if (value.is_string()) look_at(value.get_string());
    for (const auto* const expression : {&plan_.steps[i].condition, &plan_.steps[i].gate})
        for (const auto& name : expression->names())
            if (const auto meaning = meaning_of(name, index_);
                meaning.kind == Meaning::Kind::parameter)
                names.push_back(meaning.rest);
    for (const auto& name : names)
        if (!options_.params.contains(name))
            return fmt::format("Step '{}': The parameter '{}' is asked for, and was not given.\n",
                               step.id, name);
    return {};
}

CommandRequest Run::make_request(std::size_t i) const
{
    const auto& step = workflow_.steps[i];
    const auto& plan = plan_.steps[i];
    const auto& tree = step.worktree.empty() ? options_.worktree : step.worktree;
    std::vector<std::string> argv;
    for (const auto& word : step.argv) argv.push_back(fill_placeholders(word, options_.params));
    const auto text = !argv.empty()          ? text::quote_words(argv)
                      : step.command.empty() ? built_command(step, plan)
                                             : fill_placeholders(step.command, options_.params);
    CommandRequest request(text, context_->absolute(tree));
    request.argv = std::move(argv);
    request.step_id = step.id;
    request.expected_artifacts = step.creates;
    const auto& created = step.creates;
    if (!plan.results.empty() &&
        std::find(created.begin(), created.end(), plan.results) == created.end())
        request.expected_artifacts.push_back(plan.results);
    request.require_artifacts = plan.require_artifacts;
    request.env_refs = step.env_refs;
    request.idempotent = step.idempotent;
    request.timeout = step.timeout;
    request.retry = step.retry;
    request.max_attempts = options_.max_attempts;
    return request;
}

std::string Run::built_command(const WorkflowStep& step, const PlanStep& plan) const
{
    const auto& table = context_->options.commands;
    const auto* const known = table.find(step.agent, step.action);
    json::object more;
    const auto flag =
        known != nullptr ? known->prompt_flag : std::string(CommandTable::default_prompt_flag);
    if (const auto* const prompt = options_.params.if_contains("prompt"); prompt && !flag.empty())
        more[flag] = *prompt;
    if (const auto* const instruction = step.metadata.if_contains("instruction"))
        more["instruction"] = *instruction;
    if (!plan.results.empty()) more["results-file"] = plan.results;
    return table.build(step.agent, step.action, filled(step.params, options_.params), more);
}

std::string Run::what_is_missing() const
{
    std::string problems;
    std::error_code ignored;
    for (const auto& step : steps_)
        if (!step->in_git && !fs::is_directory(step->request.worktree, ignored))
            problems += fmt::format("Step '{}': Its worktree '{}' is no folder.\n", step->result.id,
                                    step->request.worktree.string());
    for (std::size_t i = 0; i < steps_.size(); ++i)
        for (const auto& path : plan_.steps[i].from_repository)
            if (!steps_[i]->in_git && !is_in_worktree(steps_[i]->request.worktree, path))
                problems += fmt::format(
                    "Step '{}' requires '{}', which no step creates, and which is not in '{}'.\n",
                    workflow_.steps[i].id, path, steps_[i]->request.worktree.string());
    return problems;
}

}  // namespace autoexec::workflow
