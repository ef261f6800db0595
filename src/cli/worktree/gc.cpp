#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/worktree/collector.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using git::TreeInfo;

constexpr std::size_t max_kept = 1'000'000;  // as the setting worktrees.keep

struct WorktreeGcOptions {
    CommonOptions common;
    // Absent: as configured.
    std::optional<std::chrono::milliseconds> older_than;
    std::optional<std::size_t> keep;  ///< Runs, the newest ones.
    std::optional<bool> branches;
    bool include_ignored = false;
    bool all = false;
    bool dry_run = false;
};

void print_outcome(const WorktreeGcOptions& o, const TreeInfo& tree, const git::Salvage& saved)
{
    const bool done = !o.dry_run && saved.problem.empty();
    if (o.common.json) {
        print_json(json::object{{"name", tree.name},
                                {"path", tree.path.string()},
                                {"branch", text::text_or_null(tree.branch)},
                                {"dirty", tree.dirty},
                                {"removed", done},
                                {"saved_as", text::text_or_null(saved.ref)},
                                {"problem", text::text_or_null(saved.problem)}});
        return;
    }
    const auto name = text::printable(tree.name);
    if (o.dry_run && !saved.problem.empty())
        print_result("would keep {}: {}\n", name, text::printable(saved.problem, true));
    else if (o.dry_run)
        print_result("would remove {}{}\n", name,
                     tree.dirty ? ", and save its uncommitted work" : "");
    else if (!done)
        print_message("kept {}: {}\n", name, text::printable(saved.problem, true));
    else if (saved.ref.empty())
        print_result("removed {}\n", name);
    else
        print_result("removed {}; saved as {}\n", name, text::printable(saved.ref));
}

void print_outcome(const WorktreeGcOptions& o, const std::string& branch,
                   const git::RemovedBranch& removed)
{
    const bool done = !o.dry_run && removed.problem.empty();
    if (o.common.json) {
        print_json(json::object{{"branch", branch},
                                {"commit", text::text_or_null(removed.commit)},
                                {"removed", done},
                                {"held_by", text::text_or_null(removed.held_by)},
                                {"problem", text::text_or_null(removed.problem)}});
        return;
    }
    const auto name = text::printable(branch);
    const auto why = text::printable(removed.problem, true);
    const auto holder = text::printable(removed.held_by);
    if (!removed.problem.empty() && o.dry_run)
        print_result("would keep branch {}: {}\n", name, why);
    else if (!removed.problem.empty())
        print_message("kept branch {}: {}\n", name, why);
    else
        print_result("{} branch {}: {} has its work\n", done ? "deleted" : "would delete", name,
                     holder);
}

void print_outcome(const WorktreeGcOptions& o, const git::ArtifactInfo& artifacts,
                   const std::string& problem)
{
    if (o.common.json) {
        print_json(json::object{{"artifacts", artifacts.ref},
                                {"commit", artifacts.commit},
                                {"removed", !o.dry_run && problem.empty()},
                                {"problem", text::text_or_null(problem)}});
        return;
    }
    const auto ref = text::printable(artifacts.ref);
    if (problem.empty())
        print_result("{} {}\n", o.dry_run ? "would remove" : "removed", ref);
    else
        print_message("kept {}: {}\n", ref, text::printable(problem, true));
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

asio::awaitable<int> collect(const WorktreeGcOptions& o, GcRules rules, std::filesystem::path root,
                             std::shared_ptr<git::Repository> repository)
{
    int code = exit_completed;
    std::size_t count = 0;
    Collector collector(
        rules, std::move(root), std::move(repository),
        [&](const TreeInfo& tree, const git::Salvage& saved) {
            print_outcome(o, tree, saved);
            if (!saved.problem.empty() && !o.dry_run) code = exit_internal;
            ++count;
        },
        [&](const std::string& branch, const git::RemovedBranch& removed) {
            print_outcome(o, branch, removed);
            // Keeping a branch because its work is on no other branch is not a failure.
            const bool failed =
                !removed.problem.empty() && (removed.commit.empty() || !removed.held_by.empty());
            if (failed) code = exit_internal;
            ++count;
        },
        [&](const git::ArtifactInfo& artifacts, const std::string& problem) {
            print_outcome(o, artifacts, problem);
            if (!problem.empty()) code = exit_internal;
            ++count;
        });
    auto collecting = collector.collect();
    co_await std::move(collecting);
    if (count == 0 && !o.common.json) print_message("Nothing to remove.\n");
    co_return code;
}

int remove_worktrees(const WorktreeGcOptions& options)
{
    const auto root = project_root(options.common);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, false);
    if (!config) return exit_invalid;
    const auto rules = rules_for(options, config->worktrees);
    auto options_of_git = repository_options(root);
    options_of_git.max_file_bytes = config->worktrees.max_file_bytes;
    if (!options.dry_run) require_reader();
    return with_repository(std::move(options_of_git), "gc", [&](auto repository) {
        return collect(options, rules, root, std::move(repository));
    });
}

SubcommandBody define_worktree_gc(CLI::App& app)
{
    const auto o = std::make_shared<WorktreeGcOptions>();
    add_common(app, o->common);
    app.add_flag("--dry-run", o->dry_run, "Show what would be removed and what would be kept");
    auto* const age = add_duration(app, "--older-than", o->older_than,
                                   "Only worktrees unused for at least TIME", true);
    add_count(
        app, "--keep", max_kept, [o](std::size_t n) { o->keep = n; },
        "Keep the worktrees of the newest N runs that had any");
    auto* const branches = app.add_flag_callback(
        "--delete-branches,--branches", [o] { o->branches = true; },
        "Also delete branches of steps whose work is on another branch");
    app.add_flag_callback(
           "--no-delete-branches,--no-branches", [o] { o->branches = false; },
           "Keep branches, overriding the configuration")
        ->excludes(branches);
    app.add_flag("--include-ignored", o->include_ignored, "Also save files that git ignores");
    app.add_flag("--all", o->all, "Also worktrees of unfinished runs and of no run")->needs(age);
    app.footer(
        "Busy worktrees are kept, and so are branches unless --delete-branches is given.\n"
        "Uncommitted work is saved first; autoexec worktree restore brings it back.\n"
        "Defaults come from the section 'worktrees' of the configuration.");
    return {[o] { return remove_worktrees(*o); }};
}

}  // namespace

extern const Subcommand worktree_gc_subcommand{
    "worktree gc", "Remove the worktrees of completed runs", define_worktree_gc};

}  // namespace autoexec::cli
