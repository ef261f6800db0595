#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "cli/worktree/collector.hpp"

namespace autoexec::cli {
namespace {

constexpr std::size_t max_kept = 1'000'000;  // as the setting worktrees.keep

struct WorktreeGcOptions : CommonOptions {
    // Absent: as configured.
    std::optional<std::chrono::milliseconds> older_than;
    std::optional<std::size_t> keep;  ///< Runs, the newest ones.
    std::optional<bool> branches;
    bool include_ignored = false;
    bool all = false;
    bool dry_run = false;
};

void print_outcome(const WorktreeGcOptions& o, const Collected& collected)
{
    if (o.json) return print_json(collected.json);
    const auto name = text::printable(collected.name);
    const auto problem = text::printable(collected.problem, true);
    const bool is_branch = collected.kind == Collected::Kind::branch;
    if (problem.empty() && o.dry_run)
        print_result("would {} {}{}\n", is_branch ? "delete" : "remove", name, collected.remark);
    else if (problem.empty())
        print_result("{} {}{}\n", is_branch ? "deleted" : "removed", name, collected.remark);
    else if (o.dry_run)
        print_result("would keep {}: {}\n", name, problem);
    else
        print_message("kept {}: {}\n", name, problem);
}

GcRules rules_for(const WorktreeGcOptions& o, const WorktreesConfig& config)
{
    auto rules = rules_of(config);
    rules.older_than = o.older_than.value_or(rules.older_than);
    rules.keep = o.keep.value_or(rules.keep);
    rules.branches = o.branches.value_or(rules.branches);
    rules.all = o.all;
    rules.include_ignored = o.include_ignored;
    rules.dry_run = o.dry_run;
    return rules;
}

int remove_worktrees(const WorktreeGcOptions& options)
{
    const auto root = project_root(options);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, false).worktrees;
    if (!options.dry_run) require_reader();
    bool any = false;
    const int code = collect_worktrees(root, config, rules_for(options, config),
                                       [&](const Collected& collected) {
                                           any = true;
                                           print_outcome(options, collected);
                                       });
    if (!any && code == exit_completed && !options.json) print_message("Nothing to remove.\n");
    return code;
}

void define_worktree_gc(CLI::App& app, WorktreeGcOptions& o)
{
    add_common(app, o);
    app.add_flag("--dry-run", o.dry_run, "Show what would be removed and what would be kept");
    auto* const age = add_duration(app, "--older-than", o.older_than,
                                   "Only worktrees unused for at least TIME", true);
    add_count(
        app, "--keep", max_kept, [&o](std::size_t n) { o.keep = n; },
        "Keep the worktrees of the newest N runs that had any");
    auto* const branches = app.add_flag_callback(
        "--delete-branches,--branches", [&o] { o.branches = true; },
        "Also delete branches of steps whose work is on another branch");
    app.add_flag_callback(
           "--no-delete-branches,--no-branches", [&o] { o.branches = false; },
           "Keep branches, overriding the configuration")
        ->excludes(branches);
    app.add_flag("--include-ignored", o.include_ignored, "Also save files that git ignores");
    app.add_flag("--all", o.all, "Also worktrees of unfinished runs and of no run")->needs(age);
    app.footer(
        "Busy worktrees are kept, and so are branches unless --delete-branches is given.\n"
        "Uncommitted work is saved first; autoexec worktree restore brings it back.\n"
        "Defaults come from the section 'worktrees' of the configuration.");
}

}  // namespace

extern const Subcommand worktree_gc_subcommand = subcommand(
    "worktree gc", "Remove the worktrees of completed runs", define_worktree_gc, remove_worktrees);

}  // namespace autoexec::cli
