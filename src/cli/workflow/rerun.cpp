#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/start_run.hpp"
#include "workflow/plan/placeholders.hpp"
#include "workflow/run/earlier_start.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_shown_value = 60;

struct WorkflowRerunOptions : StartRunOptions {
    std::string run;
    bool same_base = false;
    bool allow_outside = false;  ///< The workflow's file may be outside the project.
};

protocol::RunStarted find_start(const WorkflowRerunOptions& options)
{
    const auto root = project_root(options);
    const auto run = find_run(root, options.run);
    if (run.path.empty())
        fail(exit_invalid, "the journal of {} names no workflow file", run.run_id);
    if (!options.allow_outside && !is_file_inside(run, root, current_worktree(options, root)))
        fail(exit_invalid,
             "{} names the workflow file {}, which is outside the project; check that file, then "
             "add --allow-outside",
             run.run_id, run.path);
    const auto* const start = workflow::last_start(run);
    if (start == nullptr || !start->worktrees)
        fail(exit_invalid, "the journal of {} does not record the start of the run", run.run_id);
    return *start;
}

/// What the earlier run was given, unless the call gives it.
void take_options(const protocol::RunStarted& start, StartRunOptions& options)
{
    options.path = start.path;
    if (*start.worktrees == WorktreeMode::in_place) options.worktree = start.worktree;
    options.merge_into = start.merge_into;
    options.fail_fast |= start.fail_fast;
    if (!options.automatic) options.automatic = start.automatic;
    if (!options.session.jobs && start.max_parallel > 0) options.session.jobs = start.max_parallel;
}

std::string shown_value(std::string_view name, std::string value)
{
    if (value.size() > max_shown_value)
        value = text::valid_utf8(value.substr(0, max_shown_value)) + "…";
    return text::printable(fmt::format(" {}={}", name, value));
}

bool is_given(const std::vector<std::string>& words, std::string_view name)
{
    return std::ranges::any_of(words, [name](std::string_view word) {
        return word.starts_with(name) && word.substr(name.size()).starts_with('=');
    });
}

// The journal may have come with a repository.
std::string shown_place(const protocol::RunStarted& start)
{
    std::string text;
    if (*start.worktrees == WorktreeMode::in_place)
        text += fmt::format(", in {}", shown_path(start.worktree));
    if (!start.merge_into.empty()) text += fmt::format(", merged into {}", start.merge_into);
    return text::printable(text);
}

// As the journal has it: redacted.
void print_start(const protocol::RunStarted& start, const WorkflowFlags& flags)
{
    std::string values;
    for (const auto& [name, value] : start.params)
        if (!is_given(flags.params, name) && !(flags.prompt && name == "prompt"))
            values += shown_value(name, workflow::text_of(value));
    for (const auto& [name, value] : start.env)
        if (!is_given(flags.env, name)) values += shown_value(name, value);
    print_message("Running {} again, as in {}{}{}{}\n", text::printable(shown_path(start.path)),
                  text::printable(start.run_id), shown_place(start), values.empty() ? "" : ", with",
                  values);
}

int rerun_workflow(const WorkflowRerunOptions& asked)
{
    auto options = asked;
    auto start = find_start(options);
    if (options.same_base && start.base.empty())
        fail(exit_usage, "{} worked in place: it has no base", start.run_id);
    take_options(start, options);
    if (options.same_base) options.base = start.base;
    if (!options.session.quiet) print_start(start, options);
    options.earlier = std::move(start);
    return start_run(options);
}

constexpr char workflow_rerun_footer[] = R"(
Starts a new run of the same workflow file, as that is now, with the parameters and variables that
the journal of RUN has. It works where RUN worked, with its --merge-into, --jobs and --fail-fast, in
its mode (--auto or --manual). The options above replace them. Secrets must be given again, and so
must other options.

Examples:
  autoexec workflow rerun release-20261127
  autoexec workflow rerun 7f3a --same-base --param version=1.4.1

Exit codes: as for autoexec workflow run; 2 also if there is no such run.
)";

void define_workflow_rerun(CLI::App& app, WorkflowRerunOptions& o)
{
    app.footer(workflow_rerun_footer);
    add_run_id(app, "run", o.run, "The run's id, or its beginning or end")->required();
    add_workflow_flags(app, o);
    app.add_flag("--same-base", o.same_base,
                 "Start the steps from the commit that RUN started from, not from HEAD");
    app.add_flag("--allow-outside", o.allow_outside, "Accept a workflow file outside the project");
    add_dry_run_and_detach(app, o);
}

}  // namespace

extern const Subcommand workflow_rerun_subcommand =
    subcommand("workflow rerun", "Start a run with the parameters of an earlier one",
               define_workflow_rerun, rerun_workflow);

}  // namespace autoexec::cli
