#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/worktree/collector.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using git::TreeInfo;

void tell_result(const WorktreeGcOptions& o, const TreeInfo& tree, const git::Salvage& saved)
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
        tell(stdout, "would keep {}: {}\n", name, text::printable(saved.problem, true));
    else if (o.dry_run)
        tell(stdout, "would remove {}{}\n", name,
             tree.dirty ? ", and save its uncommitted work" : "");
    else if (!done)
        tell(stderr, "kept {}: {}\n", name, text::printable(saved.problem, true));
    else if (saved.ref.empty())
        tell(stdout, "removed {}\n", name);
    else
        tell(stdout, "removed {}; saved as {}\n", name, text::printable(saved.ref));
}

void tell_result(const WorktreeGcOptions& o, const std::string& branch,
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
    if (!removed.problem.empty())
        tell(o.dry_run ? stdout : stderr, "{} branch {}: {}\n", o.dry_run ? "would keep" : "kept",
             name, why);
    else
        tell(stdout, "{} branch {}: {} has its work\n", done ? "deleted" : "would delete", name,
             holder);
}

void tell_result(const WorktreeGcOptions& o, const git::ArtifactInfo& artifacts,
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
        tell(stdout, "{} {}\n", o.dry_run ? "would remove" : "removed", ref);
    else
        tell(stderr, "kept {}: {}\n", ref, text::printable(problem, true));
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
            tell_result(o, tree, saved);
            if (!saved.problem.empty() && !o.dry_run) code = exit_engine;
            ++count;
        },
        [&](const std::string& branch, const git::RemovedBranch& removed) {
            tell_result(o, branch, removed);
            // That its work is nowhere else is no failure.
            const bool failed =
                !removed.problem.empty() && (removed.commit.empty() || !removed.held_by.empty());
            if (failed) code = exit_engine;
            ++count;
        },
        [&](const git::ArtifactInfo& artifacts, const std::string& problem) {
            tell_result(o, artifacts, problem);
            if (!problem.empty()) code = exit_engine;
            ++count;
        });
    auto collecting = collector.collect();
    co_await std::move(collecting);
    if (count == 0 && !o.common.json) tell(stderr, "Nothing to remove.\n");
    co_return code;
}

}  // namespace

int worktree_gc(const WorktreeGcOptions& options)
{
    const auto root = project_root(options.common);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, false);
    if (!config) return exit_invalid;
    const auto rules = rules_for(options, config->worktrees);
    auto options_of_git = repository_options(root);
    options_of_git.max_file_bytes = config->worktrees.max_file_bytes;
    return with_repository(std::move(options_of_git), "gc", [&](auto repository) {
        return collect(options, rules, root, std::move(repository));
    });
}

}  // namespace autoexec::cli
