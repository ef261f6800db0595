#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/worktree/collector.hpp"
#include "git_files/git_dir.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

namespace autoexec::cli {
namespace {

struct Tally {
    std::size_t removed = 0;
    std::size_t saved = 0;
    std::size_t stay = 0;
    std::size_t branches = 0;
};

std::string counted(std::size_t count, std::string_view one, std::string_view many)
{
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string sentence_of(const Tally& tally)
{
    auto text = fmt::format("Removed {}", counted(tally.removed, "worktree", "worktrees"));
    if (tally.branches > 0)
        text += fmt::format(" and {}", counted(tally.branches, "branch", "branches"));
    text += " of completed runs";
    if (tally.saved > 0)
        text += fmt::format("; saved the work in {} (see autoexec worktree list)", tally.saved);
    if (tally.stay > 0)
        text += fmt::format("; kept {} (for the reasons, run autoexec worktree gc)", tally.stay);
    return text + ".";
}

asio::awaitable<int> collect(GcRules rules, std::filesystem::path root, bool quiet,
                             std::shared_ptr<git::Repository> repository)
{
    Tally tally;
    Collector collector(
        rules, std::move(root), std::move(repository),
        [&tally](const git::TreeInfo&, const git::Salvage& saved) {
            ++(saved.problem.empty() ? tally.removed : tally.stay);
            if (saved.problem.empty() && !saved.ref.empty()) ++tally.saved;
        },
        [&tally](const std::string&, const git::RemovedBranch& removed) {
            if (removed.problem.empty()) ++tally.branches;
        },
        [](const git::ArtifactInfo&, const std::string&) {});
    auto collecting = collector.collect();
    co_await std::move(collecting);
    const bool nothing = tally.removed + tally.stay + tally.branches == 0;
    if (!nothing && !quiet) print_message("{}\n", sentence_of(tally));
    co_return exit_completed;
}

}  // namespace

void collect_after_run(AutoExecutionConfigManager& manager, bool quiet)
{
    const auto& root = manager.project_root();
    const auto config = load_configuration(manager, true);
    if (!config || !config->worktrees.auto_gc || !git_files::git_dir_of(root)) return;
    const auto rules = rules_of(config->worktrees);
    auto options = repository_options(root);
    options.max_file_bytes = config->worktrees.max_file_bytes;
    (void)with_repository(std::move(options), "gc", [&](auto repository) {
        return collect(rules, root, quiet, std::move(repository));
    });
}

}  // namespace autoexec::cli
