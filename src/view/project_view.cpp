#include "view/project_view.hpp"

#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "records/pauses.hpp"
#include "records/running.hpp"
#include "records/running_folder.hpp"
#include "text/random.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::view {
namespace {

namespace fs = std::filesystem;

// Never zero.
std::uint64_t new_epoch()
{
    std::array<unsigned char, 8> bytes{};
    text::fill_random(bytes);
    std::uint64_t epoch = 0;
    for (const auto byte : bytes) epoch = epoch << 8 | byte;
    return std::max<std::uint64_t>(epoch, 1);
}

template <class Entry>
void sort_by_start(std::vector<Entry>& entries)
{
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.started_at < b.started_at; });
}

bool is_before(const ExecutionEntry& a, const ExecutionEntry& b)
{
    const bool a_waits = a.state == ExecutionState::queued;
    const bool b_waits = b.state == ExecutionState::queued;
    // By id, since entries are sorted by their keys.
    if (a_waits && b_waits) return a.priority > b.priority;
    return a_waits != b_waits ? b_waits : a.started_at < b.started_at;
}

std::vector<PauseEntry> entries_of(const protocol::StartPauses& pauses)
{
    std::vector<PauseEntry> entries;
    const auto add = [&entries](PauseEntry::Scope scope, const std::string& name,
                                const protocol::Pause& pause) {
        const auto* const kind = scope == PauseEntry::Scope::all     ? ""
                                 : scope == PauseEntry::Scope::agent ? "agent"
                                                                     : "workflow";
        entries.push_back(
            {scope, name, protocol::words_of_pause(pause, kind, name), pause.since, pause.by});
    };
    if (pauses.all) add(PauseEntry::Scope::all, {}, *pauses.all);
    for (const auto& [name, pause] : pauses.agents) add(PauseEntry::Scope::agent, name, pause);
    for (const auto& [name, pause] : pauses.workflows)
        add(PauseEntry::Scope::workflow, name, pause);
    return entries;
}

// An agent works in its worktree, or will.
bool uses_worktree(const ExecutionEntry& entry)
{
    return entry.state != ExecutionState::queued && entry.state != ExecutionState::interrupted &&
           entry.worktree.is_absolute();
}

}  // namespace

bool may_add_folders(const Hint& hint)
{
    const auto place = hint.folder.place;
    return place == Place::project || place == Place::running ||
           (place == Place::queue && !hint.name.ends_with(".json"));
}

bool names_nothing(const Hint& hint)
{
    return hint.name.empty() && hint.folder.place != Place::records &&
           hint.folder.place != Place::worktree;
}

ProjectView::ProjectView(const ProjectReaderOptions& options)
    : root_(options.project_root.empty() ? fs::current_path() : options.project_root),
      lives_(root_),
      published_({root_, options.status_file_name, redactor_}, lives_),
      queued_(root_, redactor_),
      ended_(root_, options.max_ended),
      journals_(root_, options.max_runs),
      trees_(root_)
{
    position_.epoch = new_epoch();
}

void ProjectView::begin_sweep()
{
    part_ = Part::queued;
    begin_part();
}

bool ProjectView::step()
{
    if (part_ == Part::done) return false;
    if (step_of_part()) return true;
    part_ = static_cast<Part>(static_cast<int>(part_) + 1);
    begin_part();
    return part_ != Part::done;
}

// In this order an execution is found before it moves on.
void ProjectView::begin_part()
{
    switch (part_) {
        case Part::queued:
            return queued_.begin_sweep();
        case Part::published:
            return published_.begin_sweep();
        case Part::ended:
            return ended_.begin_sweep();
        case Part::runs:
            return journals_.begin_sweep();
        case Part::worktrees:
            return trees_.begin_sweep();
        case Part::others:
            return look_at_others();
        case Part::done:
            return;
    }
}

