#include "autoexec/watched_project.hpp"

#include "protocol/layout.hpp"
#include "protocol/record_lines.hpp"
#include "protocol/status.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "records/agent_presence.hpp"
#include "records/executor_lock.hpp"
#include "records/health_file.hpp"
#include "records/pauses.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "support/sweep.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"
#include "text/text.hpp"
#include "workflow/journal/journal.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr char status_name[] = ".cursor-skill-status.json";
constexpr std::ptrdiff_t max_ended = 4;
constexpr std::chrono::sys_days some_day{std::chrono::year{2026} / 1 / 20};

/// What executors, agents and users do with the files of a project, at random.
class History {
public:
    explicit History(unsigned seed) : random_(seed)
    {
        for (int i = 0; i < 4; ++i) fs::create_directory(tree(i));
        fs::create_directories(root() / layout::records);  // events show what happens in it
        for (const auto* const name : {"objects", "refs"})
            fs::create_directories(root() / ".git" / name);
        write_file(root() / ".git/HEAD", "ref: refs/heads/main\n");
    }

    [[nodiscard]] fs::path root() const { return folder_ / "project"; }
    [[nodiscard]] std::string last_operations() const
    {
        std::string names;
        for (const auto& name : log_) names += name + ", ";
        return names;
    }

    /// `with_events`: only what file events show.
    void play(bool with_events = false)
    {
        using Operation = void (History::*)();
        struct Named {
            const char* name;
            Operation operation;
            bool has_events = false;
        };
        static constexpr Named operations[] = {
            {"start an executor", &History::start_executor, true},
            {"record an attempt", &History::record_attempt, true},
            {"record an attempt", &History::record_attempt, true},
            {"replace a record", &History::replace_record, true},
            {"remove a record", &History::remove_record, true},
            {"kill an executor", &History::kill_executor, true},
            {"adopt a record", &History::adopt_record, true},
            {"copy a record", &History::copy_record, true},
            {"tear a record", &History::tear_record, true},
            {"announce a retry", &History::announce_retry, true},
            {"announce a retry", &History::announce_retry, true},
            {"announce the retry of a request", &History::announce_retry_of_request, true},
            {"withdraw a retry", &History::withdraw_retry, true},
            {"write the note of a retry", &History::write_retry, true},
            {"pause or resume starts", &History::change_pauses, true},
            {"tear the pauses", &History::tear_pauses, true},
            {"exchange two records", &History::exchange_records},
            {"clear the records of an executor", &History::clear_executor, true},
            {"write a record of an older version", &History::write_unshared_record, true},
            {"replace a status", &History::replace_status, true},
            {"replace a status", &History::replace_status, true},
            {"write a status in place", &History::overwrite_status, true},
            {"tear a status", &History::tear_status},
            {"remove a status", &History::remove_status},
            {"link .cursor", &History::link_cursor_folder},
            {"exchange two worktrees", &History::exchange_worktrees},
            {"submit a request", &History::submit_request, true},
            {"start a request", &History::start_request, true},
            {"publish a request", &History::publish_request, true},
            {"end a request", &History::end_request, true},
            {"start or end the engine of the queue", &History::change_engine, true},
            {"record an attempt's end", &History::record_end, true},
            {"record an attempt's end", &History::record_end, true},
            {"tear a record of ends", &History::tear_ends, true},
            {"remove a record of ends", &History::remove_ends, true},
            {"add a worktree", &History::add_worktree},
            {"remove a worktree", &History::remove_worktree},
            {"start a run", &History::start_run, true},
            {"append to a journal", &History::append_to_journal, true},
            {"append to a journal", &History::append_to_journal, true},
            {"kill a run", &History::kill_run, true},
            {"resume a run", &History::resume_run, true},
            {"tear a journal", &History::tear_journal, true},
            {"remove a journal", &History::remove_journal, true},
            {"start an agent", &History::start_agent, true},
            {"end an agent", &History::end_agent, true},
            {"hold an agent back", &History::change_health, true},
        };
        const auto* chosen = &operations[below(std::size(operations))];
        while (with_events && !chosen->has_events)
            chosen = &operations[below(std::size(operations))];
        log_.emplace_back(chosen->name);
        if (log_.size() > 8) log_.pop_front();
        (this->*chosen->operation)();
    }

