#include "protocol/layout.hpp"
#include "records/running.hpp"
#include "text/text.hpp"
#include "workflow/run/run.hpp"

#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

/// How a run waits for its concurrency group before its steps start.
namespace autoexec::workflow {
namespace {

constexpr int max_process_depth = 1000;

std::string waiting_message(const protocol::RunWaiting& waiting)
{
    const auto other = waiting.run_id.empty() ? "another run" : waiting.run_id;
    return waiting.cancels ? fmt::format("Cancels {} of group '{}', and waits for its end", other,
                                         waiting.group)
                           : fmt::format("Waits for {} of group '{}'", other, waiting.group);
}

/// Whether a run is the outer one, or a child run within it.
bool is_part_of(const std::filesystem::path& root, std::string run_id, std::string_view outer)
{
    for (std::size_t depth = 0; !run_id.empty() && depth < max_uses_depth; ++depth) {
        if (run_id == outer) return true;
        std::string ignored;
        const auto run = read_run(root, run_id, ignored);
        run_id = run ? run->parent_run : std::string();
    }
    return false;
}

/// Zero: not known.
std::int64_t parent_of_process(std::int64_t pid)
{
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(") ");  // the name may contain anything
    if (name_end == line.npos) return 0;
    std::istringstream fields(line.substr(name_end + 1));
    std::string state;
    std::int64_t parent = 0;
    fields >> state >> parent;
    return parent;
}

/// Whether the process of the run has started this one, also through runs of other groups.
bool is_started_by(const std::filesystem::path& root, const std::string& run_id)
{
    std::string ignored;
    const auto run = read_run(root, run_id, ignored);
    if (!run || !run->alive) return false;
    auto pid = std::int64_t{::getppid()};
    for (int depth = 0; pid > 1 && depth < max_process_depth; ++depth) {
        if (pid == run->pid) return true;
        pid = parent_of_process(pid);
    }
    return false;
}

/// Whether an agent still works for a run, or a child run of it, whose executor has ended.
bool has_programs(const WorkflowExecutorOptions& options, const std::string& run_id)
{
    const auto works = [&options, &run_id](const records::RunningEntry& entry) {
        const auto& record = entry.record;
        if (entry.alive || !record.workflow_id) return false;
        if (!is_part_of(options.project_root, *record.workflow_id, run_id)) return false;
        error_code ec;
        std::string ignored;
        const auto mailbox = options.handoff->open(record.worktree, ec, ignored);
        return mailbox && mailbox->live_claim() == record.attempt_id;
    };
    return std::ranges::any_of(records::list_running(options.project_root), works);
}

}  // namespace

asio::awaitable<std::string> Run::enter_group(error_code& ec)
{
    const auto& options = context_->options;
    std::string ignored;  // reported when the inputs were made
    const auto group = group_of(inputs_, ignored);
    // A child run is part of its parent run, whose group counts.
    if (group.empty() || !inputs_.parent.run_id.empty()) co_return std::string();
    group_.emplace(options.project_root, group, log_.run_id());
    Notifier::Subscription watch;
    std::string problem;
    while (!group_->acquire(ec)) {
        if (ec)
            problem = fmt::format("The concurrency group '{}' cannot be locked in '{}': {}.",
                                  options.redactor->redact(group),
                                  RunGroup::folder_of(options.project_root).string(), ec.message());
        else if (is_cancel_requested())
            problem = "The workflow was cancelled.";
        else
            problem = wait_for_holder(group);
        if (log_.error()) {
            ec = log_.error();
            problem = log_.error_sentence();
        }
        if (!problem.empty()) break;
        // It may have become free before it was watched.
        const bool is_first = !watch;
        if (is_first) watch = watch_groups();
        if (!is_first || !watch)
            co_await alarm_->wait_until(options.clock->now() + options.look_interval);
    }
    if (problem.empty()) {
        auto waiting = wait_for_programs(group);
        problem = co_await std::move(waiting);
    }
    if (!problem.empty()) group_.reset();
    for (const auto& run_id : cancelled_holders_)  // which may have ended before they read it
        (void)take_run_cancel(options.project_root, run_id);
    begun_ = options.clock->now();
    // A resumption that has not waited has changed nothing.
    const bool has_begun = !resumption_ || group_holder_;
    if (!problem.empty() && !cancelled_ && has_begun)
        (void)end_unstarted(WorkflowStatus::failed, problem);
    co_return problem;
}

Notifier::Subscription Run::watch_groups()
{
    const auto& options = context_->options;
    if (!options.notifier) return nullptr;
    return options.notifier->watch_folder(RunGroup::folder_of(options.project_root),
                                          [weak = weak_from_this(), strand = context_->strand] {
                                              asio::post(strand, [weak] {
                                                  if (const auto run = weak.lock())
                                                      run->alarm_->wake();
                                              });
                                          });
}

bool Run::is_cancel_requested()
{
    cancelled_ = requested_ != asio::cancellation_type::none ||
                 take_run_cancel(context_->options.project_root, log_.run_id());
    return cancelled_;
}

/// A sentence if it cannot wait for the run that has the group.
std::string Run::wait_for_holder(std::string_view group)
{
    const auto& options = context_->options;
    const auto& redactor = *options.redactor;
    auto holder = group_->holder();
    // From before it was killed: the run that is first in the queue has not taken the group yet.
    if (holder == log_.run_id()) holder.clear();
    const bool is_new = !holder.empty() && group_holder_ != holder;
    if (is_new && (is_part_of(options.project_root, options.parent_run, holder) ||
                   is_started_by(options.project_root, holder)))
        return fmt::format(
            "A step of the run {} has started this run, which is of the same concurrency group "
            "'{}': it would wait for its own end.",
            holder, redactor.redact(group));
    const bool cancels = inputs_.workflow.concurrency.cancel_running;
    if (cancels && !holder.empty() && !cancelled_holders_.contains(holder) &&
        !ask_to_cancel_run(options.project_root, holder))
        cancelled_holders_.insert(holder);
    // Not known for a moment, when the group changes hands.
    if (!group_holder_ || !holder.empty()) announce_wait(group, holder, cancels);
    return {};
}

void Run::announce_wait(std::string_view group, const std::string& holder, bool cancels)
{
    if (group_holder_ == holder) return;
    group_holder_ = holder;
    const protocol::RunWaiting waiting{context_->options.redactor->redact(group), holder, cancels,
                                       ::getpid()};
    log_.record(waiting);
    log_.notify(WorkflowEvent::Type::run_waiting, waiting_message(waiting));
}

/// Until the programs of the run have ended that had the group and was killed: they get some time
/// to stop. A resumption adopts its own.
asio::awaitable<std::string> Run::wait_for_programs(std::string_view group)
{
    const auto& options = context_->options;
    const auto killed = group_->killed_holder();
    if (killed.empty() || killed == log_.run_id()) co_return std::string();
    while (has_programs(options, killed)) {
        if (is_cancel_requested()) co_return "The workflow was cancelled.";
        announce_wait(group, killed, false);
        co_await alarm_->wait_until(options.clock->now() + options.look_interval);
    }
    co_return std::string();
}

/// The result of a run that has started no step, also not in its resumption.
WorkflowResult Run::end_unstarted(WorkflowStatus status, std::string error)
{
    WorkflowResult result;
    result.run_id = log_.run_id();
    result.workflow_id = inputs_.workflow.id;
    result.status = status;
    result.error = std::move(error);
    log_.record(protocol::RunEnded{result.status, result.error});
    notify_end(result);
    return result;
}

}  // namespace autoexec::workflow
