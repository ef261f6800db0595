#include "cli/workflow/pull_request.hpp"

#include "cli/session/output.hpp"
#include "cli/session/terminal_program.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/worktree/trees.hpp"
#include "text/columns.hpp"
#include "text/text.hpp"

#include <memory>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_title = 200;

// A word of these is an argument of git or gh, and must not be an option.
bool is_plain_name(std::string_view name)
{
    return !name.empty() && name.front() != '-' && text::printable(name) == name;
}

asio::awaitable<int> push(std::string branch, std::string remote,
                          std::shared_ptr<git::Repository> repository)
{
    const auto ref = git::branch_ref(branch);
    const auto pushed =
        co_await repository->git(repository->project, "push", "--quiet", remote, ref + ":" + ref);
    if (!pushed.ok())
        fail(exit_failed, "cannot push {} to {}: {}", branch, remote, git::reason_of(pushed));
    co_return exit_completed;
}

std::string target_of(const workflow::RunRecord& run)
{
    for (const auto& entry : run.transitions)
        if (const auto* const it = std::get_if<protocol::RunStarted>(&entry.transition))
            return it->merge_into;
    return {};
}

std::vector<std::string> words_for_gh(const workflow::RunRecord& run)
{
    auto title = text::one_line(run.name.empty() ? run.workflow_id : run.name);
    title = text::head(title, max_title);
    std::vector<std::string> words{"pr", "create", "--head=" + run.branch, "--title=" + title,
                                   "--body-file=-"};
    if (const auto target = target_of(run); !target.empty()) words.push_back("--base=" + target);
    return words;
}

}  // namespace

void create_pull_request(const std::filesystem::path& root, const workflow::RunRecord& run,
                         const std::string& remote, std::string_view body)
{
    if (run.commit.empty() || run.status != WorkflowStatus::completed)
        fail(exit_usage,
             "the run {} is {} and has no branch to offer; only a completed run has one",
             run.run_id, state_of(run));
    if (!is_plain_name(remote)) fail(exit_usage, "invalid name of a remote: '{}'", remote);
    const int code = with_repository(
        repository_options(root), "workflow report",
        [&](auto repository) { return push(run.branch, remote, std::move(repository)); });
    if (code != exit_completed) throw Failure(static_cast<ExitCode>(code));
    std::error_code ec;
    std::filesystem::current_path(root, ec);
    if (ec) fail(exit_internal, "cannot enter {}: {}", root.string(), ec.message());
    const int ended = run_on_terminal("gh", words_for_gh(run), body);
    if (ended == program_not_found)
        fail(
            exit_failed,
            "the branch {} is pushed, but the program gh is not installed: create the pull request "
            "by hand, with the text of 'autoexec workflow report'",
            run.branch);
    if (ended != 0)
        fail(exit_failed, "the branch {} is pushed, but gh ended with exit code {}", run.branch,
             ended);
}

}  // namespace autoexec::cli