// False: nothing is left of it.
bool ProjectView::step_of_part()
{
    switch (part_) {
        case Part::queued:
            return queued_.step();
        case Part::published:
            return published_.step();
        case Part::ended:
            return ended_.step();
        case Part::runs:
            return journals_.step();
        case Part::worktrees:
            return trees_.step();
        case Part::others:
        case Part::done:
            break;
    }
    return false;
}

void ProjectView::look_at_others()
{
    update(agent_processes_, find_agent_processes(root_));
    update(queue_engine_, find_queue_engine(root_));
    look_at_held_agents();
    look_at_pauses();
}

void ProjectView::look_at_pauses()
{
    const auto stamp = records::pauses_stamp(root_);
    if (!pauses_check_.must_read(stamp, ReadCheck::clock::now())) return;
    auto reading = records::read_pauses(root_);
    update(pauses_, entries_of(reading.pauses));
    update(pauses_problem_, std::move(reading.problem));
}

void ProjectView::look_at_held_agents()
{
    const auto stamp = records::agent_health_stamp(root_);
    const auto now = std::chrono::system_clock::now();
    if (health_.busy || health_check_.must_read(stamp, ReadCheck::clock::now())) {
        auto reading = records::read_agent_health(root_, now);
        // The last state counts while it is being written.
        if (reading.busy)
            health_.busy = true;
        else
            health_ = std::move(reading);
    }
    EntryList<HeldAgentEntry> held;
    for (const auto& [name, state] : health_.agents)
        if (auto reason = protocol::reason_of(name, state, now); !reason.empty())
            held.push_back(std::make_shared<const HeldAgentEntry>(HeldAgentEntry{
                name, std::move(reason), state.code, state.message, state.since, state.until}));
    update(held_agents_, std::move(held));
    update(held_agents_problem_, health_.problem);
}

void ProjectView::look_at(const Hint& hint, std::set<Hint>& more)
{
    // The system names a locked file as it was called before it got its name.
    const bool is_temporary = hint.name.starts_with('.');
    switch (hint.folder.place) {
        case Place::project:
            break;  // other folders are watched now
        case Place::running:
            return look_at_running(hint.name, more);
        case Place::records:
            if (hint.name.empty()) return published_.look_into(hint.folder.id);
            return published_.look_at(hint.folder.id, hint.name);
        case Place::engines:
            if (!is_temporary) return look_at_executor(fs::path(hint.name).stem(), more);
            for (const auto& id : lives_.ids()) look_at_executor(id, more);
            return;
        case Place::queue:
            return is_temporary ? void() : look_at_queue(hint.name);
        case Place::journals:
            return is_temporary ? journals_.look_at_followed() : journals_.look_at(hint.name);
        case Place::metrics:
            return ended_.look_at_metrics(hint.name);
        case Place::others:
            return look_at_others();
        case Place::worktree:
            return look_at_worktree(hint.folder.id);
    }
}

void ProjectView::look_at_running(const std::string& name, std::set<Hint>& more)
{
    if (name == fs::path(layout::paused).filename()) return look_at_pauses();
    if (records::is_record_name(name)) return published_.look_at_unshared();
    if (!records::is_executor_name(name)) return;
    look_at_executor(name, more);
    published_.look_into(name);
}

void ProjectView::look_at_executor(const std::string& id, std::set<Hint>& more)
{
    if (!lives_.look_at(id)) return;
    for (auto& name : published_.names_of(id))
        more.insert(Hint{{Place::records, id}, std::move(name)});
}

void ProjectView::look_at_queue(const std::string& name)
{
    const auto id = fs::path(name).stem().string();
    queued_.look_at(id);
    ended_.look_at(id);
    if (!protocol::is_queue_id(id)) update(queue_engine_, find_queue_engine(root_));
}

void ProjectView::look_at_worktree(const std::string& path)
{
    const auto users = users_.find(path);
    if (users == users_.end()) return;
    for (const auto& key : std::set(users->second)) published_.look_at(records::locked_name(key));
}

