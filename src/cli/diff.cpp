#include "cli/session/file_changes.hpp"
#include "cli/session/find_work.hpp"
#include "cli/session/patch_output.hpp"
#include "cli/session/terminal_program.hpp"
#include "cli/subcommand.hpp"
#include "cli/worktree/trees.hpp"
#include "git/changes.hpp"
#include "text/json.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

// As of one call of git.
constexpr std::size_t max_diff = 256 * 1024 * 1024;

constexpr char diff_examples[] = R"(
Examples:
  autoexec diff 9ac87d36                    # what a command has changed
  autoexec diff feature-20261127-121354-712942 --stat
  autoexec diff 712942 server               # what a step of a run has changed
  autoexec diff 712942 -- src/ ':!*.lock'   # only these paths
  autoexec diff 9ac87d36 | git apply

Work that is not committed is compared as it is now, with new files, but without ignored ones.
)";

struct DiffOptions : CommonOptions {
    std::string id;
    std::string step;
    bool stat = false;
    bool names = false;
    bool no_pager = false;
    std::vector<std::string> program;  ///< The paths after `--`.
};

/// The commits or trees between which work has changed something.
struct WorkRange {
    std::string base;
    std::string end;
    bool is_committed = false;
    std::vector<std::string> warnings;
};

[[noreturn]] void refuse(const Work& work, const std::string& problem)
{
    fail(exit_internal, "cannot compare the {}: {}", name_of(work), problem);
}

asio::awaitable<std::string> existing_commit(git::Repository& repository, const Work& work,
                                             std::string commit)
{
    const auto found = co_await repository.resolve(commit);
    if (!found.problem.empty())
        refuse(work, fmt::format("its commit {} does not exist in this repository", commit));
    co_return found.id;
}

// Commands that ran in the same worktree have their own commits there.
asio::awaitable<void> leave_out_others(const git::Repository& repository, const Work& work,
                                       std::string head, WorkRange& range)
{
    const auto start = std::chrono::system_clock::to_time_t(
        work.started_at.value_or(std::chrono::system_clock::now()));
    const auto commits = co_await git::list_commits(repository, range.base, std::move(head));
    auto commit = std::ranges::find(commits, work.execution_id, &git::NamedCommit::execution_id);
    range.is_committed = commit != commits.end();
    if (range.is_committed)
        range.end = (commit++)->id;
    else
        commit = commits.begin();
    const auto is_earlier = [&](const git::NamedCommit& one) {
        return !one.execution_id.empty() && one.execution_id != work.execution_id &&
               (range.is_committed || one.seconds <= start);
    };
    commit = std::find_if(commit, commits.end(), is_earlier);
    if (commit != commits.end()) range.base = commit->id;
}

asio::awaitable<WorkRange> range_of(git::Repository& repository, const Work& work)
{
    WorkRange range;
    auto base = work.base;
    if (base.empty()) {
        const auto head = git::head_before(
            repository, work.worktree, work.started_at.value_or(std::chrono::system_clock::now()));
        base = head.commit;
        if (!head.is_logged)
            range.warnings.emplace_back(
                "the commit that it started from is not known; only uncommitted changes are shown");
    }
    range.is_committed = !work.commit.empty();
    if (range.is_committed) {
        range.end = co_await existing_commit(repository, work, work.commit);
        range.base = co_await existing_commit(repository, work, base);
    } else {
        auto current = co_await git::current_files(repository, work.worktree);
        if (!current.problem.empty()) refuse(work, current.problem);
        range.end = std::move(current.tree);
        std::ranges::move(current.warnings, std::back_inserter(range.warnings));
        range.base = co_await existing_commit(repository, work, base);
        if (work.step_id.empty() && !work.execution_id.empty())
            co_await leave_out_others(repository, work, std::move(current.head), range);
    }
    co_return range;
}

json::object diff_to_json(const Work& work, const WorkRange& range, const git::ChangeList& changes)
{
    json::object o{{"run_id", text::text_or_null(work.run_id)},
                   {"step_id", text::text_or_null(work.step_id)},
                   {"execution_id", text::text_or_null(work.execution_id)},
                   {"worktree", text::text_or_null(work.worktree.string())},
                   {"base", range.base},
                   {"commit", range.is_committed ? json::value(range.end) : nullptr}};
    const auto files = to_json(changes);
    o.insert(files.begin(), files.end());
    return o;
}

std::size_t diff_columns()
{
    constexpr std::size_t usual = 80;
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : usual;
}

git::Words git_options(const DiffOptions& o)
{
    git::Words options{"--no-color"};
    if (o.stat) options.push_back(fmt::format("--stat={}", diff_columns()));
    if (o.names) options.emplace_back("--name-only");
    if (!o.stat && !o.names && ::isatty(STDOUT_FILENO) != 1) options.emplace_back("--binary");
    return options;
}

// An agent can write to the repository's configuration, so that of the user alone counts.
asio::awaitable<std::string> pager_of(const git::Repository& repository, const DiffOptions& o)
{
    if (o.no_pager || ::isatty(STDOUT_FILENO) != 1) co_return std::string();
    if (auto pager = variable_value("GIT_PAGER")) co_return *std::move(pager);
    const auto configured = co_await repository.run("config", "--global", "--get", "core.pager");
    if (configured.ok()) co_return git::line_of(configured);
    co_return variable_value("PAGER").value_or("less");
}

asio::awaitable<int> print_diffs(const DiffOptions& o, std::vector<Work> works,
                                 std::shared_ptr<git::Repository> repository)
{
    const auto pager = co_await pager_of(*repository, o);
    std::string text;
    for (const auto& work : works) {
        const auto range = co_await range_of(*repository, work);
        for (const auto& warning : range.warnings)
            print_message("warning: {}: {}\n", name_of(work), warning);
        git::Comparison what(range.base, range.end, o.program);
        if (o.json) {
            const auto changes = co_await git::list_changes(*repository, std::move(what));
            if (!changes.problem.empty()) refuse(work, changes.problem);
            print_json(diff_to_json(work, range, changes));
            continue;
        }
        const auto output = co_await git::compare(*repository, std::move(what), git_options(o));
        if (!output.ok()) refuse(work, git::reason_of(output));
        if (output.cut || text.size() + output.output.size() > max_diff)
            refuse(work, "it is larger than 256 MiB; use --stat, or name a step or paths");
        if (output.output.empty()) print_message("{}: no changes\n", name_of(work));
        if (works.size() > 1 && !output.output.empty()) text += name_of(work) + '\n';
        text += output.output;
    }
    print_patch(text, pager);
    co_return exit_completed;
}

int diff(const DiffOptions& options)
{
    const auto root = project_root(options);
    auto works = find_work(root, options.id, options.step);
    return with_repository(repository_options(root), "diff", [&](auto repository) {
        return print_diffs(options, std::move(works), std::move(repository));
    });
}

void define_diff(CLI::App& app, DiffOptions& o)
{
    app.footer(diff_examples);
    add_common(app, o);
    add_execution(app, o.id, ", or the id of a run of a workflow");
    app.add_option("step", o.step, "The step of the run")->type_name("STEP");
    auto* const stat = app.add_flag("--stat", o.stat, "Show how many lines of each file changed");
    app.add_flag("--name-only", o.names, "Show the names of changed files")->excludes(stat);
    app.add_flag("--no-pager", o.no_pager, "Print on the terminal without a pager");
}

}  // namespace

extern const Subcommand diff_subcommand =
    subcommand("diff", "Show what a command, a run or a step has changed", define_diff, diff);

}  // namespace autoexec::cli
