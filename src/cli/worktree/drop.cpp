#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/worktree/trees.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using Salvages = std::vector<git::SalvageInfo>;

// A worktree's name is not enough: there may be several of it.
bool is_meant(const git::SalvageInfo& salvage, const std::string& ref)
{
    return salvage.ref == ref || salvage.ref.ends_with("/" + ref);
}

/// Those that are meant; nothing, and a word, where that can't be told of one.
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
            tell(stderr, "autoexec worktree drop: {} '{}'; see autoexec worktree list\n",
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

void tell_result(const WorktreeDropOptions& o, const git::SalvageInfo& salvage,
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
        tell(stdout, "{} {} (was {})\n", o.dry_run ? "would drop" : "dropped",
             text::printable(salvage.ref), salvage.commit);
    else
        tell(stderr, "{}\n", text::printable(problem, true));
}

asio::awaitable<int> drop(const WorktreeDropOptions& o, std::shared_ptr<git::Repository> repository)
{
    auto remembering = repository->salvages();
    const auto all = co_await std::move(remembering);
    const auto salvages = chosen(o, all);
    if (!salvages) co_return exit_usage;
    int code = exit_completed;
    for (const auto& salvage : *salvages) {
        std::string problem;
        if (!o.dry_run) {
            auto dropping = repository->drop(salvage);
            problem = co_await std::move(dropping);
        }
        if (!problem.empty()) code = exit_engine;
        tell_result(o, salvage, problem);
    }
    if (o.common.json) co_return code;
    if (salvages->empty())
        tell(stderr, "Nothing to drop.\n");
    else if (!o.dry_run && code == exit_completed)
        tell(stderr, "To recover one before git prunes it (git gc): git branch NAME COMMIT\n");
    co_return code;
}

}  // namespace

int worktree_drop(const WorktreeDropOptions& options)
{
    if (options.refs.empty() && !options.older_than) {
        tell(stderr, "autoexec worktree drop: give REF or --older-than TIME\n");
        return exit_usage;
    }
    return with_repository(repository_options(project_root(options.common)), "drop",
                           [&](auto repository) { return drop(options, std::move(repository)); });
}

}  // namespace autoexec::cli
