#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "queue/queue_folder.hpp"
#include "records/running.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

using queue::QueueFolder;
using queue::RequestState;

struct CancelOptions : CommonOptions {
    std::string execution;
    bool all = false;
    bool no_wait = false;
};

/// An execution that is to end.
struct Cancellation {
    std::string execution_id;
    std::string attempt_id;  ///< The last one. Empty: there was none.
};

protocol::RunningRecord find_live(const std::filesystem::path& root, const std::string& wanted)
{
    error_code problem;
    auto found = records::list_executions(root, &problem);
    if (problem) fail(exit_internal, "{}", records::unreadable_sentence(root, problem));
    std::erase_if(found, [&](const auto& record) {
        return !is_called(record.execution_id, wanted) && !is_called(record.attempt_id, wanted);
    });
    if (found.size() != 1)
        fail(exit_usage, "{}; see autoexec status", unmatched(wanted, !found.empty()));
    return std::move(found.front());
}

Cancellation cancel_running(const std::filesystem::path& root,
                            const protocol::RunningRecord& record)
{
    if (const auto ec = records::request_cancel(root, record.attempt_id))
        fail(exit_internal, "cannot write the request: {}", ec.message());
    return {record.execution_id, record.attempt_id};
}

Cancellation cancel_started(const QueueFolder& folder, const std::string& id)
{
    if (const auto ec = folder.request_cancel(id))
        fail(exit_internal, "cannot write the request: {}", ec.message());
    return {id, {}};
}

/// The request in the queue that is called so, if no attempt of it runs; empty: there is none.
std::string find_queued(const std::filesystem::path& root, QueueFolder& folder,
                        const std::string& wanted)
{
    std::vector<std::string> found;
    for (const auto& requests : {folder.list_waiting(), folder.list_started()})
        for (const auto& request : requests)
            if (is_called(request->id(), wanted)) found.push_back(request->id());
    if (found.size() > 1) fail(exit_usage, "{}; see autoexec status", unmatched(wanted, true));
    if (found.empty()) return {};
    for (const auto& entry : records::list_running(root))
        if (entry.alive && entry.record.execution_id == found.front()) return {};
    return found.front();
}

std::vector<Cancellation> cancel_one(const std::filesystem::path& root, QueueFolder& folder,
                                     const std::string& wanted)
{
    const auto queued = find_queued(root, folder, wanted);
    if (queued.empty()) return {cancel_running(root, find_live(root, wanted))};
    if (folder.cancel_waiting(queued)) return {{queued, {}}};
    return {cancel_started(folder, queued)};
}

// The waiting ones first, so that none of them starts in the place of one that runs.
std::vector<Cancellation> cancel_all(const std::filesystem::path& root, QueueFolder& folder)
{
    std::vector<Cancellation> all;
    for (const auto& request : folder.list_waiting())
        if (folder.cancel_waiting(request->id())) all.push_back({request->id(), {}});
    for (const auto& request : folder.list_started())
        if (folder.state_of(request->id()) == RequestState::started)
            all.push_back(cancel_started(folder, request->id()));
    error_code problem;
    const auto live = records::list_executions(root, &problem);
    if (problem) fail(exit_internal, "{}", records::unreadable_sentence(root, problem));
    for (const auto& record : live) {
        const bool is_queued = std::any_of(all.begin(), all.end(), [&](const auto& one) {
            return one.execution_id == record.execution_id;
        });
        if (!is_queued) all.push_back(cancel_running(root, record));
    }
    return all;
}

// An executor of an earlier version does not look for the requests of an attempt that has ended.
bool has_ended(const std::filesystem::path& root, const QueueFolder& folder, Cancellation& one)
{
    if (!one.attempt_id.empty()) {
        const auto live = records::list_executions(root);
        const auto found =
            std::ranges::find(live, one.execution_id, &protocol::RunningRecord::execution_id);
        if (found != live.end() && found->attempt_id != one.attempt_id)
            one = cancel_running(root, *found);
        return found == live.end();
    }
    const auto state = folder.state_of(one.execution_id);
    return state == RequestState::ended || state == RequestState::absent;
}

int cancel(const CancelOptions& options)
{
    if (options.all != options.execution.empty())
        fail(exit_usage, "give the id of an execution, or --all");
    const auto root = project_root(options);
    QueueFolder folder(root);
    auto all = options.all ? cancel_all(root, folder) : cancel_one(root, folder, options.execution);
    if (all.empty()) print_message("No commands are running or queued.\n");
    for (auto& one : all) {
        if (!options.no_wait)
            wait_for_end("execution", [&] { return has_ended(root, folder, one); });
        if (options.json)
            print_json({{"execution_id", one.execution_id},
                        {"status", options.no_wait ? "requested" : "ended"}});
        else
            print_result("{} {}\n", short_id(one.execution_id),
                         options.no_wait ? "was asked to end" : "has ended");
    }
    return exit_completed;
}

void define_cancel(CLI::App& app, CancelOptions& o)
{
    add_common(app, o);
    add_execution(app, o.execution)->required(false);
    app.add_flag("--all", o.all, "Cancel all running and queued commands, also steps of workflows");
    app.add_flag("--no-wait", o.no_wait, "Do not wait until the execution has ended");
}

}  // namespace

extern const Subcommand cancel_subcommand =
    subcommand("cancel", "Cancel a running or queued command", define_cancel, cancel);

}  // namespace autoexec::cli
