#pragma once

#include "autoexec/view.hpp"
#include "records/health_file.hpp"
#include "view/ended_executions.hpp"
#include "view/entries.hpp"
#include "view/executions.hpp"
#include "view/executors.hpp"
#include "view/lazy_redactor.hpp"
#include "view/linked_worktrees.hpp"
#include "view/queued_executions.hpp"
#include "view/read_check.hpp"
#include "view/run_journals.hpp"

#include <compare>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace autoexec::view {

/// The folders in which something shows that the project has changed.
enum class Place {
    project,   ///< Any of the others may appear or go there.
    running,   ///< The records of executors.
    records,   ///< Those of one executor.
    engines,   ///< The locks of executors.
    queue,     ///< Requests, those that were started, and results.
    journals,  ///< Of runs.
    metrics,
    others,    ///< Of agents, their health, and worktrees.
    worktree,  ///< Of an execution.
};

struct WatchedFolder {
    Place place = Place::project;
    std::string id;  ///< Of the executor (`records`), or the path (`worktree`).

    // NOLINTNEXTLINE(modernize-use-nullptr): its 0
    auto operator<=>(const WatchedFolder&) const = default;
};

/// That something may have changed in a folder. An empty name: anything there.
struct Hint {
    WatchedFolder folder;
    std::string name;

    auto operator<=>(const Hint&) const = default;  // NOLINT(modernize-use-nullptr): its 0
};

/// Whether a new folder of the project may have caused it.
bool may_add_folders(const Hint& hint);
/// Whether only a sweep finds what it is about.
bool names_nothing(const Hint& hint);

/// The state of a project, which is brought up to date in small parts: by sweeps, which look at
/// everything, and by hints. What they find becomes visible with the next `commit`.
class ProjectView {
public:
    explicit ProjectView(const ProjectReaderOptions& options);

    void begin_sweep();
    /// Does a part of the sweep, some ten system calls. False: nothing is left.
    bool step();

    /// Looks at what a hint names. Adds what it has no time for.
    void look_at(const Hint& hint, std::set<Hint>& more);

    /// True if something has changed since the last call.
    bool commit();

    [[nodiscard]] ViewPosition position() const noexcept { return position_; }
    [[nodiscard]] ProjectState state() const { return entries_since(0); }
    [[nodiscard]] ProjectChanges changes_since(const ViewPosition& earlier) const;

    /// All folders but worktrees, whether they exist or not.
    [[nodiscard]] std::map<std::filesystem::path, WatchedFolder> folders() const;

    /// The worktrees that have come into use by an agent since the last call, or are no longer.
    [[nodiscard]] std::set<std::string> take_changed_worktrees();
    [[nodiscard]] bool is_in_use(const std::string& worktree) const;

private:
    enum class Part { queued, published, ended, runs, worktrees, others, done };

    void begin_part();
    bool step_of_part();
    void look_at_others();
    void look_at_held_agents();
    void look_at_pauses();
    void look_at_running(const std::string& name, std::set<Hint>& more);
    void look_at_executor(const std::string& id, std::set<Hint>& more);
    void look_at_queue(const std::string& name);
    void look_at_worktree(const std::string& path);

    void commit_published();
    void commit_queued();
    void commit_ended();
    void commit_worktrees();
    void commit_executors();
    void show(const std::string& key, std::shared_ptr<const ExecutionEntry> now);
    void show_published(const std::string& name, std::shared_ptr<const ExecutionEntry> now);
    void note_retry(const std::string& execution_id, const std::string& name, bool exists);
    void set_user(const std::string& worktree, const std::string& key, bool uses_it);
    [[nodiscard]] std::string user_of(const std::string& worktree) const;
    [[nodiscard]] ProjectState entries_since(std::uint64_t sequence) const;
    [[nodiscard]] bool knows(const ViewPosition& earlier) const;

    template <class T>
    void update(T& value, T now)
    {
        is_changed_ = is_changed_ || value != now;
        value = std::move(now);
    }
    template <class Entry>
    void update(Entries<Entry>& entries, EntryList<Entry> now)
    {
        if (entries.update(std::move(now), position_.sequence + 1)) is_changed_ = true;
    }
    template <class Entry>
    void set(Entries<Entry>& entries, const std::string& key, std::shared_ptr<const Entry> now)
    {
        const auto sequence = position_.sequence + 1;
        if (now ? entries.put(std::move(now), sequence) : entries.erase(key, sequence))
            is_changed_ = true;
    }

    std::filesystem::path root_;
    LazyRedactor redactor_;
    ExecutorLives lives_;
    Executions published_;
    QueuedExecutions queued_;
    EndedExecutions ended_;
    RunJournals journals_;
    Worktrees trees_;
    ReadCheck health_check_;
    records::AgentHealthReading health_;
    ReadCheck pauses_check_;
    Part part_ = Part::done;  ///< Of a sweep.

    // What is published, by the names of the records.
    std::map<std::string, std::shared_ptr<const ExecutionEntry>> shown_;
    std::map<std::string, std::size_t> published_ids_;  ///< How many attempts of each execution.
    /// The names of the notes that another attempt follows, by execution: more than one only if
    /// something else than an executor has written one.
    std::map<std::string, std::set<std::string>> retries_;
    std::set<std::string> changed_ids_;  ///< Of executions that may be queued, or no longer.
    bool have_ids_changed_ = false;      ///< An execution has come or gone since the last commit.
    std::map<std::string, std::set<std::string>> users_;  ///< Keys of executions by worktree.
    std::set<std::string> changed_trees_;  ///< Whose users have changed since the last commit.
    std::set<std::string> changed_uses_;   ///< The same, since they were taken.

    ViewPosition position_;
    bool is_changed_ = false;  ///< Since the last commit.
    Entries<ExecutionEntry> executions_;
    Entries<EndedExecutionEntry> ended_entries_;
    Entries<RunEntry> runs_;
    Entries<AgentProcessEntry> agent_processes_;
    Entries<HeldAgentEntry> held_agents_;
    Entries<ExecutorEntry> executors_;
    Entries<WorktreeEntry> worktrees_;
    std::optional<QueueEngineEntry> queue_engine_;
    std::vector<PauseEntry> pauses_;
    std::string pauses_problem_;
    std::string executions_problem_;
    std::string held_agents_problem_;
};

}  // namespace autoexec::view
