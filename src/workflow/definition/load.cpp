#include "autoexec/workflow.hpp"

#include "files/safe_files.hpp"
#include "protocol/expected_artifacts.hpp"
#include "text/text.hpp"
#include "workflow/definition/definition.hpp"
#include "workflow/plan/expansion.hpp"
#include "workflow/plan/placeholders.hpp"
#include "workflow/plan/plan.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using workflow::Definition;
using workflow::Plan;
using workflow::PlanProblem;
using yaml::Report;

constexpr std::size_t file_limit = 1024 * 1024;
constexpr std::size_t max_missing = 100;  // more would not help

void add_problem(const Definition& definition, const PlanProblem& problem, Report& report)
{
    const auto at = definition.source_map.of(problem, report);
    std::string message = problem.message;
    if (problem.step) {
        const auto& id = definition.workflow.steps[*problem.step].id;
        const auto name = id.empty() ? std::to_string(*problem.step + 1) : "'" + id + "'";
        message = fmt::format("Step {}: {}", name, message);
    }
    if (problem.warning)
        report.warning(at, std::move(message), problem.hint);
    else
        report.error(at, std::move(message), problem.hint);
}

// The plan is usable if the report has not failed.
std::shared_ptr<const Plan> check_plan(const Definition& definition, Report& report)
{
    std::vector<PlanProblem> problems;
    auto plan = workflow::make_plan(definition.workflow, problems);
    for (const auto& problem : problems)
        if (!definition.source_map.follows(problem)) add_problem(definition, problem, report);
    return std::make_shared<const Plan>(std::move(plan));
}

void check_agents(const Definition& definition, const WorkflowReadOptions& options, Report& report)
{
    for (std::size_t i = 0; i < definition.workflow.steps.size(); ++i) {
        if (definition.workflow.steps[i].manual) continue;
        auto step = definition.workflow.steps[i];
        const auto check = [&] {
            const auto found = options.check_agent(step);
            if (found)
                add_problem(definition,
                            {i, "agent", 0, found->message, found->hint, found->warning}, report);
        };
        const bool differ = step.for_each && !workflow::placeholders_in(step.agent).empty();
        if (!differ) {
            check();
            continue;
        }
        for (const auto& item : definition.workflow.steps[i].for_each->list) {
            step.agent = workflow::agent_for_item(definition.workflow.steps[i].agent, item);
            check();
        }
    }
}

std::string hint_for_need(const Workflow& workflow, const std::string& need)
{
    if (workflow::index_of(workflow, need))
        return fmt::format("'{}' is a step: use 'depends_on'.", need);
    std::vector<std::string_view> artifacts;
    for (const auto& step : workflow.steps)
        artifacts.insert(artifacts.end(), step.creates.begin(), step.creates.end());
    return yaml::did_you_mean(need, artifacts);
}

// Artifacts that no step creates must be in the worktree.
void check_repository(const Definition& definition, const Plan& plan, const fs::path& worktree,
                      Report& report)
{
    const files::UniqueFd folder(::open(worktree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder)
        return report.error({}, fmt::format("The worktree '{}' cannot be opened: {}",
                                            worktree.string(), files::last_error().message()));
    const auto is_there = [&](const std::string& path) {
        error_code ec;
        return bool(files::open_beneath(folder.get(), path, O_PATH, files::Links::inside, ec));
    };
    std::size_t missing = 0;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const auto& step = definition.workflow.steps[i];
        if (!step.worktree.empty()) continue;  // it works in another folder
        for (std::size_t k = 0; k < step.needs.size() && missing < max_missing; ++k) {
            const auto path = protocol::artifact_path(step.needs[k]);
            if (!path || !std::ranges::count(plan.steps[i].from_repository, *path) ||
                is_there(*path))
                continue;
            ++missing;
            auto message =
                fmt::format("No step creates '{}', and it is not in the worktree", step.needs[k]);
            auto hint = hint_for_need(definition.workflow, step.needs[k]);
            add_problem(definition, {i, "requires", k, std::move(message), std::move(hint)},
                        report);
        }
    }
}

std::string hint_for_parameter(const json::object& declared, std::string_view name)
{
    std::vector<std::string_view> known;
    for (const auto& member : declared) known.push_back(member.key());
    if (known.empty()) return "The workflow declares none.";
    auto guess = yaml::did_you_mean(name, known);
    return guess.empty() ? fmt::format("There are {}.", fmt::join(known, ", ")) : guess;
}