    std::size_t below(std::size_t n)
    {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
    }

private:
    [[nodiscard]] fs::path tree(std::size_t i) const
    {
        return folder_ / ("tree-" + std::to_string(i));
    }
    [[nodiscard]] fs::path running() const { return root() / layout::running; }

    // Of one length, so that only stamps show a change.
    std::string word() { return std::to_string(100 + below(900)); }

    template <class T>
    T* any_of(std::vector<T>& all)
    {
        return all.empty() ? nullptr : &all[below(all.size())];
    }

    protocol::RunningRecord some_record(std::string attempt_id)
    {
        protocol::RunningRecord record;
        record.execution_id = "e" + attempt_id;
        record.attempt_id = std::move(attempt_id);
        record.attempt = 1;
        record.command = word();
        record.worktree = tree(below(4));
        record.started_at = some_day + std::chrono::seconds(below(100));
        if (below(4) == 0) record.waiting_for.emplace().id = word();
        return record;
    }

    // Often the id of one that there is.
    std::string some_attempt_id()
    {
        if (below(3) > 0) attempt_ids_.push_back("a" + std::to_string(attempt_ids_.size() % 20));
        return attempt_ids_.empty() ? "a0" : attempt_ids_[below(attempt_ids_.size())];
    }

    std::vector<fs::path> record_files(const fs::path& extension = ".json")
    {
        std::vector<fs::path> files;
        if (!fs::exists(running())) return files;
        for (const auto& entry : fs::recursive_directory_iterator(running()))
            if (entry.path().extension() == extension &&
                entry.path().parent_path().filename() != "agents")
                files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        return files;
    }

    void start_executor()
    {
        if (executors_.size() < 4)
            executors_.push_back(std::make_unique<records::RunningRecords>(root()));
        record_attempt();
    }
    void record_attempt()
    {
        if (auto* const executor = any_of(executors_))
            (void)(*executor)->put(some_record(some_attempt_id()));
    }
    void replace_record()
    {
        auto files = record_files();
        auto* const executor = any_of(executors_);
        const auto* const file = any_of(files);
        if (executor != nullptr && file != nullptr)
            (void)(*executor)->put(some_record(file->stem()));
    }
    void remove_record()
    {
        auto files = record_files();
        if (const auto* const file = any_of(files)) fs::remove(*file);
    }
    void kill_executor()
    {
        if (!executors_.empty()) executors_.erase(executors_.begin() + index_in(executors_));
    }
    void adopt_record()
    {
        auto files = record_files();
        auto* const executor = any_of(executors_);
        const auto* const file = any_of(files);
        if (executor != nullptr && file != nullptr) (void)(*executor)->adopt(file->stem());
    }
    void copy_record()
    {
        auto files = record_files();
        const auto* const from = any_of(files);
        const auto* const to = any_of(files);
        std::error_code ignored;
        if (from != nullptr)
            fs::copy_file(*from, to->parent_path() / from->filename(),
                          fs::copy_options::overwrite_existing, ignored);
    }
    void tear_record()
    {
        auto files = record_files();
        if (const auto* const file = any_of(files)) tear(*file);
    }
    void announce_retry()
    {
        auto files = record_files();
        auto* const executor = any_of(executors_);
        const auto* const file = any_of(files);
        if (executor != nullptr && file != nullptr) (void)(*executor)->announce_retry(file->stem());
    }
    // More than once of the same one, which no executor does.
    void announce_retry_of_request()
    {
        auto started = queue().list_started();
        const auto* const request = any_of(started);
        auto* const executor = any_of(executors_);
        if (request == nullptr || executor == nullptr) return;
        auto record = some_record(some_attempt_id());
        record.execution_id = (*request)->id();
        (void)(*executor)->put(record);
        (void)(*executor)->announce_retry(record.attempt_id);
    }
    void withdraw_retry()
    {
        auto files = record_files(".retry");
        auto* const executor = any_of(executors_);
        const auto* const file = any_of(files);
        if (executor != nullptr && file != nullptr) (void)(*executor)->withdraw_retry(file->stem());
    }
    // In place, and often below the name of another attempt.
    void write_retry()
    {
        auto files = record_files();
        if (const auto* const file = any_of(files))
            write_file(file->parent_path() / (some_attempt_id() + ".retry"),
                       protocol::format_running(some_record(some_attempt_id())));
    }
    void change_pauses()
    {
        const auto change = [&](protocol::StartPauses& pauses) {
            const protocol::Pause pause{some_day + std::chrono::seconds(below(100)), word()};
            auto& by_name = below(2) == 0 ? pauses.agents : pauses.workflows;
            if (below(3) == 0)
                pauses = {};
            else if (below(3) == 0)
                pauses.all = pause;
            else
                by_name[word()] = pause;
        };
        (void)records::change_pauses(root(), change);
    }
    void tear_pauses() { tear(root() / layout::paused); }
    void exchange_records()
    {
        auto files = record_files();
        const auto* const from = any_of(files);
        const auto* const to = any_of(files);
        if (from != nullptr) fs::rename(*from, *to);
    }
    void clear_executor()
    {
        auto files = record_files();
        const auto* const file = any_of(files);
        if (file != nullptr && file->parent_path() != running())
            fs::remove_all(file->parent_path());
    }
    void write_unshared_record()
    {
        fs::create_directories(running());
        const auto record = some_record(some_attempt_id());
        write_file(running() / (record.attempt_id + ".json"), protocol::format_running(record));
    }

