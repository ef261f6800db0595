#include "cli/session/agents.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/setup.hpp"
#include "config/layer.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

struct WorkflowValidateOptions : CommonOptions {
    std::vector<std::string> paths;
    bool strict = false;
    bool lenient = false;
};

std::size_t count_gates(const Workflow& workflow)
{
    return static_cast<std::size_t>(
        std::count_if(workflow.steps.begin(), workflow.steps.end(),
                      [](const WorkflowStep& step) { return step.gate.has_value(); }));
}

void print(const std::string& path, const WorkflowFile& file)
{
    print_problems(file.diagnostics);
    if (!file.workflow) return;
    print_result("{} is valid: {}, {}.\n", text::printable(shown_path(path)),
                 text::counted(file.workflow->steps.size(), "step"),
                 text::counted(count_gates(*file.workflow), "gate"));
}

void print_as_json(const std::string& path, const WorkflowFile& file)
{
    boost::json::object o;
    o["path"] = path;
    o["valid"] = file.workflow.has_value();
    o["id"] = file.workflow ? boost::json::value(file.workflow->id) : nullptr;
    o["steps"] = file.workflow ? boost::json::value(file.workflow->steps.size()) : nullptr;
    o["gates"] = file.workflow ? boost::json::value(count_gates(*file.workflow)) : nullptr;
    o["diagnostics"] = to_json_array(file.diagnostics);
    print_json(o);
}

// `auto_execution` of the metadata.
void check_settings(WorkflowFile& file, bool strict)
{
    if (!file.workflow) return;
    std::vector<config::LayerValue> ignored;
    auto problems = config::read_metadata({}, file.workflow->metadata, ignored);
    for (auto& problem : problems) {
        if (strict) problem.severity = Diagnostic::Severity::error;
        if (problem.severity == Diagnostic::Severity::error) file.workflow.reset();
        file.diagnostics.push_back(std::move(problem));
    }
}

// The file may belong to another project, so unknown names are warnings if there is no agents file.
WorkflowReadOptions read_options(const WorkflowValidateOptions& options, const Agents& agents)
{
    WorkflowReadOptions read;
    read.lenient = options.lenient;
    if (!agents.usable()) return read;
    read.check_agent = [&agents](const WorkflowStep& step) -> std::optional<WorkflowStepProblem> {
        auto problem = agents.name_problem(step.agent);
        if (problem.empty()) return std::nullopt;
        return WorkflowStepProblem{std::move(problem), {}, agents.loaded().missing};
    };
    return read;
}

int validate_workflows(const WorkflowValidateOptions& options)
{
    const auto root = project_root(options);
    const Agents agents(root, false, true);
    auto read = read_options(options, agents);
    bool all_valid = true;
    for (const auto& path : options.paths) {
        read.project_root = folder_of_used(path, root);
        auto file = read_workflow_file(path, options.strict, read);
        check_settings(file, options.strict);
        all_valid &= file.workflow.has_value();
        if (options.json)
            print_as_json(path, file);
        else
            print(path, file);
    }
    return all_valid ? exit_completed : exit_invalid;
}

void define_workflow_validate(CLI::App& app, WorkflowValidateOptions& o)
{
    add_common(app, o);
    app.add_option("files", o.paths, "Workflow files")->type_name("FILE")->required();
    auto* const strict = app.add_flag("--strict", o.strict, "Treat warnings as errors");
    add_lenient(app, o.lenient)->excludes(strict);
    app.footer("Exit codes: 0 all files are valid, 3 a file is invalid.");
}

}  // namespace

extern const Subcommand workflow_validate_subcommand =
    subcommand("workflow validate", "Check workflow files and report every problem",
               define_workflow_validate, validate_workflows);

}  // namespace autoexec::cli
