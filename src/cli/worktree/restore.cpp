#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "cli/worktree/trees.hpp"

#include <algorithm>
#include <cstdint>

namespace autoexec::cli {
namespace {

struct WorktreeRestoreOptions : CommonOptions {
    std::string ref;
    std::string name;  ///< Empty: derived from the ref.
};

// The branch of the removed worktree may still exist, so the name differs.
std::string default_name(const std::string& ref)
{
    return "restored-" + ref.substr(ref.rfind('/') + 1);
}

asio::awaitable<int> restore(const WorktreeRestoreOptions& o,
                             std::shared_ptr<git::Repository> repository)
{
    const auto salvages = co_await git::list_salvages(*repository);
    const auto salvage = std::find_if(salvages.begin(), salvages.end(), [&](const auto& one) {
        return one.ref == o.ref || one.ref.ends_with("/" + o.ref) || one.tree == o.ref;
    });
    if (salvage == salvages.end())
        fail(exit_usage, "no saved work matches '{}'; see autoexec worktree list", o.ref);
    const auto name = o.name.empty() ? default_name(salvage->ref) : o.name;
    const auto tree = co_await git::restore(*repository, salvage->ref, name);
    if (!tree.problem.empty()) {
        print_message("autoexec worktree restore: {}\n", text::printable(tree.problem, true));
        co_return exit_internal;
    }
    for (const auto& warning : tree.warnings)
        print_message("warning: {}\n", text::printable(warning));
    if (o.json)
        print_json(boost::json::object{
            {"ref", salvage->ref}, {"path", tree.path.string()}, {"branch", tree.branch}});
    else
        print_result("restored {} in {}, on the branch {}\n", text::printable(salvage->ref),
                     text::printable(shown_path(tree.path)), text::printable(tree.branch));
    co_return exit_completed;
}

int restore_work(const WorktreeRestoreOptions& options)
{
    const auto root = project_root(options);
    AutoExecutionConfigManager manager({}, root);
    auto where = repository_options(root);
    where.min_free_bytes = load_configuration(manager, true).worktrees.min_free_bytes;
    require_reader();
    return with_repository(std::move(where), "worktree restore",
                           [&](auto repository) { return restore(options, repository); });
}

void define_worktree_restore(CLI::App& app, WorktreeRestoreOptions& o)
{
    add_common(app, o);
    app.add_option("ref", o.ref,
                   "The ref of the saved work, or the worktree whose newest is restored")
        ->type_name("REF")
        ->required();
    app.add_option("name", o.name, "The name of the new worktree")->type_name("NAME");
}

}  // namespace

extern const Subcommand worktree_restore_subcommand =
    subcommand("worktree restore", "Restore saved work in a new worktree", define_worktree_restore,
               restore_work);

}  // namespace autoexec::cli