    std::string some_status()
    {
        AgentStatus status;
        status.attempt_id = some_attempt_id();
        status.execution_id = "e" + status.attempt_id;
        status.status = static_cast<ReportedStatus>(below(4));
        status.progress.emplace().message = word();
        return protocol::format_status(status);
    }
    fs::path status_file()
    {
        const auto at = tree(below(4));
        if (below(2) == 0) return at / status_name;
        std::error_code ignored;
        fs::create_directory(at / ".cursor", ignored);
        return at / ".cursor" / status_name;
    }
    void replace_status()
    {
        const auto file = status_file();
        write_file(folder_ / "temporary", some_status());
        std::error_code ignored;
        fs::rename(folder_ / "temporary", file, ignored);
    }
    void overwrite_status() { write_file(status_file(), some_status()); }
    void tear_status() { tear(status_file()); }
    void remove_status()
    {
        std::error_code ignored;
        fs::remove(status_file(), ignored);
    }
    void link_cursor_folder()
    {
        const auto link = tree(below(4)) / ".cursor";
        fs::remove_all(link);
        if (below(2) == 0) fs::create_directory_symlink(tree(below(4)), link);
    }
    void exchange_worktrees()
    {
        const auto a = tree(below(4));
        const auto b = tree(below(4));
        if (a == b) return;
        fs::rename(a, folder_ / "other");
        fs::rename(b, a);
        fs::rename(folder_ / "other", b);
    }

    void submit_request()
    {
        CommandRequest request(word(), tree(below(4)));
        request.execution_id = text::new_uuid();
        protocol::QueuedRequest queued(std::move(request));
        queued.submitted_at = some_day;
        queued.request.priority = static_cast<int>(below(3));
        REQUIRE_FALSE(queue().submit(queued, Durability::none));
    }
    void start_request()
    {
        auto waiting = queue().list_waiting();
        const auto* const request = any_of(waiting);
        if (request == nullptr) return;
        if (below(4) == 0)
            CHECK(queue().cancel_waiting((*request)->id()));
        else
            CHECK(queue().start((*request)->id()));
    }
    void publish_request()
    {
        auto started = queue().list_started();
        const auto* const request = any_of(started);
        auto* const executor = any_of(executors_);
        if (request == nullptr || executor == nullptr) return;
        auto record = some_record(some_attempt_id());
        record.execution_id = (*request)->id();
        (void)(*executor)->put(record);
    }
    void end_request()
    {
        auto started = queue().list_started();
        const auto* const request = any_of(started);
        if (request == nullptr) return;
        protocol::QueuedResult result;
        result.id = (*request)->id();
        result.ended_at = some_day + std::chrono::seconds(below(100));
        result.result = to_json(queue::cancelled_execution(**request));
        (void)queue().put_result(result);
        if (below(2) == 0) queue().remove_started(result.id);
    }
    queue::QueueFolder queue() const { return queue::QueueFolder(root()); }

