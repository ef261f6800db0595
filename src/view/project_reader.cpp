#include "autoexec/view.hpp"

#include "records/health_file.hpp"
#include "records/pauses.hpp"
#include "records/running.hpp"
#include "text/random.hpp"
#include "view/ended_executions.hpp"
#include "view/entries.hpp"
#include "view/executions.hpp"
#include "view/executors.hpp"
#include "view/lazy_redactor.hpp"
#include "view/linked_worktrees.hpp"
#include "view/queued_executions.hpp"
#include "view/run_journals.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;
using view::EntryList;

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

ProjectReaderOptions with_root(ProjectReaderOptions options)
{
    if (options.project_root.empty()) options.project_root = fs::current_path();
    return options;
}

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

}  // namespace

struct ProjectReader::Impl {
    explicit Impl(ProjectReaderOptions o)
        : options(with_root(std::move(o))),
          published(options.project_root, options.status_file_name, redactor),
          queued(options.project_root, redactor),
          ended(options.project_root, options.max_ended),
          journals(options.project_root, options.max_runs),
          trees(options.project_root)
    {
        position.epoch = new_epoch();
    }

    bool refresh();
    void refresh_executions();
    void refresh_users(const EntryList<ExecutionEntry>& all);
    void refresh_held_agents();
    void refresh_pauses();
    [[nodiscard]] ProjectState entries_since(std::uint64_t sequence) const;
    [[nodiscard]] bool knows(const ViewPosition& earlier) const;

    template <class T>
    void update(T& value, T now)
    {
        is_changed = is_changed || value != now;
        value = std::move(now);
    }
    template <class Entry>
    void update(view::Entries<Entry>& entries, EntryList<Entry> now)
    {
        if (entries.update(std::move(now), position.sequence + 1)) is_changed = true;
    }

    ProjectReaderOptions options;
    view::LazyRedactor redactor;
    view::Executions published;
    view::QueuedExecutions queued;
    view::EndedExecutions ended;
    view::RunJournals journals;
    view::Executors executor_locks;
    view::Worktrees trees;
    view::ReadCheck health_check;
    records::AgentHealthReading health;
    view::ReadCheck pauses_check;

    ViewPosition position;
    bool is_changed = false;  ///< In this refresh.
    view::Entries<ExecutionEntry> executions;
    view::Entries<EndedExecutionEntry> ended_executions;
    view::Entries<RunEntry> runs;
    view::Entries<AgentProcessEntry> agent_processes;
    view::Entries<HeldAgentEntry> held_agents;
    view::Entries<ExecutorEntry> executors;
    view::Entries<WorktreeEntry> worktrees;
    std::optional<QueueEngineEntry> queue_engine;
    std::vector<PauseEntry> pauses;
    std::string pauses_problem;
    std::string executions_problem;
    std::string held_agents_problem;
};

bool ProjectReader::Impl::refresh()
{
    is_changed = false;
    refresh_executions();
    update(runs, journals.refresh());
    update(agent_processes, view::find_agent_processes(options.project_root));
    update(executors, executor_locks.refresh(options.project_root));
    update(queue_engine, view::find_queue_engine(options.project_root));
    refresh_held_agents();
    refresh_pauses();
    if (is_changed) ++position.sequence;
    return is_changed;
}

void ProjectReader::Impl::refresh_executions()
{
    error_code problem;
    queued.refresh();
    auto all = published.refresh(problem);
    queued.add_to(all);
    ended.refresh();  // last: an execution that ends meanwhile is listed
    trees.refresh();
    refresh_users(all);
    update(executions, std::move(all));
    update(executions_problem,
           problem ? records::unreadable_sentence(options.project_root, problem) : std::string());
}

// What depends on which executions there are.
void ProjectReader::Impl::refresh_users(const EntryList<ExecutionEntry>& all)
{
    std::set<std::string_view> ids;
    std::map<std::string_view, std::string_view> users;
    for (const auto& entry : all) {
        ids.insert(entry->execution_id);
        if (entry->state != ExecutionState::queued && entry->state != ExecutionState::interrupted)
            users.try_emplace(entry->worktree.native(), entry->execution_id);
    }
    update(ended_executions,
           ended.list([&ids](const std::string& id) { return ids.contains(id); }));
    update(worktrees, trees.list([&users](const fs::path& tree) {
        const auto user = users.find(tree.native());
        return user == users.end() ? std::string() : std::string(user->second);
    }));
}

