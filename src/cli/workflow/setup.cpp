#include "cli/workflow/setup.hpp"

#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "protocol/command_file.hpp"
#include "text/text.hpp"
#include "workflow/plan/params.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

void warn_of_budget(const Workflow& workflow, const SessionFlags& flags,
                    const AutoExecutionConfig& config)
{
    const auto limits = budget_limits(flags, config);
    const auto warn = [](const char* key, auto limit) {
        print_message(
            "warning: The {} of the workflow's budget is higher than that of the run: {} applies\n",
            key, limit);
    };
    if (limits.max_cost_per_run > 0 && workflow.max_cost > limits.max_cost_per_run)
        warn("max_cost", limits.max_cost_per_run);
    if (limits.max_tokens_per_run > 0 && workflow.max_tokens > limits.max_tokens_per_run)
        warn("max_tokens", limits.max_tokens_per_run);
}

// The lower limit counts.
void warn_of_step_budgets(const Workflow& workflow, const SessionFlags& flags,
                          const AutoExecutionConfig& config)
{
    const auto max_cost = flags.max_cost_per_command.value_or(config.executor.max_cost_per_command);
    const auto max_tokens = flags.max_tokens_per_command
                                ? static_cast<std::int64_t>(*flags.max_tokens_per_command)
                                : config.executor.max_tokens_per_command;
    const auto warn = [](const WorkflowStep& step, const char* key, auto limit) {
        print_message(
            "warning: Step '{}': Its {} is higher than the limit per command: {} applies\n",
            text::printable(step.id), key, limit);
    };
    for_all_steps(workflow, [&](const WorkflowStep& step) {
        if (max_cost > 0 && step.max_cost > max_cost) warn(step, "max_cost", max_cost);
        if (max_tokens > 0 && step.max_tokens > max_tokens) warn(step, "max_tokens", max_tokens);
    });
}

/// `NAME=VALUE`: each name once.
ParamWords split_words(const std::vector<std::string>& words, std::string_view what,
                       std::vector<std::string>& problems)
{
    ParamWords split;
    for (const auto& word : words) {
        const auto equals = word.find('=');
        if (equals == word.npos || equals == 0) {
            problems.push_back(fmt::format("invalid {} '{}'; use NAME=VALUE", what, word));
            continue;
        }
        auto name = word.substr(0, equals);
        if (std::ranges::find(split, name, &ParamWords::value_type::first) != split.end())
            problems.push_back(fmt::format("the {} '{}' is given twice", what, name));
        split.emplace_back(std::move(name), word.substr(equals + 1));
    }
    return split;
}

std::map<std::string, std::string> variables_of(const WorkflowFlags& options,
                                                std::vector<std::string>& problems)
{
    std::map<std::string, std::string> variables;
    for (auto& [name, value] : split_words(options.env, "variable", problems)) {
        if (!protocol::is_variable_name(name))
            problems.push_back(fmt::format(
                "'{}' is not the name of a variable: use letters, digits and '_', no digit first",
                name));
        else if (name.starts_with("AUTOEXEC_"))
            problems.push_back(
                fmt::format("the variable '{}' cannot be set: autoexec sets it itself", name));
        variables.emplace(std::move(name), std::move(value));
    }
    return variables;
}

bool needs_agents_file(const Workflow& workflow)
{
    bool needs = false;
    for_all_steps(workflow, [&needs](const WorkflowStep& step) {
        const bool has_program = !step.argv.empty() || !step.shell.empty();
        needs |= !step.manual && !step.used && (!has_program || !step.agent.empty());
    });
    return needs;
}

using Copies = std::map<const Workflow*, std::shared_ptr<const Workflow>>;

/// Also of the workflows that it uses: of each a copy.
void set_timeouts(Workflow& workflow, std::chrono::milliseconds timeout, Copies& copies)
{
    for (auto& step : workflow.steps) {
        if (step.used) {
            auto& copy = copies[step.used.get()];
            if (!copy) {
                auto changed = std::make_shared<Workflow>(*step.used);
                set_timeouts(*changed, timeout, copies);
                copy = std::move(changed);
            }
            step.used = copy;
        } else if (!step.timeout && !step.manual) {
            step.timeout = timeout;
        }
    }
}

}  // namespace