    void change_engine()
    {
        if (engine_) return engine_.reset();
        protocol::QueueEngineFile content;
        content.pid = static_cast<std::int64_t>(below(1000));
        error_code ec;
        engine_ = queue::EngineLock::acquire(root(), content, ec);
        if (below(3) == 0) REQUIRE_FALSE(queue::request_drain(root()));
        if (below(3) == 0) queue::end_drain(root());
    }

    [[nodiscard]] fs::path ends_of_some_day()
    {
        const auto* const kind = below(4) == 0 ? "executions" : "attempts";
        return root() / layout::metrics /
               (kind + std::string("_2026-01-2") + std::to_string(below(2)) + ".jsonl");
    }
    void record_end()
    {
        ExecutionMetric metric;
        metric.attempt_id = some_attempt_id();
        metric.execution_id = "e" + metric.attempt_id;
        auto started = queue().list_started();
        if (const auto* const request = any_of(started); request != nullptr && below(3) == 0)
            metric.execution_id = (*request)->id();
        metric.command = word();
        metric.retry_count = static_cast<int>(below(2));
        metric.completed_at = some_day + std::chrono::seconds(below(100));
        metric.exit_code = static_cast<int>(below(3));
        const auto file = ends_of_some_day();
        fs::create_directories(file.parent_path());
        std::ofstream(file, std::ios::app) << protocol::format_attempt(metric) << '\n';
    }
    void tear_ends()
    {
        const auto file = ends_of_some_day();
        if (below(2) == 0) return tear(file);
        if (fs::exists(file))
            std::ofstream(file, std::ios::app) << (below(2) == 0 ? "{\"execution_id\":" : "\n");
    }
    void remove_ends() { fs::remove(ends_of_some_day()); }

    [[nodiscard]] fs::path git_folder_of_some_tree()
    {
        return root() / ".git/worktrees" / std::to_string(below(3));
    }
    void add_worktree()
    {
        const auto folder = git_folder_of_some_tree();
        fs::create_directories(folder);
        write_file(folder / "gitdir", (tree(below(4)) / ".git").string() + "\n");
    }
    void remove_worktree() { fs::remove_all(git_folder_of_some_tree()); }

    void start_run()
    {
        error_code ec;
        if (runs_.size() >= 4) return kill_run();
        const auto time = some_day + std::chrono::seconds(below(1000));
        auto run = workflow::Journal::create(root(), "w" + std::to_string(below(3)), time,
                                             Durability::process, ec);
        REQUIRE(run);
        runs_.push_back(*std::move(run));
        if (below(4) == 0) return;
        protocol::RunStarted start;
        start.run_id = runs_.back().run_id();
        start.steps = {{"one", "a", "b"}, {"two", "a", "b"}};
        (void)runs_.back().append(start, time);
    }
    void append_to_journal()
    {
        if (auto* const run = any_of(runs_)) append_to(*run);
    }
    void append_to(workflow::Journal& run)
    {
        const std::string step = below(2) == 0 ? "one" : "two";
        const protocol::Transition some[] = {
            protocol::StepStarted{step, 1, word(), word(), {}}, protocol::StepWaiting{step, 1},
            protocol::StepWaiting{step, 1, ManualWait{word(), word(), {}, true}},
            protocol::StepSkipped{step, 1, word(), true},
            protocol::RunEnded{WorkflowStatus::failed, word()}};
        (void)run.append(some[below(std::size(some))], some_day + 1h);
    }
    void kill_run()
    {
        if (!runs_.empty()) runs_.erase(runs_.begin() + index_in(runs_));
    }
    void resume_run()
    {
        auto ids = workflow::list_runs(root());
        const auto* const id = any_of(ids);
        error_code ec;
        if (id == nullptr) return;
        auto run = workflow::Journal::take_over(root(), *id, Durability::process, ec);
        if (!run) return;
        protocol::RunStarted start;
        start.run_id = *id;
        (void)run->append(start, some_day + 2h);
        runs_.push_back(*std::move(run));
    }
    void tear_journal()
    {
        if (const auto file = journal_file(); !file.empty()) {
            if (below(3) == 0) return tear(file);
            std::ofstream(file, std::ios::app) << (below(2) == 0 ? "{\"seq\": 1" : "\n");
        }
    }
    void remove_journal()
    {
        if (const auto file = journal_file(); !file.empty()) fs::remove(file);
    }
    fs::path journal_file()
    {
        auto ids = workflow::list_runs(root());
        const auto* const id = any_of(ids);
        return id == nullptr ? fs::path() : root() / layout::journals / workflow::journal_name(*id);
    }

