#include "runner/cli_worktree.hpp"

#include "runner/cli_options.hpp"

#include <CLI/CLI.hpp>

namespace autoexec::runner {

WorktreeVerbs::WorktreeVerbs(CLI::App& app)
    : list_verb_(*app.add_subcommand("list", "Which there are, and what was saved of others")),
      gc_verb_(*app.add_subcommand("gc", "Remove those of runs that have completed")),
      restore_verb_(*app.add_subcommand("restore", "Make a worktree of what was saved"))
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
}

void WorktreeVerbs::define_gc()
{
    add_common(gc_verb_, gc_.common);
    gc_verb_.add_flag("--dry-run", gc_.dry_run, "Only show what would be removed, and what would stay");
    auto* const age = add_duration(gc_verb_, "--older-than", gc_.older_than,
                                   "Only those that nobody has used for so long");
    gc_verb_.add_option("--keep", gc_.keep, "Keep those of the newest N runs that had some")->type_name("N");
    gc_verb_.add_flag("--include-ignored", gc_.include_ignored, "Save also files that git ignores");
    gc_verb_
        .add_flag("--all", gc_.all,
                  "Also those of runs that have not completed, and those of no run")
        ->needs(age);
    gc_verb_.footer(
        "Branches stay, and so do worktrees in which an engine works. What is in one and not "
        "committed\nis saved before: autoexec worktree restore.");
}

int WorktreeVerbs::go() const
{
    if (list_verb_.parsed()) return worktree_list(list_);
    if (gc_verb_.parsed()) return worktree_gc(gc_);
    return worktree_restore(restore_);
}

}  // namespace autoexec::runner
