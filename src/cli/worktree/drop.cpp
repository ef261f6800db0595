#include "cli/subcommand.hpp"
#include "cli/worktree/trees.hpp"
#include "text/json.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using Salvages = std::vector<git::SalvageInfo>;

struct WorktreeDropOptions : CommonOptions {
    std::vector<std::string> refs;
    std::optional<std::chrono::milliseconds> older_than;  ///< All that old; instead of `refs`.
    bool dry_run = false;
};

// The name of a worktree is ambiguous: it may have been saved several times.
bool is_meant(const git::SalvageInfo& salvage, const std::string& ref)
{
    return salvage.ref == ref || salvage.ref.ends_with("/" + ref);
}

/// The selected saved work. Throws `Failure` if a ref is ambiguous or unknown.
Salvages chosen(const WorktreeDropOptions& o, const Salvages& all)
{
    Salvages found;
    const auto now = std::chrono::system_clock::now();
    for (const auto& salvage : all)
        if (o.older_than && now - salvage.time >= *o.older_than) found.push_back(salvage);
    for (const auto& ref : o.refs) {
        const auto is_this = [&](const auto& salvage) { return is_meant(salvage, ref); };
        const auto count = std::count_if(all.begin(), all.end(), is_this);
        if (count != 1)
            fail(exit_usage, "{} '{}'; see autoexec worktree list",
                 count == 0 ? "no saved work matches" : "several saved refs match", ref);
        const auto& salvage = *std::find_if(all.begin(), all.end(), is_this);
        const bool known = std::any_of(found.begin(), found.end(),
                                       [&](const auto& other) { return other.ref == salvage.ref; });
        if (!known) found.push_back(salvage);
    }
    return found;
}

void print_outcome(const WorktreeDropOptions& o, const git::SalvageInfo& salvage,
                   const std::string& problem)
{
    if (o.json)
        print_json(json::object{{"ref", salvage.ref},
                                {"tree", salvage.tree},
                                {"commit", salvage.commit},
                                {"dropped", !o.dry_run && problem.empty()},
                                {"problem", text::text_or_null(problem)}});
    else if (problem.empty())
        print_result("{} {} (was {})\n", o.dry_run ? "would drop" : "dropped",
                     text::printable(salvage.ref), salvage.commit);
    else
        print_message("{}\n", text::printable(problem, true));
}

asio::awaitable<int> drop(const WorktreeDropOptions& o, std::shared_ptr<git::Repository> repository)
{
    const auto all = co_await git::list_salvages(*repository);
    const auto salvages = chosen(o, all);
    int code = exit_completed;
    for (const auto& salvage : salvages) {
        std::string problem;
        if (!o.dry_run) problem = co_await repository->drop_ref(salvage.ref, salvage.commit);
        if (!problem.empty()) code = exit_internal;
        print_outcome(o, salvage, problem);
    }
    if (o.json) co_return code;
    if (salvages.empty())
        print_message("Nothing to drop.\n");
    else if (!o.dry_run && code == exit_completed)
        print_message("To recover one before git prunes it (git gc): git branch NAME COMMIT\n");
    co_return code;
}

int drop_work(const WorktreeDropOptions& options)
{
    if (options.refs.empty() && !options.older_than)
        fail(exit_usage, "give REF or --older-than TIME");
    if (!options.dry_run) require_reader();
    return with_repository(repository_options(project_root(options)), "worktree drop",
                           [&](auto repository) { return drop(options, std::move(repository)); });
}

void define_worktree_drop(CLI::App& app, WorktreeDropOptions& o)
{
    add_common(app, o);
    auto* const refs = app.add_option("ref", o.refs, "The ref of the saved work")->type_name("REF");
    add_duration(app, "--older-than", o.older_than, "Drop everything saved at least TIME ago")
        ->excludes(refs);
    app.add_flag("--dry-run", o.dry_run, "Show what would be dropped");
    app.footer(
        "The commit of each is printed. Until git prunes it (git gc), it can be recovered with\n"
        "git branch NAME COMMIT.");
}

}  // namespace

extern const Subcommand worktree_drop_subcommand =
    subcommand("worktree drop", "Delete saved work", define_worktree_drop, drop_work);

}  // namespace autoexec::cli