    void start_agent()
    {
        if (agents_.size() >= 3) return end_agent();
        protocol::AgentRecord record;
        record.agent_id = text::new_uuid();
        error_code ec;
        if (auto agent = records::AgentPresence::create(root(), record, ec))
            agents_.push_back(*std::move(agent));
    }
    void end_agent()
    {
        if (agents_.empty()) return;
        const auto at = agents_.begin() + index_in(agents_);
        if (below(2) == 0) at->remove();
        agents_.erase(at);
    }
    void change_health()
    {
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        (void)records::change_agent_health(root(), now, [&](protocol::AgentHealthMap& agents) {
            auto& health = agents[below(2) == 0 ? "one" : "two"];
            health.state = static_cast<protocol::AgentHealth::State>(below(3));
            health.message = word();
            health.since = now;
            health.until = now + 1h;
        });
    }

    template <class T>
    std::ptrdiff_t index_in(const std::vector<T>& all)
    {
        return static_cast<std::ptrdiff_t>(below(all.size()));
    }

    // As if its writer was killed: the rest is missing, and may follow later.
    void tear(const fs::path& file)
    {
        std::error_code ec;
        const auto size = fs::file_size(file, ec);
        if (!ec && size > 0) fs::resize_file(file, below(size), ec);
    }

    TemporaryFolder folder_;
    std::mt19937 random_;
    std::deque<std::string> log_;
    std::vector<std::string> attempt_ids_;
    std::vector<std::unique_ptr<records::RunningRecords>> executors_;
    std::vector<workflow::Journal> runs_;
    std::vector<records::AgentPresence> agents_;
    std::optional<queue::EngineLock> engine_;
};

template <class Entry>
using ByKey = std::map<std::string, Entry>;

template <class Entry>
void apply(ByKey<Entry>& known, const std::vector<Entry>& changed,
           const std::vector<std::string>& gone)
{
    for (const auto& key : gone) CHECK(known.erase(key) <= 1);
    for (const auto& entry : changed) known.insert_or_assign(entry.key(), entry);
}

template <class Entry>
bool is_same(const ByKey<Entry>& known, const std::vector<Entry>& entries)
{
    return known.size() == entries.size() &&
           std::all_of(entries.begin(), entries.end(), [&](const Entry& entry) {
               const auto found = known.find(entry.key());
               return found != known.end() && found->second == entry;
           });
}

/// Follows a project by its changes alone.
class Follower {
public:
    void follow(const ProjectReader& reader) { apply_changes(reader.changes_since(seen_)); }

    void apply_changes(const ProjectChanges& changes)
    {
        seen_ = changes.position;
        if (changes.is_snapshot) *this = Follower(seen_);
        apply(executions_, changes.changed.executions, changes.ended_executions);
        apply(runs_, changes.changed.runs, changes.removed_runs);
        apply(processes_, changes.changed.agent_processes, changes.ended_agent_processes);
        apply(held_, changes.changed.held_agents, changes.released_agents);
        apply(ended_, changes.changed.ended, changes.forgotten_executions);
        apply(executors_, changes.changed.executors, changes.ended_executors);
        apply(worktrees_, changes.changed.worktrees, changes.removed_worktrees);
        engine_ = changes.changed.queue_engine;
        pauses_ = changes.changed.pauses;
        pauses_problem_ = changes.changed.pauses_problem;
    }

