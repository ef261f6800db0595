#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/detached_run.hpp"
#include "cli/workflow/live_workflow.hpp"
#include "cli/workflow/start_run.hpp"
#include "cli/workflow/unseen_changes.hpp"
#include "git_files/git_dir.hpp"
#include "workflow/run/earlier_start.hpp"
#include "workflow/run/step_commands.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr char workflow_run_examples[] = R"(
Examples:
  autoexec workflow run release.yaml --param version=1.4.0
  autoexec workflow run feature.yaml -p "Sign in with a passkey" --agent coder -j 4
  autoexec workflow run feature.yaml --dry-run
  autoexec wait $(autoexec workflow run feature.yaml --detach)
  autoexec workflow run feature.yaml --merge-into develop

In a git repository, each step runs in its own worktree, and all work is merged into the branch
workflow/RUN. The workflow file, -w and --in-place can change this.

Agents run the steps with --auto, people carry them out with --manual. The default is
`auto_execution` of the file's metadata, then the setting `enabled`.

Exit codes: 0 completed, 1 a step failed, 2 usage error, 3 invalid workflow or project file, or a
step without an agent, 4 internal or system error, 6 a step needed an answer (--fail-on-input),
130 cancelled.
)";

// `HEAD` is that of the current worktree, which may differ from that of the project.
std::string base_of(const StartRunOptions& o, const fs::path& root)
{
    std::string base = o.base.empty() ? "HEAD" : o.base;
    const auto here = current_worktree(o, root);
    const auto git_dir = git_files::git_dir_of(here);
    const bool is_relative =
        base == "HEAD" || base.starts_with("HEAD~") || base.starts_with("HEAD^");
    if (here == root || !git_dir || !is_relative) return base;
    return "worktrees/" + git_dir->filename().string() + "/" + base;
}

bool is_bare(const fs::path& folder)
{
    return fs::is_regular_file(folder / "HEAD") && fs::is_directory(folder / "objects") &&
           fs::is_directory(folder / "refs");
}

// The command line decides, then the lack of a repository, then the workflow.
void choose_place(const StartRunOptions& o, const fs::path& root, const Workflow& workflow,
                  WorkflowRunOptions& run)
{
    const bool asked = o.in_place || !o.worktree.empty();
    run.worktrees = asked ? WorktreeMode::in_place : workflow.worktrees;
    if (run.worktrees != WorktreeMode::in_place && !git_files::git_dir_of(root)) {
        run.worktrees = WorktreeMode::in_place;
        if (!o.session.quiet)
            print_message("{} is not a git repository; all steps work in place.\n",
                          text::printable(root.string()));
    }
    if (run.worktrees == WorktreeMode::in_place)
        run.worktree = o.worktree.empty() ? current_worktree(o, root)
                                          : fs::absolute(o.worktree).lexically_normal();
    run.base = base_of(o, root);
    run.merge_into = o.merge_into;
}

void restore_earlier(const protocol::RunStarted& earlier, const Workflow& workflow,
                     WorkflowRunOptions& run)
{
    auto problems = workflow::restore_values(earlier, workflow, run);
    if (!problems.empty()) throw Failure(exit_invalid, std::move(problems));
}

Workflow read_workflow(const StartRunOptions& o, const fs::path& root, const ParamWords& params,
                       WorkflowRunOptions& run)
{
    WorkflowReadOptions check;
    check.lenient = o.lenient;
    check.project_root = folder_of_used(o.path, root);
    check.prepare = [&](const Workflow& workflow, WorkflowReadOptions& more) {
        choose_place(o, root, workflow, run);
        run.params = typed_params(params, workflow.params);
        if (o.earlier) restore_earlier(*o.earlier, workflow, run);
        more.worktree = run.worktree;
        more.params = run.params;
    };
    auto file = read_workflow_file(o.path, o.strict, check);
    require_usable(file, o.session.quiet);
    run.plan = file.plan;
    file.workflow->path = fs::absolute(o.path).lexically_normal().string();
    return *std::move(file.workflow);
}

