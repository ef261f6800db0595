#include "protocol/text.hpp"
#include "runner/cli.hpp"
#include "runner/project.hpp"
#include "runner/tell.hpp"
#include "runner/worktree_collector.hpp"

#include <boost/json/object.hpp>

#include <cstdio>
#include <memory>
#include <utility>

namespace autoexec::runner {
namespace {

namespace json = boost::json;
using worktree::TreeInfo;

void tell_result(const WorktreeGcOptions& o, const TreeInfo& tree, const worktree::Salvage& saved)
{
    const bool done = !o.dry_run && saved.problem.empty();
    if (o.common.json) {
        const auto or_null = [](const std::string& text) {
            return text.empty() ? json::value(nullptr) : json::value(text);
        };
        print_json(json::object{{"name", tree.name},
                                {"path", tree.path.string()},
                                {"branch", or_null(tree.branch)},
                                {"dirty", tree.dirty},
                                {"removed", done},
                                {"saved_as", or_null(saved.ref)},
                                {"problem", or_null(saved.problem)}});
        return;
    }
    const auto name = protocol::printable(tree.name);
    if (o.dry_run && !saved.problem.empty())
        tell(stdout, "{} would stay: {}\n", name, protocol::printable(saved.problem, true));
    else if (o.dry_run)
        tell(stdout, "would remove {}{}\n", name, tree.dirty ? ", and save what is in it" : "");
    else if (!done)
        tell(stderr, "{} stays: {}\n", name, protocol::printable(saved.problem, true));
    else if (saved.ref.empty())
        tell(stdout, "removed {}\n", name);
    else
        tell(stdout, "removed {}; saved as {}\n", name, protocol::printable(saved.ref));
}

GcRules rules_of(const WorktreeGcOptions& o)
{
    GcRules rules;
    rules.older_than = o.older_than.value_or(rules.older_than);
    rules.keep = o.keep;
    rules.all = o.all;
    rules.include_ignored = o.include_ignored;
    rules.dry_run = o.dry_run;
    return rules;
}

asio::awaitable<int> collect(const WorktreeGcOptions& o,
                             std::shared_ptr<worktree::Repository> repository)
{
    int code = exit_completed;
    std::size_t count = 0;
    Collector collector(rules_of(o), project_root(o.common), std::move(repository),
                        [&](const TreeInfo& tree, const worktree::Salvage& saved) {
                            tell_result(o, tree, saved);
                            if (!saved.problem.empty() && !o.dry_run) code = exit_engine;
                            ++count;
                        });
    auto collecting = collector.collect();
    co_await std::move(collecting);
    if (count == 0 && !o.common.json) tell(stderr, "There is nothing to remove.\n");
    co_return code;
}

}  // namespace

int worktree_gc(const WorktreeGcOptions& options)
{
    return with_repository(options.common, "gc",
                           [&](auto repository) { return collect(options, repository); });
}

}  // namespace autoexec::runner