    [[nodiscard]] ViewPosition seen() const { return seen_; }

    /// What is another than in `state`; empty: nothing.
    [[nodiscard]] std::string difference_to(const ProjectState& state) const
    {
        if (!is_same(executions_, state.executions)) return "executions";
        if (!is_same(ended_, state.ended)) return "executions that have ended";
        if (!is_same(runs_, state.runs)) return "runs";
        if (!is_same(processes_, state.agent_processes)) return "agents";
        if (!is_same(held_, state.held_agents)) return "held agents";
        if (!is_same(executors_, state.executors)) return "executors";
        if (!is_same(worktrees_, state.worktrees)) return "worktrees";
        if (pauses_ != state.pauses || pauses_problem_ != state.pauses_problem) return "pauses";
        return engine_ == state.queue_engine ? "" : "engine of the queue";
    }

    Follower() = default;

private:
    explicit Follower(ViewPosition seen) : seen_(seen) {}

    ViewPosition seen_;
    ByKey<ExecutionEntry> executions_;
    ByKey<RunEntry> runs_;
    ByKey<AgentProcessEntry> processes_;
    ByKey<HeldAgentEntry> held_;
    ByKey<EndedExecutionEntry> ended_;
    ByKey<ExecutorEntry> executors_;
    ByKey<WorktreeEntry> worktrees_;
    std::optional<QueueEngineEntry> engine_;
    std::vector<PauseEntry> pauses_;
    std::string pauses_problem_;
};

ProjectReaderOptions reader_of(const History& history)
{
    ProjectReaderOptions options;
    options.project_root = history.root();
    options.max_runs = 3;
    options.max_ended = max_ended;
    return options;
}

// Those of which history has the last attempts, and the results of the queue.
void check_ended(const ProjectState& state, const fs::path& root)
{
    std::set<std::string> current;
    for (const auto& entry : state.executions) current.insert(entry.execution_id);
    MetricsFilter all;
    all.limit = 0;
    std::set<std::string> recorded;
    std::map<std::string, std::string> commands;
    for (const auto& metric :
         records::read_metrics(records::Folder::of({}, root, "metrics"), all).metrics) {
        if (recorded.size() == max_ended) break;
        if (recorded.insert(metric.execution_id).second)
            commands.emplace(metric.execution_id, metric.command);
    }
    auto results = queue::QueueFolder(root).list_ended();
    if (results.size() > max_ended) results.erase(results.begin(), results.end() - max_ended);
    recorded.insert(results.begin(), results.end());
    std::set<std::string> listed;
    for (const auto& entry : state.ended) {
        CHECK(listed.insert(entry.execution_id).second);
        CHECK(recorded.contains(entry.execution_id));
        CHECK_FALSE(current.contains(entry.execution_id));
        const auto command = commands.find(entry.execution_id);
        if (command != commands.end() &&
            std::ranges::find(results, entry.execution_id) == results.end())
            CHECK(entry.command == command->second);
    }
    std::erase_if(recorded, [&](const auto& id) { return current.contains(id); });
    CHECK(listed.size() == std::min<std::size_t>(recorded.size(), max_ended));
}

// The executions between two attempts.
std::set<std::string> awaiting_retry(const fs::path& root)
{
    std::set<std::string> found;
    if (!fs::exists(root / layout::running)) return found;
    error_code ec;
    const auto engines = records::Folder{root, layout::engines}.open(ec);
    for (const auto& file : fs::recursive_directory_iterator(root / layout::running)) {
        if (file.path().extension() != ".retry") continue;
        const auto executor = file.path().parent_path().filename().string();
        const auto record = protocol::parse_running(read_file(file.path()));
        if (record && file.path().stem() == record->attempt_id &&
            records::probe_executor(engines, executor).state == records::ExecutorState::alive)
            found.insert(record->execution_id);
    }
    return found;
}