void ProjectReader::Impl::refresh_held_agents()
{
    const auto stamp = records::agent_health_stamp(options.project_root);
    const auto now = std::chrono::system_clock::now();
    if (health.busy || health_check.must_read(stamp, view::ReadCheck::clock::now())) {
        auto reading = records::read_agent_health(options.project_root, now);
        // The last state counts while it is being written.
        if (reading.busy)
            health.busy = true;
        else
            health = std::move(reading);
    }
    EntryList<HeldAgentEntry> held;
    for (const auto& [name, state] : health.agents)
        if (auto reason = protocol::reason_of(name, state, now); !reason.empty())
            held.push_back(std::make_shared<const HeldAgentEntry>(HeldAgentEntry{
                name, std::move(reason), state.code, state.message, state.since, state.until}));
    update(held_agents, std::move(held));
    update(held_agents_problem, health.problem);
}

void ProjectReader::Impl::refresh_pauses()
{
    const auto stamp = records::pauses_stamp(options.project_root);
    if (!pauses_check.must_read(stamp, view::ReadCheck::clock::now())) return;
    auto reading = records::read_pauses(options.project_root);
    update(pauses, entries_of(reading.pauses));
    update(pauses_problem, std::move(reading.problem));
}

ProjectState ProjectReader::Impl::entries_since(std::uint64_t sequence) const
{
    ProjectState state;
    const auto add_to = [](auto& entries) {
        return [&entries](const auto& entry) { entries.push_back(entry); };
    };
    executions.for_each_since(sequence, add_to(state.executions));
    ended_executions.for_each_since(sequence, add_to(state.ended));
    runs.for_each_since(sequence, add_to(state.runs));
    agent_processes.for_each_since(sequence, add_to(state.agent_processes));
    held_agents.for_each_since(sequence, add_to(state.held_agents));
    executors.for_each_since(sequence, add_to(state.executors));
    worktrees.for_each_since(sequence, add_to(state.worktrees));
    std::stable_sort(state.executions.begin(), state.executions.end(), is_before);
    std::stable_sort(state.ended.begin(), state.ended.end(),
                     [](const auto& a, const auto& b) { return a.ended_at > b.ended_at; });
    sort_by_start(state.runs);
    std::reverse(state.runs.begin(), state.runs.end());
    sort_by_start(state.agent_processes);
    state.queue_engine = queue_engine;
    state.pauses = pauses;
    state.pauses_problem = pauses_problem;
    state.executions_problem = executions_problem;
    state.held_agents_problem = held_agents_problem;
    return state;
}

bool ProjectReader::Impl::knows(const ViewPosition& earlier) const
{
    return earlier.epoch == position.epoch && earlier.sequence <= position.sequence &&
           executions.knows(earlier.sequence) && ended_executions.knows(earlier.sequence) &&
           runs.knows(earlier.sequence) && agent_processes.knows(earlier.sequence) &&
           held_agents.knows(earlier.sequence) && executors.knows(earlier.sequence) &&
           worktrees.knows(earlier.sequence);
}

ProjectReader::ProjectReader(ProjectReaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(options)))
{}

ProjectReader::~ProjectReader() = default;
ProjectReader::ProjectReader(ProjectReader&&) noexcept = default;
ProjectReader& ProjectReader::operator=(ProjectReader&&) noexcept = default;

bool ProjectReader::refresh()
{
    return impl_->refresh();
}

ProjectState ProjectReader::state() const
{
    return impl_->entries_since(0);
}

ViewPosition ProjectReader::position() const noexcept
{
    return impl_->position;
}

ProjectChanges ProjectReader::changes_since(const ViewPosition& earlier) const
{
    ProjectChanges changes;
    changes.position = impl_->position;
    changes.is_snapshot = !impl_->knows(earlier);
    const auto since = changes.is_snapshot ? 0 : earlier.sequence;
    changes.changed = impl_->entries_since(since);
    if (changes.is_snapshot) return changes;
    changes.ended_executions = impl_->executions.gone_since(since);
    changes.forgotten_executions = impl_->ended_executions.gone_since(since);
    changes.removed_runs = impl_->runs.gone_since(since);
    changes.ended_agent_processes = impl_->agent_processes.gone_since(since);
    changes.released_agents = impl_->held_agents.gone_since(since);
    changes.ended_executors = impl_->executors.gone_since(since);
    changes.removed_worktrees = impl_->worktrees.gone_since(since);
    return changes;
}

std::vector<std::string> ProjectReader::run_ids() const
{
    return workflow::list_runs(impl_->options.project_root);
}

std::optional<RunEntry> ProjectReader::read_run(std::string_view run_id, std::string& problem) const
{
    auto run = workflow::read_run(impl_->options.project_root, run_id, problem);
    if (!run) return std::nullopt;
    run->alive = run->alive && run->status == WorkflowStatus::running;
    return std::move(static_cast<RunEntry&>(*run));
}

}  // namespace autoexec::inline v1