bool ProjectView::commit()
{
    commit_published();
    commit_queued();
    commit_ended();
    commit_worktrees();
    commit_executors();
    if (journals_.take_changed()) update(runs_, journals_.entries());
    const auto problem = published_.problem();
    update(executions_problem_,
           problem ? records::unreadable_sentence(root_, problem) : std::string());
    if (std::exchange(is_changed_, false)) {
        ++position_.sequence;
        return true;
    }
    return false;
}

void ProjectView::commit_published()
{
    const auto changed = published_.take_changed();
    for (const auto& name : changed) show_published(name, published_.find(name));
    if (changed.empty()) return;
    ended_.look_at_metrics();  // the end of an attempt is recorded before it is no longer published
}

void ProjectView::show_published(const std::string& name, std::shared_ptr<const ExecutionEntry> now)
{
    const auto before = std::exchange(shown_[name], now);
    if (!now) shown_.erase(name);
    const bool was_attempt = before && !before->attempt_id.empty();
    if (was_attempt && (!now || now->key() != before->key())) show(before->key(), nullptr);
    const bool is_other = !before || !now || before->execution_id != now->execution_id;
    if (before && is_other) {
        if (--published_ids_[before->execution_id] == 0) published_ids_.erase(before->execution_id);
        changed_ids_.insert(before->execution_id);
    }
    if (now && is_other) {
        ++published_ids_[now->execution_id];
        changed_ids_.insert(now->execution_id);
    }
    if (before && !was_attempt) note_retry(before->execution_id, name, false);
    if (now && now->attempt_id.empty())
        note_retry(now->execution_id, name, true);
    else if (now)
        show(now->key(), now);
}

void ProjectView::note_retry(const std::string& execution_id, const std::string& name, bool exists)
{
    auto& notes = retries_[execution_id];
    if (exists)
        notes.insert(name);
    else
        notes.erase(name);
    if (notes.empty()) retries_.erase(execution_id);
    changed_ids_.insert(execution_id);
}

void ProjectView::commit_queued()
{
    changed_ids_.merge(queued_.take_changed());
    for (const auto& id : std::exchange(changed_ids_, {})) {
        const auto retry = retries_.find(id);
        auto entry =
            retry == retries_.end() ? queued_.find_waiting(id) : shown_.at(*retry->second.begin());
        if (!entry && !published_ids_.contains(id)) entry = queued_.find_started(id);
        show(id, std::move(entry));
    }
}

void ProjectView::commit_ended()
{
    const bool has_changed = ended_.take_changed();
    if (!std::exchange(have_ids_changed_, false) && !has_changed) return;
    update(ended_entries_, ended_.list([this](const std::string& id) {
        return published_ids_.contains(id) || executions_.find(id) != nullptr;
    }));
}

void ProjectView::show(const std::string& key, std::shared_ptr<const ExecutionEntry> now)
{
    const auto before = executions_.find(key);
    if (before == now) return;
    const auto path_of = [](const auto& entry) {
        return entry && uses_worktree(*entry) ? entry->worktree.string() : std::string();
    };
    const auto old_path = path_of(before);
    const auto new_path = path_of(now);
    const bool is_other = !before || !now || before->execution_id != now->execution_id;
    if (is_other || old_path != new_path) {
        have_ids_changed_ = have_ids_changed_ || is_other;
        set_user(old_path, key, false);
        set_user(new_path, key, true);
    }
    set(executions_, key, std::move(now));
}

void ProjectView::set_user(const std::string& worktree, const std::string& key, bool uses_it)
{
    if (worktree.empty()) return;
    auto& users = users_[worktree];
    if (uses_it)
        users.insert(key);
    else
        users.erase(key);
    if (users.empty()) users_.erase(worktree);
    changed_trees_.insert(worktree);
}

void ProjectView::commit_worktrees()
{
    changed_uses_.insert(changed_trees_.begin(), changed_trees_.end());
    changed_trees_.merge(trees_.take_changed());
    for (const auto& path : std::exchange(changed_trees_, {}))
        set(worktrees_, path,
            trees_.has(path)
                ? std::make_shared<const WorktreeEntry>(WorktreeEntry{path, user_of(path)})
                : nullptr);
}

