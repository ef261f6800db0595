#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/worktree/trees.hpp"
#include "text/text.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using Salvages = std::vector<git::SalvageInfo>;

struct WorktreeDropOptions {
    CommonOptions common;
    std::vector<std::string> refs;
    std::optional<std::chrono::milliseconds> older_than;  ///< All that old; instead of `refs`.
    bool dry_run = false;
};

// The name of a worktree is ambiguous: it may have been saved several times.
bool is_meant(const git::SalvageInfo& salvage, const std::string& ref)
{
    return salvage.ref == ref || salvage.ref.ends_with("/" + ref);
}

/// The selected saved work; nothing, and a message, if a ref is ambiguous or unknown.
std::optional<Salvages> chosen(const WorktreeDropOptions& o, const Salvages& all)
{
    Salvages found;
    const auto now = std::chrono::system_clock::now();
    for (const auto& salvage : all)
        if (o.older_than && now - salvage.time >= *o.older_than) found.push_back(salvage);
    for (const auto& ref : o.refs) {
        const auto is_this = [&](const auto& salvage) { return is_meant(salvage, ref); };
        const auto count = std::count_if(all.begin(), all.end(), is_this);
        if (count != 1) {
            print_error("worktree drop", "{} '{}'; see autoexec worktree list",
                        count == 0 ? "no saved work matches" : "several saved refs match",
                        text::printable(ref));
            return std::nullopt;
        }
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
    if (o.common.json)
        print_json(json::object{
            {"ref", salvage.ref},
            {"tree", salvage.tree},
            {"commit", salvage.commit},
            {"dropped", !o.dry_run && problem.empty()},
            {"problem", problem.empty() ? json::value(nullptr) : json::value(problem)}});
    else if (problem.empty())
        print_result("{} {} (was {})\n", o.dry_run ? "would drop" : "dropped",
                     text::printable(salvage.ref), salvage.commit);
    else
        print_message("{}\n", text::printable(problem, true));
}

asio::awaitable<int> drop(const WorktreeDropOptions& o, std::shared_ptr<git::Repository> repository)
{
    auto remembering = git::list_salvages(*repository);
    const auto all = co_await std::move(remembering);
    const auto salvages = chosen(o, all);
    if (!salvages) co_return exit_usage;
    int code = exit_completed;
    for (const auto& salvage : *salvages) {
        std::string problem;
        if (!o.dry_run) {
            auto dropping = repository->drop_ref(salvage.ref, salvage.commit);
            problem = co_await std::move(dropping);
        }
        if (!problem.empty()) code = exit_internal;
        print_outcome(o, salvage, problem);
    }
    if (o.common.json) co_return code;
    if (salvages->empty())
        print_message("Nothing to drop.\n");
    else if (!o.dry_run && code == exit_completed)
        print_message("To recover one before git prunes it (git gc): git branch NAME COMMIT\n");
    co_return code;
}

int drop_work(const WorktreeDropOptions& options)
{
    if (options.refs.empty() && !options.older_than) {
        print_error("worktree drop", "give REF or --older-than TIME");
        return exit_usage;
    }
    if (!options.dry_run) require_reader();
    return with_repository(repository_options(project_root(options.common)), "drop",
                           [&](auto repository) { return drop(options, std::move(repository)); });
}

SubcommandBody define_worktree_drop(CLI::App& app)
{
    const auto o = std::make_shared<WorktreeDropOptions>();
    add_common(app, o->common);
    auto* const refs =
        app.add_option("ref", o->refs, "The ref of the saved work")->type_name("REF");
    add_duration(app, "--older-than", o->older_than, "Drop everything saved at least TIME ago")
        ->excludes(refs);
    app.add_flag("--dry-run", o->dry_run, "Show what would be dropped");
    app.footer(
        "The commit of each is printed. Until git prunes it (git gc), it can be recovered with\n"
        "git branch NAME COMMIT.");
    return {[o] { return drop_work(*o); }};
}

}  // namespace

extern const Subcommand worktree_drop_subcommand{"worktree drop", "Delete saved work",
                                                 define_worktree_drop};

}  // namespace autoexec::cli
