#include "cli/worktree/worktree_verbs.hpp"

#include "cli/flags.hpp"

#include <CLI/CLI.hpp>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_kept = 1'000'000;  // as the setting worktrees.keep

}  // namespace

WorktreeVerbs::WorktreeVerbs(CLI::App& app)
    : list_verb_(*app.add_subcommand("list", "List worktrees and saved work")),
      gc_verb_(*app.add_subcommand("gc", "Remove the worktrees of completed runs")),
      restore_verb_(*app.add_subcommand("restore", "Restore saved work in a new worktree")),
      drop_verb_(*app.add_subcommand("drop", "Delete saved work"))
{
    app.require_subcommand(1);
    add_common(list_verb_, list_.common);
    define_gc();
    add_common(restore_verb_, restore_.common);
    restore_verb_
        .add_option("ref", restore_.ref,
                    "The ref of the saved work, or the worktree whose newest is restored")
        ->type_name("REF")
        ->required();
    restore_verb_.add_option("name", restore_.name, "The name of the new worktree")
        ->type_name("NAME");
    define_drop();
}

void WorktreeVerbs::define_drop()
{
    add_common(drop_verb_, drop_.common);
    auto* const refs =
        drop_verb_.add_option("ref", drop_.refs, "The ref of the saved work")->type_name("REF");
    add_duration(drop_verb_, "--older-than", drop_.older_than,
                 "Drop everything saved at least TIME ago")
        ->excludes(refs);
    drop_verb_.add_flag("--dry-run", drop_.dry_run, "Show what would be dropped");
    drop_verb_.footer(
        "The commit of each is printed. Until git prunes it (git gc), it can be recovered with\n"
        "git branch NAME COMMIT.");
}

void WorktreeVerbs::define_gc()
{
    add_common(gc_verb_, gc_.common);
    gc_verb_.add_flag("--dry-run", gc_.dry_run,
                      "Show what would be removed and what would be kept");
    auto* const age = add_duration(gc_verb_, "--older-than", gc_.older_than,
                                   "Only worktrees unused for at least TIME", true);
    add_count(
        gc_verb_, "--keep", max_kept, [this](std::size_t n) { gc_.keep = n; },
        "Keep the worktrees of the newest N runs that had any");
    auto* const branches = gc_verb_.add_flag_callback(
        "--delete-branches,--branches", [this] { gc_.branches = true; },
        "Also delete branches of steps whose work is on another branch");
    gc_verb_
        .add_flag_callback(
            "--no-delete-branches,--no-branches", [this] { gc_.branches = false; },
            "Keep branches, overriding the configuration")
        ->excludes(branches);
    gc_verb_.add_flag("--include-ignored", gc_.include_ignored, "Also save files that git ignores");
    gc_verb_.add_flag("--all", gc_.all, "Also worktrees of unfinished runs and of no run")
        ->needs(age);
    gc_verb_.footer(
        "Busy worktrees are kept, and so are branches unless --delete-branches is given.\n"
        "Uncommitted work is saved first; autoexec worktree restore brings it back.\n"
        "Defaults come from the section 'worktrees' of the configuration.");
}

int WorktreeVerbs::go() const
{
    if (list_verb_.parsed()) return worktree_list(list_);
    if (gc_verb_.parsed()) return worktree_gc(gc_);
    if (drop_verb_.parsed()) return worktree_drop(drop_);
    return worktree_restore(restore_);
}

}  // namespace autoexec::cli