/// `standard` is the default, or null.
void check_param(std::string_view name, const json::value& standard, const json::value* given,
                 yaml::Position at, Report& report)
{
    const bool is_given = given != nullptr && !(given->is_null() && standard.is_null());
    if (!is_given) {
        if (standard.is_null())
            report.error(at, fmt::format("The parameter '{}' must be given", name),
                         "It has no default.");
        return;
    }
    const bool fits = standard.is_null()
                          ? !given->is_structured()
                          : workflow::type_of(*given) == workflow::type_of(standard) &&
                                given->is_array() == standard.is_array();
    if (fits) return;
    report.error(at,
                 fmt::format("The parameter '{}' must be {}", name,
                             standard.is_null() ? "a single value" : workflow::describe(standard)),
                 fmt::format("The given value is {}.", workflow::describe(*given)));
}

void check_params(const Definition& definition, const json::object& given, Report& report)
{
    const auto& declared = definition.workflow.params;
    for (const auto& [name, value] : given)
        if (!declared.contains(name) && name != "prompt")
            report.error({}, fmt::format("There is no parameter '{}'", std::string_view(name)),
                         hint_for_parameter(declared, name));
    for (const auto& [name, standard] : declared)
        check_param(name, standard, given.if_contains(name),
                    definition.source_map.of_parameter(name), report);
}

void read_workflow(std::string_view text, WorkflowReadOptions options, Report& report,
                   LoadedWorkflow& loaded)
{
    const auto root = yaml::parse_yaml(text, report);
    if (!root) return;
    auto definition = workflow::read_definition(*root, report);
    if (!definition) return;
    auto& workflow = definition->workflow;
    loaded.plan = check_plan(*definition, report);
    if (options.check_agent) check_agents(*definition, options, report);
    if (report.failed()) return;
    if (options.prepare) options.prepare(workflow, options);
    if (!options.worktree.empty())
        check_repository(*definition, *loaded.plan, options.worktree, report);
    if (options.params) check_params(*definition, *options.params, report);
    if (report.failed()) return;
    workflow.path = report.path();
    workflow.hash = text::sha256_hex(text);
    loaded.workflow = std::move(workflow);
}

void sort_by_place(std::vector<Diagnostic>& diagnostics)
{
    std::stable_sort(diagnostics.begin(), diagnostics.end(), [](const auto& a, const auto& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
}

// The user names the file, so it may be a link and have any owner; but not a FIFO, which would
// block.
FoundFile read_file(const fs::path& path)
{
    FoundFile found;
    found.state = FoundFile::State::unreadable;
    struct stat info {};
    std::error_code ec;
    const auto real = fs::canonical(path, ec);
    if (ec) {
        found.problem = ec.message();
        return found;
    }
    const files::UniqueFd folder(
        ::open(real.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::stat(real.c_str(), &info) != 0) {
        found.problem = files::last_error().message();
        return found;
    }
    const auto name = real.has_filename() ? real.filename().string() : ".";
    return files::read_regular(folder.get(), name, file_limit, {info.st_uid});
}

}  // namespace

LoadedWorkflow parse_workflow(std::string_view text, const std::string& path,
                              const WorkflowReadOptions& options)
{
    Report report(path, text);
    if (!options.lenient) report.refuse_unknown_keys();
    LoadedWorkflow loaded;
    read_workflow(text, options, report, loaded);
    loaded.errors = report.take_errors();
    loaded.warnings = report.take_warnings();
    sort_by_place(loaded.errors);
    sort_by_place(loaded.warnings);
    return loaded;
}

LoadedWorkflow load_workflow(const fs::path& path, const WorkflowReadOptions& options)
{
    const auto found = read_file(path);
    if (found.state == FoundFile::State::present)
        return parse_workflow(found.text, path.string(), options);
    Report report(path.string(), {});
    report.error(
        {}, "The workflow file cannot be read: " +
                (found.state == FoundFile::State::absent ? "it does not exist" : found.problem));
    LoadedWorkflow loaded;
    loaded.errors = report.take_errors();
    return loaded;
}

}  // namespace autoexec::inline v1
