#include "view/executions.hpp"

#include "handoff/file_handoff.hpp"
#include "protocol/control_files.hpp"
#include "records/locked_file.hpp"
#include "records/running_folder.hpp"
#include "view/output_file.hpp"
#include "view/stamps.hpp"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <utility>

namespace autoexec::view {
namespace {

ExecutionState state_of(const protocol::RunningRecord& record, bool alive,
                        const std::optional<AgentStatus>& status)
{
    if (!alive) return ExecutionState::interrupted;
    if (record.waiting_for) return ExecutionState::needs_input;
    if (!status || status->status == ReportedStatus::pending) return ExecutionState::waiting;
    return status->is_final() ? ExecutionState::ending : ExecutionState::running;
}

Progress redacted(Progress progress, LazyRedactor& redactor)
{
    progress.current_step = redactor.redact(progress.current_step);
    progress.message = redactor.redact(progress.message);
    return progress;
}

std::set<std::string> record_names_in(int folder)
{
    std::set<std::string> names;
    for (auto& name : files::list_folder(folder, records::max_listed_records))
        if (records::is_record_name(name) || records::is_retry_name(name))
            names.insert(std::move(name));
    return names;
}

}  // namespace

StatusFiles::StatusFiles(const std::string& worktree, const std::string& name)
    : root_{worktree + '/' + name},
      cursor_folder_{worktree + '/' + control_files::cursor_folder},
      below_cursor_{cursor_folder_.path + '/' + name}
{}

bool StatusFiles::must_read()
{
    bool must = false;
    for (auto* const file : {&root_, &cursor_folder_, &below_cursor_}) {
        const auto stamp = stamp_at(AT_FDCWD, file->path);
        if (file->check.must_read(stamp, ReadCheck::clock::now())) must = true;
        // Most worktrees have none.
        if (file == &cursor_folder_ && stamp == FileStamp{}) break;
    }
    return must;
}

void AttemptFiles::refresh(int folder, const std::string& name, const std::string& status_name,
                           bool alive)
{
    const auto stamp = stamp_at(folder, name);
    // It has just been removed, or moved to another folder: the next listing shows it.
    if (stamp == FileStamp{}) return;
    if (check_.must_read(stamp, ReadCheck::clock::now())) read_record(folder, name, status_name);
    if (std::exchange(alive_, alive) != alive) entry_.reset();
    if (!record_ || !alive || awaits_retry_ || !status_files_->must_read()) return;
    status_ = handoff::find_status(record_->worktree, status_name);
    if (status_ && status_->attempt_id != record_->attempt_id) status_.reset();
    entry_.reset();
}

void AttemptFiles::read_record(int folder, const std::string& name, const std::string& status_name)
{
    const auto file = files::read_regular(folder, name, protocol::running_limit, {});
    auto record = protocol::parse_running(file.text);
    entry_.reset();
    awaits_retry_ = record && records::retry_name(record->attempt_id) == name;
    if (!awaits_retry_ && !records::flaw_of(name, record).empty()) {
        record_.reset();
        return;
    }
    record->artifacts.clear();
    record->taken_prompts.clear();
    if (!record_ || record_->worktree != record->worktree) {
        status_.reset();
        status_files_.emplace(record->worktree, status_name);
    }
    record_ = std::move(record);
}

std::shared_ptr<const ExecutionEntry> AttemptFiles::entry(const std::filesystem::path& project_root,
                                                          const std::string& other_host,
                                                          LazyRedactor& redactor)
{
    if (awaits_retry_ && !alive_) return nullptr;
    if (record_ && (!entry_ || entry_->other_host != other_host)) {
        auto entry = make_entry(other_host, redactor);
        if (!entry.attempt_id.empty()) entry.output = output_file(project_root, entry.attempt_id);
        entry_ = std::make_shared<const ExecutionEntry>(std::move(entry));
    }
    return entry_;
}

ExecutionEntry AttemptFiles::make_entry(const std::string& other_host, LazyRedactor& redactor) const
{
    ExecutionEntry entry;
    entry.ids() = record_->ids();
    entry.command = record_->command;
    entry.worktree = record_->worktree;
    entry.agent = record_->agent;
    if (awaits_retry_) {
        entry.state = ExecutionState::starting;
        entry.attempt_id.clear();
        return entry;
    }
    entry.state = state_of(*record_, alive_, status_);
    entry.started_at = record_->started_at;
    entry.pid = record_->pid;
    entry.other_host = other_host;
    if (!alive_) return entry;
    entry.waiting_for = record_->waiting_for;
    if (!status_) return entry;
    entry.reported = status_->status;
    entry.usage = status_->usage;
    if (status_->progress) entry.progress = redacted(*status_->progress, redactor);
    return entry;
}

Executions::Executions(std::filesystem::path project_root, std::string status_name,
                       LazyRedactor& redactor)
    : project_root_(std::move(project_root)),
      status_name_(std::move(status_name)),
      redactor_(redactor)
{}

EntryList<ExecutionEntry> Executions::refresh(error_code& problem)
{
    const auto running = records::open_running(project_root_, &problem);
    if (!running) {
        executors_.clear();
        unshared_.clear();
        return {};
    }
    // A record that an executor adopts moves to another folder, and may be found in neither.
    if (find_records(running.get())) (void)find_records(running.get());
    Lists lists;
    add_records_of_executors(lists);
    add_unshared_records(running.get(), lists);
    auto& entries = lists.alive;
    entries.insert(entries.end(), lists.interrupted.begin(), lists.interrupted.end());
    return std::move(entries);
}

// True if a record has gone.
bool Executions::find_records(int running)
{
    std::set<std::string> ids;
    for (auto& name : files::list_folder(running, records::max_listed_records))
        if (records::is_executor_name(name)) ids.insert(std::move(name));
    bool gone = keep_only(executors_, ids);
    for (auto& [id, executor] : executors_) {
        error_code ec;
        executor.folder =
            files::open_beneath(running, id, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!executor.folder) {
            gone = gone || !executor.attempts.empty();
            executor = Executor();
            continue;
        }
        const int folder = executor.folder.get();
        if (executor.check.must_read(stamp_of_open(folder), ReadCheck::clock::now()))
            gone = keep_only(executor.attempts, record_names_in(folder)) || gone;
    }
    return gone;
}

void Executions::Lists::add(std::shared_ptr<const ExecutionEntry> entry)
{
    if (!entry) return;
    const bool is_interrupted = entry->state == ExecutionState::interrupted;
    (is_interrupted ? interrupted : alive).push_back(std::move(entry));
}

void Executions::add_records_of_executors(Lists& lists)
{
    error_code problem;
    const auto engines = records::open_engines(project_root_, &problem);
    for (auto& [id, executor] : executors_) {
        if (!executor.folder) continue;
        executor.life.probe(engines, !problem, id);
        for (auto& [name, attempt] : executor.attempts) {
            attempt.refresh(executor.folder.get(), name, status_name_, executor.life.alive());
            lists.add(attempt.entry(project_root_, executor.life.other_host(), redactor_));
        }
        executor.folder = files::UniqueFd();
    }
}

// Each is locked by itself. There are few.
void Executions::add_unshared_records(int running, Lists& lists)
{
    std::set<std::string> names;
    records::for_each_locked(running, protocol::running_limit,
                             [&](const std::string& name, const FoundFile&, bool alive) {
                                 names.insert(name);
                                 auto& attempt = unshared_[name];
                                 attempt.refresh(running, name, status_name_, alive);
                                 lists.add(attempt.entry(project_root_, {}, redactor_));
                             });
    (void)keep_only(unshared_, names);
}

}  // namespace autoexec::view
