#include "workflow/run/resume_journal.hpp"

#include "records/running.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace autoexec::workflow {
namespace {

constexpr std::string_view redacted = "***REDACTED***";

bool is_hidden(const boost::json::value& value)
{
    return value.is_string() && value.get_string().find(redacted) != boost::json::string::npos;
}

// Readers hold its lock for microseconds.
asio::awaitable<std::optional<Journal>> take_journal(const RunContext& context, std::string run_id,
                                                     error_code& ec)
{
    constexpr int max_tries = 250;
    constexpr std::chrono::milliseconds interval{1};
    const auto& options = context.options;
    const auto timer = options.clock->make_timer(context.strand);
    for (int tries = 0; tries < max_tries; ++tries) {
        auto journal = Journal::take_over(options.project_root, run_id, options.durability, ec);
        if (ec != boost::system::errc::resource_unavailable_try_again) co_return journal;
        co_await timer->wait_until(options.clock->now() + interval);
    }
    ec = errc::worktree_busy;
    co_return std::nullopt;
}

// Git processes that the earlier executor had started outlive it.
asio::awaitable<bool> wait_until_settled(const RunContext& context, const Journal& journal)
{
    constexpr std::chrono::milliseconds interval{20};
    constexpr std::chrono::seconds time_limit{75};  // more than their own
    auto& clock = *context.options.clock;
    const auto timer = clock.make_timer(context.strand);
    const auto deadline = clock.now() + time_limit;
    while (!journal.is_settled()) {
        if (clock.now() >= deadline) co_return false;
        co_await timer->wait_until(clock.now() + interval);
    }
    co_return true;
}

/// Why the run cannot be resumed with this workflow; empty: it can.
std::string refusal(const std::optional<RunRecord>& record, const Resumption& resumption,
                    const Workflow& workflow)
{
    const auto& run_id = resumption.run_id;
    if (!record || record->transitions.empty())
        return fmt::format("The journal of '{}' has no transitions.", run_id);
    if (record->workflow_id != workflow.id)
        return fmt::format("The run '{}' is of the workflow '{}', not of '{}'.", run_id,
                           record->workflow_id, workflow.id);
    if (!resumption.what.accept_changed && !record->hash.empty() && record->hash != workflow.hash)
        return fmt::format(
            "The workflow '{}' has changed since the run started. To resume with the new "
            "version: --accept-changed.",
            workflow.path);
    return {};
}

}  // namespace

asio::awaitable<ReopenedJournal> reopen_journal(const RunContext& context,
                                                const Resumption& resumption,
                                                const Workflow& workflow, error_code& ec)
{
    const auto& root = context.options.project_root;
    const auto& run_id = resumption.run_id;
    ReopenedJournal opened;
    auto record = read_run(root, run_id, opened.problem);
    if (!record) co_return opened;
    // Without those records, a step that is still in flight would be started again.
    (void)records::list_running(root, ec);
    if (ec) {
        opened.problem = records::unreadable_sentence(root, ec);
        co_return opened;
    }
    auto taking = take_journal(context, run_id, ec);
    opened.journal = co_await std::move(taking);
    if (!opened.journal && ec == errc::worktree_busy) {
        ec = {};
        opened.problem =
            fmt::format("The run '{}' is already running: its executor is alive.", run_id);
    } else if (!opened.journal) {
        opened.problem =
            fmt::format("The journal of '{}' cannot be taken over: {}.", run_id, ec.message());
    }
    if (!opened.problem.empty()) co_return opened;
    auto settling = wait_until_settled(context, *opened.journal);
    if (!co_await std::move(settling)) {
        opened.problem = fmt::format(
            "A git process of the earlier executor of '{}' is still running. Resume the run when "
            "it has ended.",
            run_id);
        co_return opened;
    }
    record = read_run(root, run_id, opened.problem);  // again: nothing else writes it now
    opened.problem = refusal(record, resumption, workflow);
    if (!opened.problem.empty()) co_return opened;
    (void)take_run_cancel(root, run_id);  // meant for the earlier executor
    opened.entries = std::move(record->transitions);
    std::set<std::string> hashes{workflow.hash};
    for (const auto& entry : opened.entries) {
        const auto* const start = std::get_if<protocol::RunStarted>(&entry.transition);
        if (start == nullptr) continue;
        opened.start = start;
        hashes.insert(start->hash);
    }
    opened.has_changed = hashes.size() > 1;
    if (opened.start == nullptr)
        opened.problem =
            fmt::format("The journal of '{}' does not record the start of the run.", run_id);
    co_return opened;
}

std::string restore_options(const protocol::RunStarted& start, const Workflow& workflow,
                            WorkflowRunOptions& options)
{
    if (!start.worktrees)
        return fmt::format("The journal of '{}' does not record the worktree mode.", start.run_id);
    options.worktrees = *start.worktrees;
    options.worktree = start.worktree;
    options.base = start.base.empty() ? "HEAD" : start.base;
    if (options.merge_into.empty()) options.merge_into = start.merge_into;
    std::string problems;
    for (const auto& [name, value] : start.params) {
        if (options.params.contains(name)) continue;
        if (is_hidden(value))
            problems += fmt::format(
                "The parameter '{}' contains a secret, which is not stored: give it "
                "again.\n",
                std::string_view(name));
        else if (workflow.params.contains(name) || name == "prompt")
            options.params[name] = value;
    }
    return problems;
}

}  // namespace autoexec::workflow