class Preview {
public:
    Preview(const WorkflowFlags& options, const workflow::RunInputs& inputs,
            std::vector<workflow::StepCommand> commands)
        : options_(options), inputs_(inputs), commands_(std::move(commands))
    {}

    void print() const
    {
        const auto& steps = inputs_.workflow.steps;
        print_result(workflow::draw_plan(inputs_.workflow, inputs_.plan, WorkflowDrawing::text));
        std::size_t ids = 0;
        std::size_t runners = 0;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            ids = std::max(ids, steps[i].id.size());
            runners = std::max(runners, runner_of(i).size());
        }
        print_result("\n");
        for (const auto i : inputs_.plan.order)
            print_result("{}  {}  {}\n", cell(steps[i].id, ids), cell(runner_of(i), runners),
                         text::printable(command_of(commands_[i])));
    }

    void print_as_json() const
    {
        for (const auto i : inputs_.plan.order) print_json(to_json(i));
    }

private:
    [[nodiscard]] std::string runner_of(std::size_t i) const
    {
        const auto& command = commands_[i].run();
        const auto& manual = inputs_.workflow.steps[i].manual;
        if (manual) return manual->by.empty() ? "a person" : redactor_.redact(manual->by);
        if (command.runs_nothing) return "nobody";
        if (command.uses_workflow) return "a child run";
        if (!inputs_.options.automatic) return "a person";
        const auto& request = command.request;
        if (options_.session.external_agent && request.agent.empty()) return "any agent";
        if (!Agents::is_built_in(request.agent)) return request.agent;
        return request.argv.empty() ? "/bin/sh" : "a program";
    }

    [[nodiscard]] std::string command_of(const workflow::StepCommand& whole) const
    {
        const auto& command = whole.run();
        return command.runs_nothing ? "nothing to run" : redactor_.redact(command.request.command);
    }

    [[nodiscard]] json::object to_json(std::size_t i) const
    {
        const auto& command = commands_[i].run();
        const auto& plan = inputs_.plan.steps[i];
        json::array after;
        for (const auto k : plan.waits_for) after.emplace_back(inputs_.workflow.steps[k].id);
        json::object o;
        o["step_id"] = inputs_.workflow.steps[i].id;
        o["level"] = plan.level + 1;
        o["after"] = std::move(after);
        o["taken_by"] = runner_of(i);
        o["command"] =
            command.runs_nothing ? json::value(nullptr) : json::value(command_of(command));
        const bool known = !command.runs_nothing && !command.in_git;
        o["worktree"] = known ? json::value(command.request.worktree.string()) : nullptr;
        return o;
    }

    const WorkflowFlags& options_;
    const workflow::RunInputs& inputs_;
    std::vector<workflow::StepCommand> commands_;
    Redactor redactor_;
};

// Prints the plan, and the command and the agent of each step. Writes nothing.
int dry_run(const WorkflowFlags& options, const std::filesystem::path& root, const Agents& agents,
            const Workflow& workflow, const WorkflowRunOptions& run)
{
    WorkflowExecutorOptions executor_options;
    executor_options.project_root = root;
    executor_options.assign = [&](const WorkflowStep& step, CommandRequest& request) {
        return agents.assign(step, options.agent, request);
    };
    std::string problems;
    const auto inputs = workflow::make_inputs(workflow, run, problems);
    auto commands = workflow::make_commands(inputs, executor_options, problems);
    if (!problems.empty()) {
        print_message(text::printable(problems, true));
        return exit_invalid;
    }
    const Preview preview(options, inputs, std::move(commands));
    if (options.json)
        preview.print_as_json();
    else
        preview.print();
    return exit_completed;
}

