#include "cli/workflow/pull_request.hpp"

#include "cli/session/configuration.hpp"
#include "cli/session/notify.hpp"
#include "cli/session/output.hpp"
#include "cli/session/terminal_program.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/worktree/trees.hpp"
#include "text/columns.hpp"
#include "text/text.hpp"

#include <array>
#include <memory>
#include <system_error>
#include <utility>
#include <variant>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_title = 200;
// GitHub accepts 65,536 characters, and a word of a program has at most 128 KiB.
constexpr std::size_t max_body = 60'000;

using PullRequestValue = std::pair<std::string_view, std::string_view>;

// It is an argument of git and of the program, and must not be an option.
bool is_plain_name(std::string_view name)
{
    return !name.empty() && name.front() != '-' && text::printable(name) == name;
}

// A journal may come with a repository: it must not offer another branch.
bool is_branch_of_run(std::string_view branch)
{
    return branch.starts_with(git::own_branches) &&
           git::is_branch_part(branch.substr(git::own_branches.size()));
}

asio::awaitable<int> push(const PullRequest& request, std::shared_ptr<git::Repository> repository)
{
    const auto ref = git::branch_ref(request.branch);
    const auto pushed = co_await repository->git(repository->project, "push", "--quiet",
                                                 request.remote, ref + ":" + ref);
    if (!pushed.ok())
        fail(exit_failed, "cannot push {} to {}: {}", request.branch, request.remote,
             git::reason_of(pushed));
    co_return exit_completed;
}

std::string target_of(const workflow::RunRecord& run)
{
    for (const auto& entry : run.transitions)
        if (const auto* const it = std::get_if<protocol::RunStarted>(&entry.transition))
            return it->merge_into;
    return {};
}

std::string title_of(const workflow::RunRecord& run)
{
    auto title = text::one_line(run.name.empty() ? run.workflow_id : run.name);
    if (title.starts_with('-')) title.insert(0, "Workflow ");
    return std::string(text::head(title, max_title));
}

std::string cut_body(std::string report, const std::string& run_id)
{
    if (report.size() <= max_body) return report;
    report.resize(report.rfind('\n', max_body) + 1);
    return report +
           fmt::format("\nThis is too long. All of it: autoexec workflow report {}\n", run_id);
}

std::string fill_word(std::string_view word, const std::array<PullRequestValue, 5>& values)
{
    std::string out;
    while (!word.empty()) {
        const auto* const found = std::find_if(values.begin(), values.end(), [&](const auto& one) {
            return word.starts_with(one.first);
        });
        const bool is_value = found != values.end();
        out += is_value ? found->second : word.substr(0, 1);
        word.remove_prefix(is_value ? found->first.size() : 1);
    }
    return out;
}

std::vector<std::string> configured_words(const std::filesystem::path& root)
{
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, false);
    std::string problem;
    auto words = program_words(config.pull_request.program, root, problem);
    if (problem.ends_with('.')) problem.pop_back();
    if (!problem.empty())
        fail(exit_failed,
             "cannot create a pull request: {}; install the program, correct "
             "pull_request.program, or use the text of 'autoexec workflow report'",
             problem);
    return words;
}

}  // namespace

std::vector<std::string> fill_words(const std::vector<std::string>& configured,
                                    const PullRequest& request)
{
    const std::array<PullRequestValue, 5> values{{{"{branch}", request.branch},
                                                  {"{base}", request.base},
                                                  {"{remote}", request.remote},
                                                  {"{title}", request.title},
                                                  {"{body}", request.body}}};
    std::vector<std::string> words;
    for (const auto& word : configured)
        if (!request.base.empty() || word.find("{base}") == word.npos)
            words.push_back(fill_word(word, values));
    return words;
}

PullRequest pull_request_of(const workflow::RunRecord& run, std::string remote, std::string report)
{
    if (run.commit.empty() || run.status != WorkflowStatus::completed)
        fail(exit_usage,
             "the run {} is {} and has no branch to offer; only a completed run has one",
             run.run_id, state_of(run));
    if (!is_plain_name(remote)) fail(exit_usage, "invalid name of a remote: '{}'", remote);
    if (!is_branch_of_run(run.branch))
        fail(exit_usage, "the branch '{}' is not one of a run: its journal was changed",
             run.branch);
    PullRequest request;
    request.branch = run.branch;
    request.base = target_of(run);
    if (!request.base.empty() && !is_plain_name(request.base))
        fail(exit_usage, "invalid name of a branch: '{}'", request.base);
    request.remote = std::move(remote);
    request.title = title_of(run);
    request.body = cut_body(std::move(report), run.run_id);
    return request;
}

void create_pull_request(const std::filesystem::path& root, const PullRequest& request)
{
    const auto words = fill_words(configured_words(root), request);
    const int code =
        with_repository(repository_options(root), "workflow report",
                        [&](auto repository) { return push(request, std::move(repository)); });
    if (code != exit_completed) throw Failure(static_cast<ExitCode>(code));
    std::error_code ec;
    std::filesystem::current_path(root, ec);
    if (ec) fail(exit_internal, "cannot enter {}: {}", root.string(), ec.message());
    const int ended = run_on_terminal("exec", words, request.body);
    if (ended != 0)
        fail(exit_failed, "the branch {} is pushed, but {} ended with exit code {}", request.branch,
             words.front(), ended);
}

}  // namespace autoexec::cli