void add_workflow_flags(CLI::App& app, WorkflowFlags& flags)
{
    add_common(app, flags);
    add_list(app, "--param", flags.params, "NAME=VALUE", "Set a parameter of the workflow");
    add_list(app, "--env", flags.env, "NAME=VALUE", "Set a variable of all commands");
    app.add_option("-p,--prompt", flags.prompt, "The task: short for --param prompt=TEXT")
        ->type_name("TEXT");
    app.add_option("--agent", flags.agent,
                   "Run steps that name no agent, or a role without one, with this agent")
        ->type_name("NAME");
    add_session(app, flags.session);
    add_duration(app, "--timeout", flags.timeout,
                 "Time limit for each attempt of steps without their own (default 1h)");
    add_count(
        app, "--retry", max_retries, [&flags](std::size_t n) { flags.retry = static_cast<int>(n); },
        "Retry each step at most N times, overriding the workflow");
    auto* const fast =
        app.add_flag("--fail-fast", flags.fail_fast, "Cancel all steps at the first failure");
    app.add_flag_callback(
           "--keep-going", [&flags] { flags.fail_fast = false; },
           "After a failure, run the steps that do not depend on it (default)")
        ->excludes(fast);
    app.add_flag("--no-cache", flags.no_cache,
                 "Run steps with 'cache', too, instead of using the work of earlier runs");
    add_lenient(app, flags.lenient);
    auto* const automatic = app.add_flag_callback(
        "--auto", [&flags] { flags.automatic = true; }, "Let agents run the steps");
    app.add_flag_callback(
           "--manual", [&flags] { flags.automatic = false; },
           "Let people carry out the steps and report them with autoexec workflow done")
        ->excludes(automatic);
}

CLI::Option* add_lenient(CLI::App& app, bool& lenient)
{
    return app.add_flag("--lenient", lenient,
                        "Warn about unknown keys in the workflow instead of rejecting it");
}

CLI::Option* add_run_id(CLI::App& app, const char* name, std::string& run, const char* help)
{
    return app.add_option(name, run, help)->type_name("RUN");
}

void for_all_steps(const Workflow& workflow, const std::function<void(const WorkflowStep&)>& visit)
{
    std::vector<const Workflow*> all{&workflow};
    for (std::size_t k = 0; k < all.size(); ++k)
        for (const auto& step : all[k]->steps) {
            visit(step);
            const bool is_new = step.used && std::ranges::count(all, step.used.get()) == 0;
            if (is_new) all.push_back(step.used.get());
        }
}

fs::path folder_of_used(const fs::path& file, const fs::path& root)
{
    return is_within(file, root) ? root : fs::path();
}

WorkflowFile read_workflow_file(const std::string& path, bool strict,
                                const WorkflowReadOptions& options)
{
    auto loaded = load_workflow(path, options);
    WorkflowFile file;
    file.workflow = std::move(loaded.workflow);
    file.plan = std::move(loaded.plan);
    if (strict && !loaded.warnings.empty()) {
        file.workflow.reset();
        for (auto& warning : loaded.warnings) warning.severity = Diagnostic::Severity::error;
    }
    file.diagnostics = std::move(loaded.errors);
    std::ranges::move(loaded.warnings, std::back_inserter(file.diagnostics));
    const auto place = [&path](const Diagnostic& one) {
        return std::tuple(one.path != path, one.path, one.line, one.column);
    };
    std::ranges::stable_sort(file.diagnostics, {}, place);
    return file;
}

void require_usable(const WorkflowFile& file, bool quiet)
{
    if (!file.workflow || !quiet) print_problems(file.diagnostics);
    if (!file.workflow) throw Failure(exit_invalid);
}

ParamWords parse_params(const WorkflowFlags& options)
{
    auto words = options.params;
    if (options.prompt) words.push_back("prompt=" + *options.prompt);
    std::vector<std::string> problems;
    auto params = split_words(words, "parameter", problems);
    (void)variables_of(options, problems);  // before anything is read
    if (!problems.empty()) throw Failure(exit_usage, std::move(problems));
    return params;
}

json::object typed_params(const ParamWords& words, const json::object& declared)
{
    json::object params;
    for (const auto& [name, text] : words) {
        const auto* const like = declared.if_contains(name);
        const bool is_prose = name == "prompt" && (like == nullptr || like->is_null());
        params[name] = is_prose ? json::value(text)
                                : workflow::typed_param(text, like ? *like : json::value());
    }
    return params;
}

WorkflowRunOptions make_run_options(const WorkflowFlags& options)
{
    WorkflowRunOptions run;
    std::vector<std::string> reported;  // by `parse_params`
    run.env = variables_of(options, reported);
    run.fail_fast = options.fail_fast;
    run.use_cache = !options.no_cache;
    // Zero would mean the workflow's limit, so no limit is the largest number.
    run.max_parallel = options.session.jobs.value_or(0);
    if (options.session.jobs == 0U) run.max_parallel = std::numeric_limits<std::size_t>::max();
    if (options.retry) run.max_attempts = *options.retry + 1;
    return run;
}

Agents apply_configuration(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
                           Workflow& workflow, WorkflowRunOptions& run)
{
    Copies copies;
    if (options.timeout) set_timeouts(workflow, *options.timeout, copies);
    manager.set_workflow_metadata(workflow.metadata);
    const auto config = load_configuration(manager, options.session.quiet);
    if (!options.session.quiet) warn_of_budget(workflow, options.session, config);
    if (!options.session.quiet) warn_of_step_budgets(workflow, options.session, config);
    run.automatic = options.automatic.value_or(config.enabled);
    Agents agents(manager.project_root(), options.session.external_agent,
                  run.automatic && needs_agents_file(workflow), config.default_agent);
    agents.require_usable(options.session.quiet);
    return agents;
}

}  // namespace autoexec::cli
