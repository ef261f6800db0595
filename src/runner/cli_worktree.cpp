#include "runner/cli_worktree.hpp"

#include "runner/cli_options.hpp"

#include <CLI/CLI.hpp>

namespace autoexec::runner {
namespace {

constexpr std::size_t max_kept = 1'000'000;  // as the setting worktrees.keep

}  // namespace

WorktreeVerbs::WorktreeVerbs(CLI::App& app)
    : list_verb_(*app.add_subcommand("list", "Which there are, and what was saved of others")),
      gc_verb_(*app.add_subcommand("gc", "Remove those of runs that have completed")),
      restore_verb_(*app.add_subcommand("restore", "Make a worktree of what was saved")),
      drop_verb_(*app.add_subcommand("drop", "Forget what was saved"))
{
    app.require_subcommand(1);
    add_common(list_verb_, list_.common);
    define_gc();
    add_common(restore_verb_, restore_.common);
    restore_verb_
        .add_option("ref", restore_.ref, "What was saved, or of which worktree: the newest")
        ->type_name("REF")
        ->required();
    restore_verb_.add_option("name", restore_.name, "How the new worktree is called")
        ->type_name("NAME");
    define_drop();
}

void WorktreeVerbs::define_drop()
{
    add_common(drop_verb_, drop_.common);
    auto* const refs = drop_verb_.add_option("ref", drop_.refs, "What was saved")->type_name("REF");
    add_duration(drop_verb_, "--older-than", drop_.older_than, "All that was saved so long ago")
        ->excludes(refs);
    drop_verb_.add_flag("--dry-run", drop_.dry_run, "Only show what would be dropped");
    drop_verb_.footer(
        "Each is shown with its commit. Until git cleans up (git gc), that brings it back:\n"
        "git branch NAME COMMIT.");
}

void WorktreeVerbs::define_gc()
{
    add_common(gc_verb_, gc_.common);
    gc_verb_.add_flag("--dry-run", gc_.dry_run,
                      "Only show what would be removed, and what would stay");
    auto* const age = add_duration(gc_verb_, "--older-than", gc_.older_than,
                                   "Only those that nobody has used for so long", true);
    add_count(
        gc_verb_, "--keep", max_kept, [this](std::size_t n) { gc_.keep = n; },
        "Keep those of the newest N runs that had some");
    auto* const branches = gc_verb_.add_flag_callback(
        "--branches", [this] { gc_.branches = true; },
        "Delete also branches of steps, if another one has their work");
    gc_verb_
        .add_flag_callback(
            "--no-branches", [this] { gc_.branches = false; }, "Keep them, whatever is configured")
        ->excludes(branches);
    gc_verb_.add_flag("--include-ignored", gc_.include_ignored, "Save also files that git ignores");
    gc_verb_
        .add_flag("--all", gc_.all,
                  "Also those of runs that have not completed, and those of no run")
        ->needs(age);
    gc_verb_.footer(
        "Worktrees in which an engine works stay, and so do branches, unless --branches is given.\n"
        "What is in a worktree and not committed is saved before: autoexec worktree restore.\n"
        "What is not given is as configured, below worktrees: in the configuration.");
}

int WorktreeVerbs::go() const
{
    if (list_verb_.parsed()) return worktree_list(list_);
    if (gc_verb_.parsed()) return worktree_gc(gc_);
    if (drop_verb_.parsed()) return worktree_drop(drop_);
    return worktree_restore(restore_);
}

}  // namespace autoexec::runner