void ProjectView::commit_executors()
{
    for (const auto& id : lives_.take_changed()) set(executors_, id, lives_.find(id));
}

std::string ProjectView::user_of(const std::string& worktree) const
{
    const auto users = users_.find(worktree);
    if (users == users_.end()) return {};
    const auto entry = executions_.find(*users->second.begin());
    return entry ? entry->execution_id : std::string();
}

std::set<std::string> ProjectView::take_changed_worktrees()
{
    return std::exchange(changed_uses_, {});
}

bool ProjectView::is_in_use(const std::string& worktree) const
{
    return users_.contains(worktree);
}

std::map<fs::path, WatchedFolder> ProjectView::folders() const
{
    std::map<fs::path, WatchedFolder> all;
    const auto add = [&](const char* path, Place place) { all[root_ / path] = {place, {}}; };
    add(layout::records, Place::project);
    add(layout::running, Place::running);
    add(layout::engines, Place::engines);
    add(layout::queue, Place::queue);
    add(layout::started_requests, Place::queue);
    add(layout::ended_requests, Place::queue);
    add(layout::journals, Place::journals);
    add(layout::metrics, Place::metrics);
    add(layout::agents, Place::others);
    add(layout::agent_health, Place::others);
    for (const auto& id : published_.executors())
        all[root_ / layout::running / id] = {Place::records, id};
    return all;
}

ProjectState ProjectView::entries_since(std::uint64_t sequence) const
{
    ProjectState state;
    const auto add_to = [](auto& entries) {
        return [&entries](const auto& entry) { entries.push_back(entry); };
    };
    executions_.for_each_since(sequence, add_to(state.executions));
    ended_entries_.for_each_since(sequence, add_to(state.ended));
    runs_.for_each_since(sequence, add_to(state.runs));
    agent_processes_.for_each_since(sequence, add_to(state.agent_processes));
    held_agents_.for_each_since(sequence, add_to(state.held_agents));
    executors_.for_each_since(sequence, add_to(state.executors));
    worktrees_.for_each_since(sequence, add_to(state.worktrees));
    std::stable_sort(state.executions.begin(), state.executions.end(), is_before);
    std::stable_sort(state.ended.begin(), state.ended.end(),
                     [](const auto& a, const auto& b) { return a.ended_at > b.ended_at; });
    sort_by_start(state.runs);
    std::reverse(state.runs.begin(), state.runs.end());
    sort_by_start(state.agent_processes);
    state.queue_engine = queue_engine_;
    state.pauses = pauses_;
    state.pauses_problem = pauses_problem_;
    state.executions_problem = executions_problem_;
    state.held_agents_problem = held_agents_problem_;
    return state;
}

bool ProjectView::knows(const ViewPosition& earlier) const
{
    const auto since = earlier.sequence;
    return earlier.epoch == position_.epoch && since <= position_.sequence &&
           executions_.knows(since) && ended_entries_.knows(since) && runs_.knows(since) &&
           agent_processes_.knows(since) && held_agents_.knows(since) && executors_.knows(since) &&
           worktrees_.knows(since);
}

ProjectChanges ProjectView::changes_since(const ViewPosition& earlier) const
{
    ProjectChanges changes;
    changes.position = position_;
    changes.is_snapshot = !knows(earlier);
    const auto since = changes.is_snapshot ? 0 : earlier.sequence;
    changes.changed = entries_since(since);
    if (changes.is_snapshot) return changes;
    changes.ended_executions = executions_.gone_since(since);
    changes.forgotten_executions = ended_entries_.gone_since(since);
    changes.removed_runs = runs_.gone_since(since);
    changes.ended_agent_processes = agent_processes_.gone_since(since);
    changes.released_agents = held_agents_.gone_since(since);
    changes.ended_executors = executors_.gone_since(since);
    changes.removed_worktrees = worktrees_.gone_since(since);
    return changes;
}

}  // namespace autoexec::view
