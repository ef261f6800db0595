#include "cli/examples.hpp"

#include <array>

namespace autoexec::cli {
namespace {

struct Examples {
    std::string_view words;
    std::string_view lines;
};

constexpr std::array examples_by_command = {
    Examples{"init",
             "  autoexec init\n"
             "  autoexec init --preset claude --no-workflow --yes\n"},
    Examples{"workflow new", "  autoexec workflow new feature.yaml\n"},
    Examples{"workflow resume", "  autoexec workflow resume --from-failed\n"},
    Examples{"workflow validate", "  autoexec workflow validate release.yaml --strict\n"},
    Examples{"workflow list", "  autoexec workflow list -n 5\n"},
    Examples{"workflow status",
             "  autoexec workflow status\n"
             "  autoexec workflow status 7f3a --json\n"},
    Examples{"workflow cancel", "  autoexec workflow cancel\n"},
    Examples{"workflow approve", "  autoexec workflow approve review\n"},
    Examples{"workflow reject",
             "  autoexec workflow reject review --reason \"tests are missing\"\n"},
    Examples{"workflow done", "  autoexec workflow done review\n"},
    Examples{"workflow fail", "  autoexec workflow fail review --reason \"tests are missing\"\n"},
    Examples{"worktree list", "  autoexec worktree list\n"},
    Examples{"worktree gc",
             "  autoexec worktree gc --dry-run\n"
             "  autoexec worktree gc --older-than 7d --delete-branches\n"},
    Examples{"worktree restore", "  autoexec worktree restore fix-parser rescued\n"},
    Examples{"worktree drop", "  autoexec worktree drop --older-than 90d --dry-run\n"},
    Examples{"queue run", "  autoexec queue run -j 4\n"},
    Examples{"stop", "  autoexec stop --drain\n"},
    Examples{"pause",
             "  autoexec pause\n"
             "  autoexec pause --agent claude\n"},
    Examples{"resume", "  autoexec resume\n"},
    Examples{"agents validate", "  autoexec agents validate\n"},
    Examples{"agents list", "  autoexec agents list\n"},
    Examples{"agents reset", "  autoexec agents reset claude\n"},
    Examples{"status",
             "  autoexec status\n"
             "  autoexec status --agent claude --state running\n"},
    Examples{"top", "  autoexec top\n"},
    Examples{"history",
             "  autoexec history --status failed --since 2h\n"
             "  autoexec history --csv -n 0 > attempts.csv\n"},
    Examples{"metrics", "  autoexec metrics --since 30d --by agent\n"},
    Examples{"trace", "  autoexec trace --since 1h > traces.jsonl\n"},
    Examples{"audit query", "  autoexec audit query --event execution_failed --since 7d\n"},
    Examples{"audit tail", "  autoexec audit tail -f\n"},
    Examples{"audit verify", "  autoexec audit verify\n"},
    Examples{"records gc", "  autoexec records gc --older-than 90d --dry-run\n"},
    Examples{"logs",
             "  autoexec logs\n"
             "  autoexec logs 1a2b3c4d -f --tail 20\n"
             "  autoexec logs --step build\n"},
    Examples{"attach", "  autoexec attach\n"},
    Examples{"cancel",
             "  autoexec cancel 1a2b3c4d\n"
             "  autoexec cancel --all\n"},
    Examples{"health", "  autoexec health --deep\n"},
    Examples{"config show", "  autoexec config show --origin\n"},
    Examples{"config get", "  autoexec config get retry.max_attempts\n"},
    Examples{"config set",
             "  autoexec config set retry.max_attempts 5\n"
             "  autoexec config set --user limits.max_parallel 4\n"},
    Examples{"config unset", "  autoexec config unset retry.max_attempts\n"},
    Examples{"config edit",
             "  autoexec config edit\n"
             "  autoexec config edit --user\n"},
    Examples{"config validate", "  autoexec config validate --strict\n"},
    Examples{"config schema", "  autoexec config schema > autoexec.schema.json\n"},
    Examples{"config reference", "  autoexec config reference > configuration.md\n"},
    Examples{"config migrate", "  autoexec config migrate --dry-run\n"},
    Examples{"debug", "  autoexec debug on\n"},
    Examples{"help", "  autoexec help workflow run\n"},
};

}  // namespace

std::string_view examples_of(std::string_view words) noexcept
{
    for (const auto& one : examples_by_command)
        if (one.words == words) return one.lines;
    return {};
}

}  // namespace autoexec::cli