void check_pauses(const ProjectState& state, const fs::path& root)
{
    const auto [pauses, problem] = records::read_pauses(root);
    CHECK(state.pauses_problem == problem);
    std::set<std::string> expected;
    if (pauses.all) expected.insert("all " + pauses.all->by);
    for (const auto& [name, pause] : pauses.agents) expected.insert("agent " + name + pause.by);
    for (const auto& [name, pause] : pauses.workflows) expected.insert("run " + name + pause.by);
    std::set<std::string> seen;
    for (const auto& pause : state.pauses) {
        const auto* const kind = pause.scope == PauseEntry::Scope::all     ? "all "
                                 : pause.scope == PauseEntry::Scope::agent ? "agent "
                                                                           : "run ";
        CHECK(seen.insert(kind + pause.name + pause.by).second);
    }
    CHECK(seen == expected);
}

// By the functions that read everything each time.
void check_against_lists(const ProjectState& state, const fs::path& root)
{
    std::map<std::string, bool> listed;
    for (const auto& [record, alive, host] : records::list_running(root))
        listed[record.attempt_id] = listed[record.attempt_id] || alive;
    std::map<std::string, bool> seen;
    for (const auto& entry : state.executions)
        if (!entry.attempt_id.empty())
            seen[entry.attempt_id] = entry.state != ExecutionState::interrupted;
    CHECK(seen == listed);

    const auto awaiting = awaiting_retry(root);
    std::set<std::string> between;
    for (const auto& entry : state.executions)
        if (entry.state == ExecutionState::starting && !entry.submitted_at)
            CHECK(between.insert(entry.execution_id).second);
    CHECK(between == awaiting);

    queue::QueueFolder queue(root);
    std::vector<std::string> waiting;
    for (const auto& request : queue.list_waiting())
        if (!awaiting.contains(request->id())) waiting.push_back(request->id());
    std::vector<std::string> queued;
    for (const auto& entry : state.executions)
        if (entry.state == ExecutionState::queued) queued.push_back(entry.execution_id);
    CHECK(queued == waiting);

    check_ended(state, root);
    check_pauses(state, root);

    std::set<std::string> runs;
    for (const auto& run : state.runs) runs.insert(run.run_id);
    std::string problem;
    std::size_t newer = 0;
    for (const auto& id : workflow::list_runs(root)) {
        auto run = workflow::read_run(root, id, problem);
        REQUIRE(run);
        const bool lives = run->alive && run->status == WorkflowStatus::running;
        CHECK(runs.contains(id) == (newer++ < 3 || lives));
    }
}

/// Real file events, of a part of what is watched: as if the system had too few watches, of which
/// other processes take and release some.
class FewWatches final : public Notifier {
public:
    FewWatches(std::shared_ptr<Notifier> real, unsigned seed)
        : real_(std::move(real)), random_(seed)
    {}

    Subscription watch(const fs::path& tree, std::function<void()> changed) override
    {
        return is_granted(tree) ? real_->watch(tree, std::move(changed)) : std::make_shared<int>();
    }
    Subscription watch_folder(const fs::path& folder, std::function<void()> changed) override
    {
        return is_granted(folder) ? real_->watch_folder(folder, std::move(changed))
                                  : std::make_shared<int>();
    }
    Subscription watch_entries(const fs::path& folder,
                               std::function<void(const std::string&)> changed) override
    {
        return is_granted(folder) ? real_->watch_entries(folder, std::move(changed))
                                  : std::make_shared<int>();
    }
    void notify(const fs::path& tree) override { real_->notify(tree); }
    Coverage coverage(const fs::path& path) const override
    {
        return granted_.contains(path) ? real_->coverage(path) : Coverage::none;
    }

    /// How often it was refused.
    [[nodiscard]] int refusals() const { return refusals_; }

private:
    bool is_granted(const fs::path& path)
    {
        if (random_() % 3 != 0) {
            granted_.erase(path);
            ++refusals_;
            return false;
        }
        granted_.insert(path);
        return true;
    }

    std::shared_ptr<Notifier> real_;
    std::mt19937 random_;
    std::set<fs::path> granted_;
    int refusals_ = 0;
};

/// Follows a project by a `WatchedProject`, with real file events and virtual time.
class Watcher {
public:
    static constexpr std::chrono::seconds interval{10};

