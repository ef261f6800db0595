#include "cli/session/followed_project.hpp"

#include "autoexec/config.hpp"
#include "cli/cli.hpp"
#include "cli/session/output.hpp"

#include <csignal>
#include <utility>
#include <vector>

namespace autoexec::cli {
namespace {

WatchedProjectOptions options_for(const std::filesystem::path& root)
{
    const auto config = AutoExecutionConfigManager({}, root).load(false);
    WatchedProjectOptions options;
    options.project_root = root;
    options.status_file_name = config.executor.status_file_name;
    options.max_runs = 0;
    if (config.executor.file_events == FileEvents::off) options.notifier = null_notifier();
    return options;
}

template <class Entry>
void apply_to(std::map<std::string, Entry>& entries, std::vector<Entry> changed,
              const std::vector<std::string>& gone, bool is_snapshot)
{
    if (is_snapshot) entries.clear();
    for (const auto& key : gone) entries.erase(key);
    for (auto& entry : changed) {
        auto key = entry.key();
        entries.insert_or_assign(std::move(key), std::move(entry));
    }
}

}  // namespace

FollowedProject::FollowedProject(const std::filesystem::path& root)
    : project_(ctx_, options_for(root))
{
    while (seen_.epoch == 0) wait(std::chrono::hours{1});
    if (!problem_.empty()) fail(exit_internal, "{}", problem_);
}

void FollowedProject::catch_interrupt()
{
    signals_.add(SIGINT);
    signals_.async_wait([this](error_code ec, int) {
        if (ec) return;
        interrupted_ = true;
        ctx_.stop();
    });
}

void FollowedProject::wait(std::chrono::milliseconds limit)
{
    if (interrupted_) return;
    if (!waits_) start_waiting();
    limit_.expires_after(limit);
    limit_.async_wait([this](error_code ec) {
        if (!ec) ctx_.stop();
    });
    ctx_.restart();
    ctx_.run();
}

void FollowedProject::start_waiting()
{
    waits_ = true;
    project_.async_wait_change(seen_, [this](error_code ec, ProjectChanges changes) {
        waits_ = false;
        if (ec) throw system_error(ec);
        apply(std::move(changes));
        ctx_.stop();
    });
}

void FollowedProject::apply(ProjectChanges changes)
{
    seen_ = changes.position;
    auto& changed = changes.changed;
    apply_to(executions_, std::move(changed.executions), changes.ended_executions,
             changes.is_snapshot);
    by_id_.clear();
    for (const auto& [key, entry] : executions_) {
        auto& known = by_id_[entry.execution_id];
        if (known == nullptr || known->state == ExecutionState::interrupted) known = &entry;
    }
    apply_to(runs_, std::move(changed.runs), changes.removed_runs, changes.is_snapshot);
    pauses_ = std::move(changed.pauses);
    problem_ = std::move(changed.executions_problem);
}

void FollowedProject::report_pauses()
{
    if (pauses_ == reported_pauses_) return;
    reported_pauses_ = pauses_;
    for (const auto& pause : pauses_) print_message("Paused: {}\n", pause.reason);
    if (pauses_.empty()) print_message("Starts are resumed\n");
}

const ExecutionEntry* FollowedProject::find(std::string_view execution_id) const
{
    const auto found = by_id_.find(execution_id);
    return found == by_id_.end() ? nullptr : found->second;
}

}  // namespace autoexec::cli
