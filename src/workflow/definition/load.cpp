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
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
constexpr std::size_t max_used_files = 100;

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

// The plan is usable if the report has not failed. `unusable`: steps whose files cannot be used,
// which was reported.
std::shared_ptr<const Plan> check_plan(const Definition& definition,
                                       const std::set<std::size_t>& unusable, Report& report)
{
    std::vector<PlanProblem> problems;
    auto plan = workflow::make_plan(definition.workflow, problems);
    for (const auto& problem : problems) {
        const bool is_known =
            problem.field == "uses" && problem.step && unusable.contains(*problem.step);
        if (!is_known && !definition.source_map.follows(problem))
            add_problem(definition, problem, report);
    }
    return std::make_shared<const Plan>(std::move(plan));
}

void check_agents(const Definition& definition, const WorkflowReadOptions& options, Report& report)
{
    for (std::size_t i = 0; i < definition.workflow.steps.size(); ++i) {
        if (definition.workflow.steps[i].manual || !definition.workflow.steps[i].uses.empty())
            continue;
        auto step = definition.workflow.steps[i];
        std::string last;  // of several models of one agent
        const auto check = [&] {
            const auto found = options.check_agent(step);
            const bool is_new = found && std::exchange(last, found->message) != found->message;
            if (is_new)
                add_problem(definition,
                            {i, "agent", 0, found->message, found->hint, found->warning}, report);
        };
        const auto& whole = definition.workflow.steps[i];
        const bool differ = step.for_each && !(workflow::placeholders_in(step.agent).empty() &&
                                               workflow::placeholders_in(step.model).empty());
        if (!differ) {
            check();
            continue;
        }
        for (const auto& item : whole.for_each->list) {
            step.agent = workflow::agent_for_item(whole.agent, item);
            step.model = workflow::agent_for_item(whole.model, item);
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

/// The files that steps use.
class UsedFiles {
public:
    /// `first`: the file that uses them, directly or not.
    UsedFiles(const fs::path& first, const WorkflowReadOptions& options) : lenient_(options.lenient)
    {
        std::error_code ignored;
        const auto real = fs::weakly_canonical(first, ignored);
        const auto& root = options.project_root;
        root_ = fs::weakly_canonical(root.empty() ? real.parent_path() : root, ignored);
        check_agent_ = options.check_agent;
        open_.push_back({real, first});
    }

    /// Loads the files of all steps. Returns the steps whose files cannot be used.
    std::set<std::size_t> load_all(Definition& definition, Report& report)
    {
        std::set<std::size_t> unusable;
        auto& steps = definition.workflow.steps;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            if (steps[i].uses.empty()) continue;
            PlanProblem problem{i, "uses", 0, {}, {}};
            steps[i].used = load(steps[i].uses, problem);
            if (steps[i].used) continue;
            add_problem(definition, problem, report);
            unusable.insert(i);
        }
        return unusable;
    }

    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings;

private:
    struct File {
        fs::path real;
        fs::path shown;
    };

    /// Null, with a message and a hint, if it cannot be used.
    std::shared_ptr<const Workflow> load(const std::string& uses, PlanProblem& problem)
    {
        const auto named = text::printable(uses);
        const fs::path relative = uses;
        if (relative.is_absolute() || uses.find('\0') != std::string::npos) {
            problem.message = fmt::format("'{}' is not a relative path", named);
            problem.hint = "Give the path of the workflow file, relative to the file that uses it.";
            return nullptr;
        }
        File file;
        file.shown = (open_.back().shown.parent_path() / relative).lexically_normal();
        std::error_code ec;
        file.real = fs::canonical(open_.back().real.parent_path() / relative, ec);
        if (!ec && !is_in_root(file.real)) {
            problem.message = fmt::format("'{}' is outside the project", named);
            problem.hint =
                fmt::format("Files that steps use must be in {}, also if they are links.",
                            text::printable(root_.string()));
        } else if (ec) {
            problem.message =
                fmt::format("The workflow file '{}' cannot be read: {}", named, ec.message());
        } else if (const auto ring = ring_to(file); !ring.empty()) {
            problem.message = "These workflow files use each other: " + ring;
        } else if (const auto known = read_.find(file.real); known != read_.end()) {
            if (!known->second)
                problem.message = fmt::format("'{}' has errors", named);
            else if (is_too_deep(workflow::uses_depth(*known->second, depths_)))
                problem.message = too_deep();
            return problem.message.empty() ? known->second : nullptr;
        } else if (is_too_deep(1)) {
            problem.message = too_deep();
        } else if (read_.size() == max_used_files) {
            problem.message = fmt::format("More than {} workflow files are used", max_used_files);
        } else {
            return read(file, named, problem);
        }
        return nullptr;
    }

    std::shared_ptr<const Workflow> read(const File& file, const std::string& named,
                                         PlanProblem& problem);

    [[nodiscard]] bool is_in_root(const fs::path& real) const
    {
        const auto below = real.lexically_relative(root_);
        return !below.empty() && *below.begin() != "..";
    }

    /// Whether a file that is read now is too deep, with those that it uses.
    [[nodiscard]] bool is_too_deep(std::size_t depth) const
    {
        return open_.size() + depth > workflow::max_uses_depth;
    }
    static std::string too_deep()
    {
        return fmt::format("Workflow files use each other more than {} deep",
                           workflow::max_uses_depth);
    }

    /// `a.yaml → b.yaml → a.yaml` if it is being read; otherwise empty.
    [[nodiscard]] std::string ring_to(const File& file) const
    {
        const auto first = std::ranges::find(open_, file.real, &File::real);
        std::string ring;
        for (auto at = first; at != open_.end(); ++at)
            ring += text::printable(at->shown.string()) + " → ";
        return ring.empty() ? ring : ring + text::printable(first->shown.string());
    }

    bool lenient_;
    fs::path root_;
    std::function<std::optional<WorkflowStepProblem>(const WorkflowStep&)> check_agent_;
    std::vector<File> open_;                                    // outermost first
    std::map<fs::path, std::shared_ptr<const Workflow>> read_;  // null: it has errors
    workflow::UsedDepths depths_;
};

std::string hash_of(std::string_view text, const Workflow& workflow)
{
    std::string all(text);
    for (const auto& step : workflow.steps)
        if (step.used) all += "\n" + step.used->hash;
    return text::sha256_hex(all);
}

void read_workflow(std::string_view text, WorkflowReadOptions options, UsedFiles& files,
                   Report& report, LoadedWorkflow& loaded)
{
    const auto root = yaml::parse_yaml(text, report);
    if (!root) return;
    auto definition = workflow::read_definition(*root, report);
    if (!definition) return;
    auto& workflow = definition->workflow;
    const auto unusable = files.load_all(*definition, report);
    loaded.plan = check_plan(*definition, unusable, report);
    if (options.check_agent) check_agents(*definition, options, report);
    if (report.failed()) return;
    if (options.prepare) options.prepare(workflow, options);
    if (!options.worktree.empty())
        check_repository(*definition, *loaded.plan, options.worktree, report);
    if (options.params) check_params(*definition, *options.params, report);
    if (report.failed()) return;
    workflow.path = report.path();
    workflow.hash = hash_of(text, workflow);
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

/// Moves what was reported to the end, lines ascending.
void take_problems(Report& report, std::vector<Diagnostic>& errors,
                   std::vector<Diagnostic>& warnings)
{
    auto found = report.take_errors();
    sort_by_place(found);
    std::ranges::move(found, std::back_inserter(errors));
    found = report.take_warnings();
    sort_by_place(found);
    std::ranges::move(found, std::back_inserter(warnings));
}

std::string unreadable_sentence(const FoundFile& found)
{
    return "The workflow file cannot be read: " +
           (found.state == FoundFile::State::absent ? "it does not exist" : found.problem);
}

std::shared_ptr<const Workflow> UsedFiles::read(const File& file, const std::string& named,
                                                PlanProblem& problem)
{
    const auto found = read_file(file.real);
    if (found.state != FoundFile::State::present) {
        problem.message = fmt::format("'{}': {}", named, unreadable_sentence(found));
        return nullptr;
    }
    Report report(file.shown.string(), found.text);
    if (!lenient_) report.refuse_unknown_keys();
    WorkflowReadOptions options;
    options.lenient = lenient_;
    options.check_agent = check_agent_;
    LoadedWorkflow loaded;
    open_.push_back(file);
    read_workflow(found.text, std::move(options), *this, report, loaded);
    open_.pop_back();
    take_problems(report, errors, warnings);
    auto& known = read_[file.real];
    if (loaded.workflow) {
        loaded.workflow->path = file.real.string();
        known = std::make_shared<const Workflow>(*std::move(loaded.workflow));
    } else {
        problem.message = fmt::format("'{}' has errors", named);
    }
    return known;
}

}  // namespace

LoadedWorkflow parse_workflow(std::string_view text, const std::string& path,
                              const WorkflowReadOptions& options)
{
    Report report(path, text);
    if (!options.lenient) report.refuse_unknown_keys();
    LoadedWorkflow loaded;
    UsedFiles files(path, options);
    read_workflow(text, options, files, report, loaded);
    take_problems(report, loaded.errors, loaded.warnings);
    std::ranges::move(files.errors, std::back_inserter(loaded.errors));
    std::ranges::move(files.warnings, std::back_inserter(loaded.warnings));
    return loaded;
}

LoadedWorkflow load_workflow(const fs::path& path, const WorkflowReadOptions& options)
{
    const auto found = read_file(path);
    if (found.state == FoundFile::State::present)
        return parse_workflow(found.text, path.string(), options);
    Report report(path.string(), {});
    report.error({}, unreadable_sentence(found));
    LoadedWorkflow loaded;
    loaded.errors = report.take_errors();
    return loaded;
}

}  // namespace autoexec::inline v1