    explicit Watcher(const History& history, std::optional<unsigned> seed_of_few_watches = {})
    {
        WatchedProjectOptions options;
        static_cast<ProjectReaderOptions&>(options) = reader_of(history);
        options.interval = interval;
        options.clock = clock_;
        if (seed_of_few_watches) {
            FileNotifierOptions events;
            events.project_root = history.root();
            few_ = std::make_shared<FewWatches>(file_notifier(ctx_.get_executor(), events),
                                                *seed_of_few_watches);
            options.notifier = few_;
        }
        project_.emplace(ctx_, options);
        wait();
        run_for(0s);
    }

    void run_for(std::chrono::nanoseconds time)
    {
        clock_->run_until(ctx_, clock_->elapsed() + time);
    }
    [[nodiscard]] const Follower& follower() const { return follower_; }
    [[nodiscard]] const FewWatches* few_watches() const { return few_.get(); }

private:
    void wait()
    {
        project_->async_wait_change(follower_.seen(),
                                    [this](error_code ec, const ProjectChanges& changes) {
                                        REQUIRE_FALSE(ec);
                                        follower_.apply_changes(changes);
                                        wait();
                                    });
    }

    asio::io_context ctx_;
    std::shared_ptr<VirtualClock> clock_ = std::make_shared<VirtualClock>();
    Follower follower_;
    std::shared_ptr<FewWatches> few_;
    std::optional<WatchedProject> project_;
};

ProjectState state_now(const History& history)
{
    ProjectReader reader(reader_of(history));
    reader.refresh();
    return reader.state();
}

}  // namespace

TEST_SUITE_BEGIN("sweep");

TEST_CASE("a reader that follows a project sees what a new reader sees")
{
    const auto seed = sweep_seed();
    for (unsigned round = 0; round < sweep_rounds(8, 400); ++round) {
        CAPTURE(round);
        History history(seed + round);
        ProjectReader reader(reader_of(history));
        std::vector<Follower> followers(3);
        for (int step = 0; step < 300; ++step) {
            history.play();
            if (history.below(3) == 0) continue;  // several changes between two looks
            const auto before = reader.position();
            const bool changed = reader.refresh();
            CHECK(changed == (reader.position() != before));
            const auto state = reader.state();
            CAPTURE(step);
            CAPTURE(history.last_operations());
            REQUIRE((state == state_now(history)));
            if (history.below(4) == 0) check_against_lists(state, history.root());
            auto& follower = followers[history.below(followers.size())];
            follower.follow(reader);
            REQUIRE(follower.difference_to(state) == "");
        }
    }
}

TEST_CASE("a watched project shows what a new reader sees, with and without file events")
{
    constexpr auto moment = 100ms;
    const auto seed = sweep_seed();
    for (unsigned round = 0; round < sweep_rounds(6, 200); ++round) {
        CAPTURE(round);
        History history(seed + round);
        for (int step = 0; step < 20; ++step) history.play();
        Watcher watcher(history);
        bool has_events = true;  // all since the last look
        for (int step = 0; step < 200; ++step) {
            const bool with_events = history.below(8) != 0;
            has_events = has_events && with_events;
            history.play(with_events);
            if (history.below(3) == 0) continue;
            CAPTURE(step);
            CAPTURE(has_events);
            watcher.run_for(std::exchange(has_events, true) ? moment : Watcher::interval + moment);
            CAPTURE(history.last_operations());
            REQUIRE(watcher.follower().difference_to(state_now(history)) == "");
        }
    }
}

TEST_CASE(
    "with too few watches, a watched project shows at the next look what events have not shown")
{
    const auto seed = sweep_seed();
    for (unsigned round = 0; round < sweep_rounds(4, 100); ++round) {
        CAPTURE(round);
        History history(seed + round);
        for (int step = 0; step < 20; ++step) history.play();
        Watcher watcher(history, seed + round);
        for (int step = 0; step < 100; ++step) {
            history.play();
            if (history.below(3) == 0) continue;
            watcher.run_for(Watcher::interval + 100ms);
            CAPTURE(step);
            CAPTURE(history.last_operations());
            REQUIRE(watcher.follower().difference_to(state_now(history)) == "");
        }
        CHECK(watcher.few_watches()->refusals() > 0);
    }
}

TEST_SUITE_END();
