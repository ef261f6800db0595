#include "view/executions.hpp"

#include "handoff/file_handoff.hpp"
#include "protocol/control_files.hpp"
#include "records/locked_file.hpp"
#include "records/running_folder.hpp"
#include "view/output_file.hpp"
#include "view/stamps.hpp"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace autoexec::view {
namespace {

constexpr int attempts_of_step = 16;

Progress redacted(Progress progress, LazyRedactor& redactor)
{
    progress.current_step = redactor.redact(progress.current_step);
    progress.message = redactor.redact(progress.message);
    return progress;
}

bool is_name_of_attempt(const std::string& name)
{
    return records::is_record_name(name) || records::is_retry_name(name);
}

std::set<std::string> record_names_in(int folder)
{
    std::set<std::string> names;
    for (auto& name : files::list_folder(folder, records::max_listed_records))
        if (is_name_of_attempt(name)) names.insert(std::move(name));
    return names;
}

// Null: the file is no valid record.
std::shared_ptr<ExecutionEntry> read_record(const AttemptReader& reader, int folder,
                                            const std::string& name)
{
    const auto file = files::read_regular(folder, name, protocol::running_limit, {});
    auto record = protocol::parse_running(file.text);
    const bool awaits_retry = record && records::retry_name(record->attempt_id) == name;
    if (!awaits_retry && !records::flaw_of(name, record).empty()) return nullptr;
    auto entry = std::make_shared<ExecutionEntry>();
    entry->ids() = record->ids();
    entry->command = std::move(record->command);
    entry->worktree = std::move(record->worktree);
    entry->agent = std::move(record->agent);
    if (awaits_retry) {
        entry->state = ExecutionState::starting;
        entry->attempt_id.clear();
        return entry;
    }
    entry->started_at = record->started_at;
    entry->pid = record->pid;
    entry->waiting_for = std::move(record->waiting_for);
    entry->output = output_file(reader.project_root, entry->attempt_id);
    return entry;
}

// Its attempt has ended, and another one follows.
bool is_between_attempts(const ExecutionEntry& entry)
{
    return entry.attempt_id.empty();
}

ExecutionState state_of(const ExecutionEntry& entry)
{
    if (entry.waiting_for) return ExecutionState::needs_input;
    if (!entry.reported || *entry.reported == ReportedStatus::pending)
        return ExecutionState::waiting;
    const bool is_final = *entry.reported != ReportedStatus::running;
    return is_final ? ExecutionState::ending : ExecutionState::running;
}

// What its agent has reported of this attempt.
void read_status(const AttemptReader& reader, ExecutionEntry& entry)
{
    entry.reported.reset();
    entry.progress.reset();
    entry.usage.reset();
    const auto status = handoff::find_status(entry.worktree, reader.status_name);
    if (!status || status->attempt_id != entry.attempt_id) return;
    entry.reported = status->status;
    entry.usage = status->usage;
    if (status->progress) entry.progress = redacted(*status->progress, reader.redactor);
}

}  // namespace

AttemptFiles::Change AttemptFiles::refresh(const AttemptReader& reader, int folder,
                                           const std::string& name, bool alive,
                                           const std::string& other_host)
{
    const auto stamp = stamp_at(folder, name);
    if (stamp == FileStamp{}) return Change::gone;
    const bool was_valid = entry_ != nullptr;
    if (alive_ != alive) *this = AttemptFiles();
    alive_ = alive;
    const bool is_new = record_check_.must_read(stamp, ReadCheck::clock::now());
    std::shared_ptr<ExecutionEntry> now;
    if (is_new) {
        now = read_record(reader, folder, name);
        if (now && is_between_attempts(*now) && !alive) now = nullptr;
        entry_ = now;
        if (!now) return was_valid ? Change::changed : Change::none;
    }
    if (!entry_) return Change::none;
    if (is_between_attempts(*entry_)) return is_new ? Change::changed : Change::none;
    const bool has_status = alive && has_new_status(reader);
    if (!is_new && !has_status && entry_->other_host == other_host) return Change::none;
    if (!now) now = std::make_shared<ExecutionEntry>(*entry_);
    now->other_host = other_host;
    if (alive) {
        if (is_new || has_status) read_status(reader, *now);
        now->state = state_of(*now);
    } else {
        now->state = ExecutionState::interrupted;
        now->waiting_for.reset();
    }
    entry_ = std::move(now);
    return Change::changed;
}

