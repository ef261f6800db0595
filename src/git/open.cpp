#include "git/open.hpp"

#include <fmt/format.h>

#include <charconv>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

// The first version with `git merge-tree --write-tree`.
constexpr int oldest_minor = 38;

// `git version 2.39.5`, perhaps with more behind it.
bool is_too_old(std::string_view text)
{
    int major = 0;
    int minor = 0;
    const auto digit = std::min(text.find_first_of("0123456789"), text.size());
    const auto* const end = text.data() + text.size();
    const auto [dot, problem] = std::from_chars(text.data() + digit, end, major);
    if (problem != std::errc() || dot == end) return true;
    std::from_chars(dot + 1, end, minor);
    return major < 2 || (major == 2 && minor < oldest_minor);
}

std::vector<std::string> lines_in(std::string_view text)
{
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string open_problem(const fs::path& folder, const ProgramOutput& answer)
{
    if (answer.output.starts_with("true"))
        return fmt::format("The repository of {} is bare: it has no files to work on.",
                           folder.string());
    if (answer.errors.find("not a git repository") != std::string::npos)
        return fmt::format("{} is not in a git repository. Create one: git init", folder.string());
    return fmt::format("The repository of {} cannot be used: {}", folder.string(),
                       reason_of(answer));
}

fs::path canonical_or_normal(const fs::path& path)
{
    std::error_code ec;
    auto found = fs::canonical(path, ec);
    return ec ? path.lexically_normal() : found;
}

// The first of `worktree list`: `worktree <path>`, then `bare` or what is checked out.
std::optional<Entry> main_tree(const fs::path& common, std::string_view listing)
{
    constexpr std::string_view word = "worktree ";
    const auto parts = split_nul(listing);
    if (parts.size() < 2 || !parts[0].starts_with(word) || parts[1] == "bare") return std::nullopt;
    Entry entry;
    entry.git_dir = common;
    entry.common_dir = common;
    entry.tree = parts[0].substr(word.size());
    return entry;
}

}  // namespace

asio::awaitable<Discovery> discover(const Git& git, fs::path folder)
{
    Discovery found;
    const GitContext here(fs::path(), folder);
    const auto version = co_await git(here, "version");
    if (!version.exit.error.empty())
        found.problem = fmt::format("git cannot be run: {}", version.exit.error);
    else if (is_too_old(version.output))
        found.problem = fmt::format("{} is too old: worktrees need git 2.{} or later.",
                                    line_of(version), oldest_minor);
    if (!found.problem.empty()) co_return found;

    const auto answer = co_await git(here, "rev-parse", "--is-bare-repository",
                                     "--absolute-git-dir", "--git-common-dir", "--show-toplevel");
    const auto lines = lines_in(answer.output);
    if (!answer.ok() || lines.size() != 4) {
        found.problem = open_problem(folder, answer);
        co_return found;
    }
    found.common = canonical_or_normal(folder / lines[2]);
    found.project =
        GitContext(canonical_or_normal(lines[1]), found.common, canonical_or_normal(lines[3]));
    const auto listing = co_await git(found.project, "worktree", "list", "--porcelain", "-z");
    found.main = main_tree(found.common, listing.output);
    // For a separate git directory (a submodule, for example) the listing shows that directory as
    // the tree.
    if (found.main && found.project.git_dir == found.common) {
        found.main->tree = found.project.work_tree;
    } else if (found.main) {
        const GitContext bare(found.common, fs::path());
        const auto core_worktree = co_await git(bare, "config", "--get", "core.worktree");
        if (core_worktree.ok())
            found.main->tree = canonical_or_normal(found.common / line_of(core_worktree));
    }
    const auto head =
        co_await git(found.project, "rev-parse", "--verify", "--quiet", "HEAD^{commit}");
    if (!head.ok())
        found.problem = fmt::format(
            "The repository of {} has no commit yet, and worktrees need one. Create it: git add "
            "-A; git commit",
            folder.string());
    co_return found;
}

}  // namespace autoexec::git
