#include "cli/session/find_work.hpp"
#include "cli/session/terminal_program.hpp"
#include "cli/subcommand.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

constexpr char open_examples[] = R"(
Examples:
  autoexec open 9ac87d36                     # the worktree of a command
  autoexec open 712942 server                # that of a step of a run
  cd $(autoexec open 9ac87d36 --print)
)";

struct OpenOptions : CommonOptions {
    std::string id;
    std::string step;
    bool print = false;
};

Work work_to_open(const std::filesystem::path& root, const OpenOptions& o)
{
    auto works = find_work(root, o.id, o.step);
    if (works.size() == 1 && !works.front().worktree.empty()) return std::move(works.front());
    if (works.size() == 1 && !works.front().branch.empty())
        fail(exit_usage,
             "the work of the run {} is on the branch {}; name a step to open its worktree",
             works.front().run_id, works.front().branch);
    std::string steps;
    for (const auto& work : works) steps += (steps.empty() ? "" : ", ") + work.step_id;
    fail(exit_usage, "the run {} has several worktrees; name one of the steps: {}",
         works.front().run_id, steps);
}

void open_in_editor(const std::string& folder)
{
    const auto editor = users_editor();
    if (!editor)
        fail(exit_usage, "set VISUAL or EDITOR to your editor, or use --print; the worktree is {}",
             folder);
    run_editor(*editor, folder);
}

int open_worktree(const OpenOptions& options)
{
    auto work = work_to_open(project_root(options), options);
    // A journal may come with a repository: as an argument, it must not be an option.
    work.worktree = std::filesystem::absolute(work.worktree);
    std::error_code ec;
    if (!std::filesystem::is_directory(work.worktree, ec))
        fail(exit_usage,
             "the worktree {} of the {} does not exist any more; 'autoexec worktree list' shows "
             "saved work",
             work.worktree.string(), name_of(work));
    if (options.json)
        print_json(boost::json::object{{"worktree", work.worktree.string()},
                                       {"branch", text::text_or_null(work.branch)},
                                       {"run_id", text::text_or_null(work.run_id)},
                                       {"step_id", text::text_or_null(work.step_id)},
                                       {"execution_id", text::text_or_null(work.execution_id)}});
    else if (options.print)
        print_result("{}\n", work.worktree.string());
    else
        open_in_editor(work.worktree.string());
    return exit_completed;
}

void define_open(CLI::App& app, OpenOptions& o)
{
    app.footer(open_examples);
    add_common(app, o);
    add_execution(app, o.id, ", or the id of a run of a workflow");
    app.add_option("step", o.step, "The step of the run")->type_name("STEP");
    app.add_flag("--print", o.print, "Print the path instead");
}

}  // namespace

extern const Subcommand open_subcommand = subcommand(
    "open", "Open the worktree of a command or step in your editor", define_open, open_worktree);

}  // namespace autoexec::cli