bool AttemptFiles::has_new_status(const AttemptReader& reader)
{
    const auto now = [] { return ReadCheck::clock::now(); };
    const auto cursor_folder = entry_->worktree.native() + '/' + control_files::cursor_folder;
    const auto root = stamp_at(AT_FDCWD, entry_->worktree.native() + '/' + reader.status_name);
    bool is_new = root_check_.must_read(root, now());
    const auto cursor = stamp_at(AT_FDCWD, cursor_folder);
    is_new = cursor_folder_check_.must_read(cursor, now()) || is_new;
    if (cursor == FileStamp{}) return is_new;  // most worktrees have none
    const auto below = stamp_at(AT_FDCWD, cursor_folder + '/' + reader.status_name);
    return below_cursor_check_.must_read(below, now()) || is_new;
}

Executions::Executions(AttemptReader reader, ExecutorLives& lives)
    : reader_(std::move(reader)), lives_(lives)
{}

void Executions::begin_sweep()
{
    executor_.clear();
    name_.clear();
    missing_.clear();
    list_executors();
}

bool Executions::step()
{
    switch (phase_) {
        case Phase::listing:
        case Phase::listing_again:
            if (list_next()) break;
            // A record that an executor adopts moves to another folder, and may be found in
            // neither.
            if (phase_ == Phase::listing && !missing_.empty()) {
                phase_ = Phase::listing_again;
                executor_.clear();
                break;
            }
            look_at_missing();
            phase_ = Phase::attempts;
            executor_.clear();
            break;
        case Phase::attempts:
            if (!look_at_next()) phase_ = Phase::unshared;
            break;
        case Phase::unshared:
            look_at_unshared();
            phase_ = Phase::done;
            break;
        case Phase::done:
            break;
    }
    return phase_ != Phase::done;
}

void Executions::list_executors()
{
    phase_ = Phase::done;
    const auto running = records::open_running(reader_.project_root, &problem_);
    std::set<std::string> ids;
    if (running) {
        phase_ = Phase::listing;
        for (auto& name : files::list_folder(running.get(), records::max_listed_records))
            if (records::is_executor_name(name)) ids.insert(std::move(name));
    } else {
        for (const auto& [name, attempt] : std::exchange(unshared_, {})) changed_.insert(name);
    }
    for (const auto& [id, executor] : executors_)
        if (!ids.contains(id))
            for (const auto& [name, attempt] : executor.attempts) missing_.insert(name);
    (void)keep_only(executors_, ids);
    lives_.refresh(ids);
    if (!running) look_at_missing();
}

// False: all have been listed.
bool Executions::list_next()
{
    const auto next = executors_.upper_bound(executor_);
    if (next == executors_.end()) return false;
    executor_ = next->first;
    list_records(open(next->first).get(), next->second);
    return true;
}

// `folder` is negative: there is none.
void Executions::list_records(int folder, Executor& executor)
{
    if (folder >= 0 && !executor.check.must_read(stamp_of_open(folder), ReadCheck::clock::now()))
        return;
    const auto names = folder < 0 ? std::set<std::string>() : record_names_in(folder);
    for (const auto& [name, attempt] : executor.attempts)
        if (!names.contains(name)) missing_.insert(name);
    (void)keep_only(executor.attempts, names);
    if (folder < 0) executor.check = {};
}

void Executions::look_at_missing()
{
    for (const auto& name : std::exchange(missing_, {})) {
        changed_.insert(name);
        look_at(name);
    }
}

