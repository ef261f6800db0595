#include "cli/session/configuration.hpp"
#include "cli/session/find_work.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/pull_request.hpp"
#include "cli/workflow/report_text.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/setup.hpp"
#include "cli/worktree/trees.hpp"
#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr char report_examples[] = R"(
Examples:
  autoexec workflow report                             # of the newest run
  autoexec workflow report 712942 --output report.md
  autoexec workflow report 712942 --create-pr
  autoexec workflow report --json
)";

struct WorkflowReportOptions : CommonOptions {
    std::string run;  ///< Empty: the newest.
    fs::path output;  ///< Empty: standard output.
    bool create_pr = false;
    std::string remote = "origin";
};

// Nothing if a commit does not exist any more.
asio::awaitable<std::optional<git::ChangeList>> changes_of(const git::Repository& repository,
                                                           const Work& work)
{
    if (work.base.empty() || work.commit.empty()) co_return std::nullopt;
    if (work.base == work.commit) co_return git::ChangeList();
    git::Comparison what(work.base, work.commit);
    auto changes = co_await git::list_changes(repository, std::move(what));
    if (!changes.problem.empty()) co_return std::nullopt;
    co_return changes;
}

asio::awaitable<int> collect_changes(const workflow::RunRecord& run, RunReport& report,
                                     std::shared_ptr<git::Repository> repository)
{
    for (const auto& work : works_of_steps(run))
        if (auto changes = co_await changes_of(*repository, work))
            report.step_changes.emplace(work.step_id, *std::move(changes));
    Work whole;
    whole.base = base_of(run);
    whole.commit = run.commit;
    report.changes = co_await changes_of(*repository, whole);
    co_return exit_completed;
}

void write_report(const fs::path& path, std::string_view report)
{
    const auto absolute = fs::absolute(path).lexically_normal();
    const auto folder = files::open_folder(absolute.parent_path());
    auto ec = files::last_error();
    if (folder)
        ec = files::replace_file(folder.get(), absolute.filename().string(), report, 0644,
                                 Durability::none);
    if (ec) fail(exit_internal, "cannot write {}: {}", path.string(), ec.message());
}

void print_as_json(const WorkflowReportOptions& options, const RunReport& report)
{
    const auto object = report_json(report);
    if (options.output.empty())
        print_json(object);
    else
        write_report(options.output, text::dump_line(object) + '\n');
}

void print_as_text(const WorkflowReportOptions& options, const fs::path& root,
                   const RunReport& report, const workflow::RunRecord& run)
{
    const auto text = report_text(report);
    if (!options.output.empty()) write_report(options.output, text);
    if (options.create_pr) {
        require_reader();
        create_pull_request(root, pull_request_of(run, options.remote, text));
    } else if (options.output.empty()) {
        print_result(text);
    }
}

int report_run(const WorkflowReportOptions& options)
{
    if (!options.output.empty() &&
        (!options.output.has_filename() || fs::is_directory(options.output)))
        fail(exit_usage, "--output is a folder: {}; give it the name of a file",
             options.output.string());
    if (options.create_pr && options.json)
        fail(exit_usage, "--create-pr prints what its program prints, not JSON");
    const auto root = project_root(options);
    auto run = find_run(root, options.run);
    add_usage_of_children(root, run.steps);
    order_items(run);
    RunReport report{run, configured_prices(root), {}, {}};
    if (git_files::git_dir_of(root)) {
        const int code = with_repository(
            repository_options(root), "workflow report",
            [&](auto repository) { return collect_changes(run, report, std::move(repository)); });
        if (code != exit_completed) return code;
    }
    if (options.json)
        print_as_json(options, report);
    else
        print_as_text(options, root, report, run);
    return exit_completed;
}

void define_workflow_report(CLI::App& app, WorkflowReportOptions& o)
{
    app.footer(report_examples);
    add_common(app, o);
    add_run_id(app, "run", o.run,
               "The run's id, or its beginning or end (default: the newest run)");
    app.add_option("-o,--output", o.output, "Write the report to FILE, replacing it")
        ->type_name("FILE");
    auto* const create = app.add_flag(
        "--create-pr", o.create_pr,
        "Push the branch of the run and create a pull request with this text, by gh or the program "
        "of the setting pull_request.program");
    app.add_option("--remote", o.remote, "Push to this remote (default origin)")
        ->type_name("NAME")
        ->needs(create);
}

}  // namespace

extern const Subcommand workflow_report_subcommand =
    subcommand("workflow report", "Print a report of a run in Markdown, for a pull request",
               define_workflow_report, report_run);

}  // namespace autoexec::cli
