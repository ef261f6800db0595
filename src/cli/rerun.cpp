#include "cli/batch_run.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/find_execution.hpp"
#include "cli/subcommand.hpp"
#include "queue/queue_folder.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "redaction/stages.hpp"
#include "text/json_fields.hpp"
#include "workflow/journal/journal.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

struct RerunOptions : BatchOptions {
    std::string execution;
    bool continues = false;
};

/// An ended execution, with what the records have of it.
struct EarlierExecution {
    std::string id;
    std::optional<protocol::QueuedRequest> request;  ///< Absent: it was not kept.
    std::vector<ExecutionMetric> attempts;           ///< Newest first.
    std::string session;                             ///< Of the result.
    std::string error;
};

void require_end(const std::filesystem::path& root, const queue::QueueFolder& folder,
                 const std::string& id)
{
    const auto state = folder.state_of(id);
    const auto live = records::list_executions(root);
    const bool is_running =
        std::ranges::any_of(live, [&id](const auto& record) { return record.execution_id == id; });
    if (is_running || state == queue::RequestState::waiting ||
        state == queue::RequestState::started)
        fail(exit_usage, "{} has not ended; to end it: autoexec cancel {}", short_id(id),
             short_id(id));
}

EarlierExecution find_earlier(const std::filesystem::path& root, const std::string& wanted)
{
    EarlierExecution earlier;
    earlier.id = find_execution(root, wanted);
    const queue::QueueFolder folder(root);
    require_end(root, folder, earlier.id);
    earlier.attempts = attempts_of(root, earlier.id);
    std::string ignored;
    if (const auto ended = folder.result(earlier.id, ignored)) {
        earlier.request = protocol::request_in(*ended, ignored);
        std::vector<std::string> complaints;
        const text::Fields result(&ended->result, complaints);
        earlier.session = result.string("session").value_or("");
        earlier.error = result.string("error").value_or("");
    }
    if (!earlier.request)
        if (const auto kept = folder.kept(earlier.id)) earlier.request = *kept;
    return earlier;
}

CommandJob job_of_request(protocol::QueuedRequest queued)
{
    CommandJob job(std::move(queued.request));
    job.created_worktree = std::move(queued.created_worktree);
    if (const auto& tree = queued.new_worktree) job.new_worktree = tree->name + "@" + tree->commit;
    return job;
}

CommandJob job_of_history(const EarlierExecution& earlier)
{
    if (earlier.attempts.empty())
        fail(exit_usage, "the command of {} is not recorded", short_id(earlier.id));
    const auto& last = earlier.attempts.front();
    if (last.command.find(redaction::redaction_marker) != std::string::npos)
        fail(exit_usage,
             "the command of {} contains a secret, which is not recorded: run it with autoexec run",
             short_id(earlier.id));
    print_message(
        "Only the text of this command, its agent and its worktree are still recorded, not its "
        "options, such as --expect, --env and --timeout.\n");
    CommandRequest request(last.command, last.worktree);
    request.agent = last.agent;
    request.workflow_id = last.workflow_id;
    request.step_id = last.step_id;
    return CommandJob(std::move(request));
}

// The run would not know of it.
void refuse_step(const std::filesystem::path& root, const CommandRequest& request)
{
    if (!request.workflow_id) return;
    const auto runs = workflow::list_runs(root);
    if (std::ranges::find(runs, *request.workflow_id) == runs.end()) return;
    const std::vector<std::string> words{"autoexec", "workflow",
                                         "resume",   *request.workflow_id,
                                         "--from",   request.step_id.value_or("")};
    fail(exit_usage, "it is a step of a workflow; to run that again: {}", text::quote_words(words));
}

const AgentDefinition* definition_of(const AgentsFile& file, const std::string& name)
{
    const auto found = std::ranges::find(file.agents, name, &AgentDefinition::name);
    return found == file.agents.end() ? nullptr : &*found;
}

ResumedSession session_to_continue(const std::filesystem::path& root,
                                   const EarlierExecution& earlier, const std::string& agent)
{
    auto session = records::session_of(earlier.attempts);
    if (!session && !earlier.session.empty())
        session = ResumedSession{earlier.session, earlier.error, {}};
    if (!session)
        fail(exit_usage, "no session of the program of {} is recorded", short_id(earlier.id));
    const Agents agents(root, false, true);
    const auto* const definition = definition_of(agents.loaded().file, agent);
    if (definition == nullptr || !definition->retry_in_session)
        fail(exit_usage,
             "agent '{}' does not continue sessions: it needs 'retry_in: session' in the agents "
             "file",
             agent);
    return *std::move(session);
}

int rerun(const RerunOptions& options)
{
    const auto root = project_root(options);
    const auto earlier = find_earlier(root, options.execution);
    auto job = earlier.request ? job_of_request(*earlier.request) : job_of_history(earlier);
    refuse_step(root, job.request);
    job.request.execution_id.clear();
    job.request.resumed_session.reset();
    job.rerun_of = earlier.id;
    if (options.continues)
        job.request.resumed_session = session_to_continue(root, earlier, job.request.agent);
    std::vector<CommandJob> jobs;
    jobs.push_back(std::move(job));
    return run_jobs(options, std::move(jobs));
}

constexpr char rerun_footer[] = R"(
Examples:
  autoexec rerun 1f3c                # the same command in the same worktree
  autoexec rerun 1f3c --continue     # in the session of its agent

Exit codes: as for autoexec run; 2 also if it cannot be repeated.
)";

void define_rerun(CLI::App& app, RerunOptions& o)
{
    app.footer(rerun_footer);
    add_common(app, o);
    add_execution(app, o.execution);
    app.add_flag("--continue", o.continues,
                 "Continue the session of the agent's program, if it can");
    app.add_flag("--detach", o.detach, "Put the command into the queue, and return");
    app.add_flag("--show-output", o.show_output, "Print the last lines of its output");
}

}  // namespace

extern const Subcommand rerun_subcommand =
    subcommand("rerun", "Run an ended command again", define_rerun, rerun);

}  // namespace autoexec::cli