// The next attempts of the sweep. False: there are none.
bool Executions::look_at_next()
{
    const auto at = executors_.lower_bound(executor_);
    if (at == executors_.end()) return false;
    auto& [id, executor] = *at;
    if (id != executor_) name_.clear();
    executor_ = id;
    const auto folder = open(id);
    for (int count = 0; count < attempts_of_step; ++count) {
        const auto next = executor.attempts.upper_bound(name_);
        if (next == executor.attempts.end()) {
            executor_ += '\0';  // the least id after it
            break;
        }
        name_ = next->first;
        refresh(folder.get(), id, executor, name_);
    }
    return true;
}

void Executions::refresh(int folder, const std::string& id, Executor& executor,
                         const std::string& name)
{
    const auto attempt = executor.attempts.find(name);
    if (attempt == executor.attempts.end()) return;
    const auto& life = lives_.life_of(id);
    const auto change = folder < 0 ? AttemptFiles::Change::gone
                                   : attempt->second.refresh(reader_, folder, name, life.alive(),
                                                             life.other_host());
    if (change != AttemptFiles::Change::none) changed_.insert(name);
    if (change == AttemptFiles::Change::gone) executor.attempts.erase(attempt);
}

void Executions::look_at_unshared()
{
    const auto running = records::open_running(reader_.project_root);
    std::set<std::string> names;
    if (running)
        records::for_each_locked(running.get(), protocol::running_limit,
                                 [&](const std::string& name, const FoundFile&, bool alive) {
                                     names.insert(name);
                                     auto& attempt = unshared_[name];
                                     if (attempt.refresh(reader_, running.get(), name, alive, {}) !=
                                         AttemptFiles::Change::none)
                                         changed_.insert(name);
                                 });
    for (const auto& [name, attempt] : unshared_)
        if (!names.contains(name)) changed_.insert(name);
    (void)keep_only(unshared_, names);
}

void Executions::look_at(const std::string& id, const std::string& name)
{
    if (!is_name_of_attempt(name)) return;
    executors_[id].attempts.try_emplace(name);
    look_at(name);
}

void Executions::look_at(const std::string& name)
{
    for (auto& [id, executor] : executors_)
        if (executor.attempts.contains(name)) refresh(open(id).get(), id, executor, name);
}

void Executions::look_into(const std::string& id)
{
    if (!records::is_executor_name(id)) return;
    const auto folder = open(id);
    auto& executor = executors_[id];
    const auto before = names_of(id);
    list_records(folder.get(), executor);
    for (const auto& name : names_of(id))
        if (!std::binary_search(before.begin(), before.end(), name))
            refresh(folder.get(), id, executor, name);
    look_at_missing();
    if (!folder) executors_.erase(id);
}

std::vector<std::string> Executions::names_of(const std::string& id) const
{
    std::vector<std::string> names;
    if (const auto executor = executors_.find(id); executor != executors_.end())
        for (const auto& [name, attempt] : executor->second.attempts) names.push_back(name);
    return names;
}

std::shared_ptr<const ExecutionEntry> Executions::find(const std::string& name) const
{
    std::shared_ptr<const ExecutionEntry> interrupted;
    const auto find_in = [&](const Attempts& attempts) {
        const auto attempt = attempts.find(name);
        if (attempt == attempts.end() || !attempt->second.entry()) return false;
        if (attempt->second.entry()->state != ExecutionState::interrupted) return true;
        if (!interrupted) interrupted = attempt->second.entry();
        return false;
    };
    for (const auto& [id, executor] : executors_)
        if (find_in(executor.attempts)) return executor.attempts.at(name).entry();
    if (find_in(unshared_)) return unshared_.at(name).entry();
    return interrupted;
}

std::vector<std::string> Executions::executors() const
{
    std::vector<std::string> ids;
    for (const auto& [id, executor] : executors_) ids.push_back(id);
    return ids;
}

files::UniqueFd Executions::open(const std::string& id) const
{
    error_code ec;
    const auto running = records::open_running(reader_.project_root);
    return running ? files::open_beneath(running.get(), id, O_RDONLY | O_DIRECTORY,
                                         files::Links::none, ec)
                   : files::UniqueFd();
}

}  // namespace autoexec::view
