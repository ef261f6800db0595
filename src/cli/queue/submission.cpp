#include "cli/queue/submission.hpp"

#include "autoexec/redaction.hpp"
#include "autoexec/version.hpp"
#include "cli/queue/engine_start.hpp"
#include "cli/session/output.hpp"
#include "cli/worktree/trees.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <set>
#include <utility>

namespace autoexec::cli {
namespace {

using protocol::QueuedRequest;

/// Which variables the engine that will run the commands has.
class EngineVariables {
public:
    explicit EngineVariables(const std::filesystem::path& root)
    {
        const auto probe = queue::probe_engine(root);
        if (probe.alive && probe.engine && !queue::is_draining(root) &&
            !queue::is_older_version(probe.engine->version, AUTOEXEC_VERSION))
            engine_ = probe.engine;
    }

    /// Empty: it has this one.
    [[nodiscard]] std::string problem_of(const std::string& name) const
    {
        const bool is_set = std::getenv(name.c_str()) != nullptr;
        if (!engine_)
            return is_set ? std::string() : fmt::format("the variable {} is not set", name);
        const auto& names = engine_->variables;
        if (std::find(names.begin(), names.end(), name) != names.end()) return {};
        return fmt::format(
            "the variable {} is not in the environment of the engine of the queue (process {}): "
            "wait until that has ended, or run the command without --detach",
            name, engine_->pid);
    }

private:
    std::optional<protocol::QueueEngineFile> engine_;
};

double lower_limit(double a, double b)
{
    return a > 0 && b > 0 ? std::min(a, b) : std::max(a, b);
}

void apply_limits(const SessionFlags& flags, CommandRequest& request)
{
    request.max_cost = lower_limit(request.max_cost, flags.max_cost_per_command.value_or(0));
    const auto tokens = static_cast<std::int64_t>(flags.max_tokens_per_command.value_or(0));
    if (tokens > 0)
        request.max_tokens = request.max_tokens > 0 ? std::min(request.max_tokens, tokens) : tokens;
}

std::vector<QueuedRequest> requests_of(const SessionFlags& flags, bool reuse,
                                       std::vector<CommandJob> jobs)
{
    std::vector<QueuedRequest> requests;
    for (auto& job : jobs) {
        auto name = name_of_new_worktree(job);
        auto ref = ref_of_new_worktree(job);
        const bool has_new_tree = !job.new_worktree.empty();
        job.request.execution_id = text::new_uuid();
        auto queued = queued_request(std::move(job.request), flags);
        queued.rerun_of = std::move(job.rerun_of);
        queued.created_worktree = std::move(job.created_worktree);
        if (has_new_tree) {
            queued.new_worktree = {std::move(name), std::move(ref), reuse};
            queued.request.worktree.clear();
        }
        requests.push_back(std::move(queued));
    }
    return requests;
}

asio::awaitable<int> resolve(std::vector<QueuedRequest>& requests,
                             std::vector<std::string>& problems,
                             std::shared_ptr<git::Repository> repository)
{
    for (auto& request : requests) {
        if (!request.new_worktree) continue;
        auto resolving = repository->resolve(request.new_worktree->commit);
        const auto commit = co_await std::move(resolving);
        request.new_worktree->commit = commit.id;
        if (!commit.problem.empty()) problems.push_back(commit.problem);
    }
    co_return exit_completed;
}

// Now, because a REF may move before the command starts.
void resolve_commits(const std::filesystem::path& root, std::vector<QueuedRequest>& requests,
                     std::vector<std::string>& problems)
{
    if (std::none_of(requests.begin(), requests.end(),
                     [](const QueuedRequest& request) { return request.new_worktree.has_value(); }))
        return;
    const int code = with_repository(repository_options(root), "run",
                                     [&](std::shared_ptr<git::Repository> repository) {
                                         return resolve(requests, problems, std::move(repository));
                                     });
    if (code != exit_completed) throw Failure(static_cast<ExitCode>(code));
}

// What would only fail later, after the caller has left.
void check(const QueuedRequest& queued, const EngineVariables& variables, bool refuses_secrets,
           std::vector<std::string>& problems)
{
    const auto& request = queued.request;
    for (const auto& name : request.env_refs)
        if (auto problem = variables.problem_of(name); !problem.empty())
            problems.push_back(std::move(problem));
    if (!queued.new_worktree && !std::filesystem::is_directory(request.worktree))
        problems.push_back(
            fmt::format("the worktree '{}' is not a folder", request.worktree.string()));
    if (refuses_secrets && Redactor().finds_secret(request.command))
        problems.emplace_back(
            "the command text contains a secret; pass the name of a variable with --env instead, "
            "and use that variable in the command");
}

void print_submitted(const QueuedRequest& queued, bool as_json)
{
    if (!as_json) return print_result("{}\n", queued.id());
    const auto& request = queued.request;
    print_json(
        {{"execution_id", queued.id()},
         {"state", "queued"},
         {"priority", queued.request.priority},
         {"command", Redactor().redact(request.command)},
         {"worktree", request.worktree.empty() ? boost::json::value(nullptr)
                                               : boost::json::value(request.worktree.string())}});
}

}  // namespace

QueuedRequest queued_request(CommandRequest request, const SessionFlags& flags)
{
    apply_limits(flags, request);
    QueuedRequest queued(std::move(request));
    queued.submitted_at = std::chrono::system_clock::now();
    std::error_code ec;  // a command may have removed it
    queued.directory = std::filesystem::current_path(ec).string();
    return queued;
}

std::vector<std::string> submission_problems(const SessionFlags& flags)
{
    std::vector<std::string> problems;
    const auto refuse = [&problems](bool is_given, const char* option, const char* instead) {
        if (is_given)
            problems.push_back(
                fmt::format("{} cannot be combined with --detach: {}", option, instead));
    };
    refuse(flags.jobs.has_value(), "--jobs",
           "the engine of the queue has the limit; set limits.max_parallel, or run 'autoexec queue "
           "run -j N' first");
    const auto setting = "use the setting of the configuration";
    refuse(flags.total_timeout.has_value(), "--total-timeout", setting);
    refuse(flags.polling_interval.has_value(), "--polling-interval", setting);
    refuse(flags.stop_grace.has_value(), "--stop-grace", setting);
    refuse(flags.max_cost.has_value(), "--max-cost", setting);
    refuse(flags.max_tokens.has_value(), "--max-tokens", setting);
    refuse(flags.external_agent, "--external-agent", "the engine of the queue has its own agent");
    refuse(flags.wait_for_worktree, "--wait", "detached commands wait in any case");
    refuse(flags.fail_on_input, "--fail-on-input", setting);
    refuse(flags.quiet, "--quiet", "no progress is printed in any case");
    return problems;
}

int submit_jobs(const SessionFlags& flags, bool reuse, bool as_json,
                const std::filesystem::path& root, const AutoExecutionConfig& config,
                std::vector<CommandJob> jobs)
{
    require_reader();
    auto requests = requests_of(flags, reuse, std::move(jobs));
    std::vector<std::string> problems;
    const EngineVariables variables(root);
    const auto& executor = config.executor;
    for (const auto& request : requests)
        check(request, variables, executor.secrets_in_command == SecretsInCommand::refuse,
              problems);
    resolve_commits(root, requests, problems);
    if (!problems.empty()) throw Failure(exit_usage, std::move(problems));
    const queue::QueueFolder folder(root);
    for (const auto& request : requests) {
        if (const auto ec = folder.submit(request, executor.durability))
            fail(exit_internal, "cannot write to the queue: {}", ec.message());
        print_submitted(request, as_json);
    }
    ensure_queue_engine(root);
    return exit_completed;
}

}  // namespace autoexec::cli
