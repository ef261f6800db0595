#include "cli/workflow/unseen_changes.hpp"

#include "cli/session/output.hpp"
#include "cli/worktree/trees.hpp"
#include "git/changes.hpp"
#include "git/tree_state.hpp"
#include "process/run_program.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace autoexec::cli {
namespace {

// Of a record of `git status --porcelain=v2`; empty for none of them.
std::string_view path_in_status(std::string_view record)
{
    constexpr std::size_t fields_of_change = 8;
    constexpr std::size_t fields_of_conflict = 10;
    if (record.starts_with("? ")) return record.substr(2);
    const bool is_conflict = record.starts_with("u ");
    if (!is_conflict && !record.starts_with("1 ")) return {};
    for (auto left = is_conflict ? fields_of_conflict : fields_of_change; left > 0; --left) {
        const auto space = record.find(' ');
        if (space == record.npos) return {};
        record.remove_prefix(space + 1);
    }
    return record;
}

asio::awaitable<int> make_commit_of_changes(std::shared_ptr<git::Repository> open,
                                            std::filesystem::path worktree, std::string& commit)
{
    auto& repository = *open;
    auto current = co_await git::current_files(repository, worktree);
    if (!current.problem.empty()) fail(exit_internal, "--with-changes: {}", current.problem);
    for (const auto& warning : current.warnings) print_message("warning: {}\n", warning);
    if (current.tree == current.head_tree) {
        commit = std::move(current.head);
        co_return exit_completed;
    }
    git::Words parents{current.head};
    const auto made = co_await repository.commit_tree(
        std::move(current.tree), std::move(parents),
        "Uncommitted changes\n\nThe steps of a workflow start from them (--with-changes).\n");
    if (!made.problem.empty()) fail(exit_internal, "--with-changes: {}", made.problem);
    commit = made.id;
    co_return exit_completed;
}

}  // namespace

std::vector<std::string> uncommitted_files(const std::filesystem::path& worktree)
{
    std::vector<std::string> files;
    auto context = git::git_context_of(worktree);
    if (!context) return files;
    context->trusted = git::TrustedConfig::repository;
    asio::io_context ctx{1};
    const git::Git git(supervised_spawner(), system_clock());
    git::ProgramOutput status;
    asio::co_spawn(ctx, git::changes_in(git, *context),
                   [&](std::exception_ptr failure, git::ProgramOutput output) {
                       if (failure) std::rethrow_exception(failure);
                       status = std::move(output);
                   });
    ctx.run();
    if (!status.ok()) return files;
    for (const auto record : git::split_nul(status.output))
        if (const auto path = path_in_status(record); !path.empty() && !git::is_internal(path))
            files.emplace_back(path);
    return files;
}

std::string unseen_sentence(const std::vector<std::string>& files)
{
    constexpr std::size_t max_named = 5;
    if (files.empty()) return {};
    git::Words named;
    for (const auto& file : files) named.push_back(text::printable(text::valid_utf8(file)));
    return fmt::format(
        "{} with uncommitted changes {} not seen by the steps: {}. Commit them before a run, or "
        "use --with-changes\n",
        text::counted(files.size(), "file"), files.size() == 1 ? "was" : "were",
        git::some_of(std::move(named), max_named));
}

std::string commit_of_changes(const std::filesystem::path& root,
                              const std::filesystem::path& worktree)
{
    std::string commit;
    const int code =
        with_repository(repository_options(root), "workflow run", [&](auto repository) {
            return make_commit_of_changes(std::move(repository), worktree, commit);
        });
    if (code != exit_completed) throw Failure(static_cast<ExitCode>(code));
    return commit;
}

}  // namespace autoexec::cli