// In one folder, the work of each try would be that of all.
void refuse_tries(const Workflow& workflow)
{
    for_all_steps(workflow, [](const WorkflowStep& step) {
        if (step.for_each && !step.for_each->best_by.empty())
            fail(exit_usage,
                 "step '{}': with 'best_of', each try needs a worktree of its own; run the "
                 "workflow in a git repository, without --in-place and --worktree",
                 text::printable(step.id));
    });
}

void define_workflow_run(CLI::App& app, StartRunOptions& o)
{
    app.footer(workflow_run_examples);
    app.add_option("file", o.path, "The workflow file")->type_name("FILE")->required();
    add_workflow_flags(app, o);
    auto* const worktree =
        app.add_option("-w,--worktree", o.worktree, "Run steps without their own worktree in DIR")
            ->type_name("DIR");
    app.add_flag("--in-place", o.in_place,
                 "Run steps without their own worktree in the worktree of the current folder")
        ->excludes(worktree);
    auto* const base =
        app.add_option("--base", o.base, "Start the steps from this commit (default HEAD)")
            ->type_name("REF");
    app.add_flag("--with-changes", o.with_changes,
                 "Start the steps from the files of the current worktree, committed or not")
        ->excludes(base);
    app.add_option("--merge-into", o.merge_into, "Merge the completed work into BRANCH")
        ->type_name("BRANCH");
    add_dry_run_and_detach(app, o);
    app.add_flag("--strict", o.strict, "Treat warnings about the workflow as errors")
        ->excludes("--lenient");
}

/// An option that only a run in git can have; empty: there is none.
std::string asked_of_git(const StartRunOptions& o)
{
    const bool is_again = o.earlier.has_value();
    if (!o.base.empty()) return is_again ? "--same-base" : "--base";
    if (!o.merge_into.empty())
        return is_again ? "--merge-into of " + o.earlier->run_id : "--merge-into";
    return o.with_changes ? "--with-changes" : "";
}

}  // namespace

int start_run(const StartRunOptions& options)
{
    const auto params = parse_params(options);
    const auto root = project_root(options);
    if (!options.worktree.empty() && !fs::is_directory(options.worktree))
        fail(exit_internal, "the worktree '{}' is not a folder", options.worktree);
    if (is_bare(root))
        fail(exit_invalid, "{} is a bare repository: it has no files to work on", root.string());
    auto run = make_run_options(options);
    auto workflow = read_workflow(options, root, params, run);
    // A run that works in place has no branch.
    const auto asked = asked_of_git(options);
    if (run.worktrees == WorktreeMode::in_place && !asked.empty())
        fail(exit_usage, "{} requires steps with their own worktrees", asked);

    if (run.worktrees == WorktreeMode::in_place) refuse_tries(workflow);

    AutoExecutionConfigManager manager({}, root);
    const auto agents = apply_configuration(options, manager, workflow, run);
    if (options.dry_run) return dry_run(options, root, agents, workflow, run);
    const bool starts_from_checkout =
        run.worktrees != WorktreeMode::in_place && options.base.empty();
    const auto here = current_worktree(options, root);
    // Before the run, during which the user may change more.
    const auto unseen = starts_from_checkout && !options.with_changes && !options.session.quiet
                            ? uncommitted_files(here)
                            : std::vector<std::string>();
    if (options.with_changes && !options.detach) run.base = commit_of_changes(root, here);
    const int code = options.detach
                         ? detach_run(root, {}, options.json)
                         : run_live(options, manager, agents, std::move(workflow), std::move(run));
    print_message(unseen_sentence(unseen));
    return code;
}

void add_dry_run_and_detach(CLI::App& app, StartRunOptions& options)
{
    auto* const dry =
        app.add_flag("--dry-run", options.dry_run, "Show the plan without running it");
    app.add_flag("--detach", options.detach,
                 "Run it in a process without a terminal, print the run's id, and return")
        ->excludes(dry);
}

extern const Subcommand workflow_run_subcommand =
    subcommand("workflow run", "Run a workflow", define_workflow_run, start_run);

}  // namespace autoexec::cli
