#include "cli/subcommand.hpp"
#include "cli/worktree/trees.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using git::SalvageInfo;
using git::TreeInfo;

std::string_view tree_state_of(const TreeInfo& tree)
{
    if (tree.busy) return "busy";
    if (tree.missing) return "missing";
    if (tree.replaced) return "replaced";
    return tree.dirty ? "dirty" : "clean";
}

json::object to_json(const TreeInfo& tree, const TreeRun* run)
{
    return {{"name", tree.name},
            {"path", tree.path.string()},
            {"branch", text::text_or_null(tree.branch)},
            {"commit", text::text_or_null(tree.head)},
            {"state", tree_state_of(tree)},
            {"last_used", text::iso_utc(tree.last_used)},
            {"run_id", run != nullptr ? json::value(run->run_id) : nullptr},
            {"run_state", run != nullptr ? json::value(run->state) : nullptr}};
}

json::object to_json(const SalvageInfo& salvage)
{
    return {{"ref", salvage.ref},
            {"tree", salvage.tree},
            {"commit", salvage.commit},
            {"reason", text::text_or_null(salvage.reason)},
            {"time", text::iso_utc(salvage.time)}};
}

void print(const TreeInfo& tree, const TreeRun* run)
{
    print_state_line(text::shown_time(tree.last_used) + "  ", tree_state_of(tree), 8,
                     fmt::format("  {}  {}", text::printable(tree.name),
                                 run == nullptr ? "no run"
                                                : text::printable(fmt::format(
                                                      "{} ({})", run->run_id, run->state))));
}

void print(const SalvageInfo& salvage)
{
    print_result("{}  saved     {}  {}\n", text::shown_time(salvage.time),
                 text::printable(salvage.ref), text::printable(salvage.reason));
}

asio::awaitable<int> list(const CommonOptions& options, std::shared_ptr<git::Repository> repository)
{
    const auto trees = co_await git::list_trees(*repository);
    const auto salvages = co_await git::list_salvages(*repository);
    const auto runs = runs_with_trees(project_root(options));
    for (const auto& tree : trees) {
        if (options.json)
            print_json(to_json(tree, owner_of(tree, runs)));
        else
            print(tree, owner_of(tree, runs));
    }
    for (const auto& salvage : salvages) {
        if (options.json)
            print_json(to_json(salvage));
        else
            print(salvage);
    }
    if (trees.empty() && salvages.empty() && !options.json)
        print_message("No worktrees in {}.\n", shown_path(repository->trees_folder()));
    co_return exit_completed;
}

int list_worktrees(const CommonOptions& options)
{
    return with_repository(repository_options(project_root(options)), "worktree list",
                           [&](auto repository) { return list(options, repository); });
}

}  // namespace

extern const Subcommand worktree_list_subcommand =
    subcommand("worktree list", "List worktrees and saved work", add_common, list_worktrees);

}  // namespace autoexec::cli
