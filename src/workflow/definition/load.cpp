#include "autoexec/workflow.hpp"

#include "files/safe_files.hpp"
#include "protocol/artifact_path.hpp"
#include "text/digest.hpp"
#include "workflow/definition/reader.hpp"
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

std::string name_of(const Workflow& workflow, std::size_t step)
{
    const auto& id = workflow.steps[step].id;
    return id.empty() ? fmt::format("Step {}: ", step + 1) : fmt::format("Step '{}': ", id);
}

void add_problem(const Definition& definition, const PlanProblem& problem, Report& report)
{
    const auto at = definition.source_map.of(problem, report);
    auto message =
        (problem.step ? name_of(definition.workflow, *problem.step) : "") + problem.message;
    if (problem.warning)
        report.warning(at, std::move(message), problem.hint);
    else
        report.error(at, std::move(message), problem.hint);
}

// The plan is usable if the report has not failed.
Plan check_plan(const Definition& definition, Report& report)
{
    std::vector<PlanProblem> problems;
    auto plan = workflow::make_plan(definition.workflow, problems);
    for (const auto& problem : problems)
        if (!definition.source_map.follows(problem)) add_problem(definition, problem, report);
    return plan;
}

void check_agents(const Definition& definition, const WorkflowReadOptions& options, Report& report)
{
    for (std::size_t i = 0; i < definition.workflow.steps.size(); ++i) {
        auto found = options.check_agent(definition.workflow.steps[i]);
        if (!found) continue;
        PlanProblem problem;
        problem.step = i;
        problem.field = "agent";
        problem.message = std::move(found->message);
        problem.hint = std::move(found->hint);
        problem.warning = found->warning;
        add_problem(definition, problem, report);
    }
}

/// Checks for artifacts that no step creates.
class RepositoryCheck {
public:
    RepositoryCheck(const Definition& definition, const fs::path& worktree, Report& report)
        : definition_(definition),
          report_(report),
          folder_(::open(worktree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))
    {
        if (!folder_)
            report_.error({}, fmt::format("The worktree '{}' cannot be opened: {}",
                                          worktree.string(), files::last_error().message()));
    }

    void run(const Plan& plan)
    {
        if (!folder_) return;
        for (std::size_t i = 0; i < plan.steps.size(); ++i)
            // The step works in another folder.
            if (definition_.workflow.steps[i].worktree.empty()) look_for_needs(i, plan.steps[i]);
    }

private:
    void look_for_needs(std::size_t step, const workflow::PlanStep& planned)
    {
        const auto& needs = definition_.workflow.steps[step].needs;
        const auto& others = planned.from_repository;
        for (std::size_t k = 0; k < needs.size() && missing_ < max_missing; ++k) {
            const auto path = protocol::artifact_path(needs[k]);
            if (!path || std::find(others.begin(), others.end(), *path) == others.end()) continue;
            if (!is_there(*path)) report_missing(step, k, needs[k]);
        }
    }

    [[nodiscard]] bool is_there(const std::string& path) const
    {
        error_code ec;
        return static_cast<bool>(
            files::open_beneath(folder_.get(), path, O_PATH, files::Links::inside, ec));
    }

    void report_missing(std::size_t step, std::size_t item, const std::string& need)
    {
        PlanProblem here;
        here.step = step;
        here.field = "requires";
        here.item = item;
        ++missing_;
        report_.error(definition_.source_map.of(here, report_),
                      fmt::format("{}No step creates '{}', and it is not in the worktree",
                                  name_of(definition_.workflow, step), need),
                      hint_for(need));
    }

    [[nodiscard]] std::string hint_for(const std::string& need) const
    {
        if (workflow::index_of(definition_.workflow, need))
            return fmt::format("'{}' is a step: use 'depends_on'.", need);
        std::vector<std::string_view> artifacts;
        for (const auto& step : definition_.workflow.steps)
            artifacts.insert(artifacts.end(), step.creates.begin(), step.creates.end());
        return yaml::did_you_mean(need, artifacts);
    }

    const Definition& definition_;
    Report& report_;
    files::UniqueFd folder_;
    std::size_t missing_ = 0;
};

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
    const bool fits = standard.is_null() ? !given->is_structured()
                                         : workflow::type_of(*given) == workflow::type_of(standard);
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

std::optional<Workflow> read_workflow(std::string_view text, const WorkflowReadOptions& options,
                                      Report& report)
{
    const auto root = yaml::parse_yaml(text, report);
    if (!root) return std::nullopt;
    auto definition = workflow::read_definition(*root, report);
    if (!definition) return std::nullopt;
    const auto plan = check_plan(*definition, report);
    if (options.check_agent) check_agents(*definition, options, report);
    if (report.failed()) return std::nullopt;
    if (!options.worktree.empty()) RepositoryCheck(*definition, options.worktree, report).run(plan);
    if (options.params) check_params(*definition, *options.params, report);
    definition->workflow.path = report.path();
    definition->workflow.hash = text::sha256_hex(text);
    return std::move(definition->workflow);
}

void sort_by_place(std::vector<Diagnostic>& diagnostics)
{
    std::stable_sort(diagnostics.begin(), diagnostics.end(), [](const auto& a, const auto& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
}

LoadedWorkflow failed(const std::string& path, const std::string& why)
{
    Report report(path, {});
    report.error({}, "The workflow file cannot be read: " + why);
    LoadedWorkflow loaded;
    loaded.errors = report.take_errors();
    return loaded;
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
    auto workflow = read_workflow(text, options, report);
    LoadedWorkflow loaded;
    loaded.errors = report.take_errors();
    loaded.warnings = report.take_warnings();
    sort_by_place(loaded.errors);
    sort_by_place(loaded.warnings);
    if (loaded.errors.empty()) loaded.workflow = std::move(workflow);
    return loaded;
}

LoadedWorkflow load_workflow(const fs::path& path, const WorkflowReadOptions& options)
{
    const auto found = read_file(path);
    if (found.state == FoundFile::State::present)
        return parse_workflow(found.text, path.string(), options);
    return failed(path.string(),
                  found.state == FoundFile::State::absent ? "it does not exist" : found.problem);
}

}  // namespace autoexec::inline v1
