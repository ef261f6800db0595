#include "workflow/journal/journal.hpp"

#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"
#include "workflow/plan/expansion.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>

/// Runs, as readers find them in their journals.
namespace autoexec::workflow {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t first_line_limit = 1024 * 1024;
constexpr std::size_t max_runs = 100'000;

}  // namespace

/// Applies the transitions of a run to its state.
class RunFold::State {
public:
    /// Empty for a line that is left out.
    std::optional<protocol::JournalEntry> add_line(std::string_view line)
    {
        auto entry = protocol::read_journal_entry(line, last_);
        if (!entry) return std::nullopt;
        last_ = entry->seq;
        time_ = entry->time;
        const auto* const id = protocol::step_of(entry->transition);
        step_ = id ? find(*id) : nullptr;
        run_.waits_for.reset();
        if (step_ || !id)
            std::visit([this](const auto& transition) { apply(transition); }, entry->transition);
        return entry;
    }

    [[nodiscard]] const RunEntry& run() const noexcept { return run_; }
    [[nodiscard]] const std::string& hash() const noexcept { return hash_; }

private:
    // For the executor alone, or followed by another transition.
    void apply(std::monostate) {}
    void apply(const protocol::StepReady&) {}
    void apply(const protocol::StepRetried&) {}

    // Repeated when a run is resumed: the steps keep their state.
    void apply(const protocol::RunStarted& start)
    {
        run_.run_id = start.run_id;
        run_.workflow_id = start.workflow_id;
        run_.name = start.name;
        run_.path = start.path;
        hash_ = start.hash;
        run_.branch = start.branch;
        run_.pid = start.pid;
        run_.automatic = start.automatic;
        run_.parent_run = start.parent_run;
        run_.parent_step = start.parent_step;
        if (!run_.started_at) run_.started_at = time_;
        run_.ended_at.reset();
        run_.error.clear();
        run_.status = WorkflowStatus::running;
        for (const auto& planned : start.steps) {
            auto* const step = find(planned.id);
            if (step == nullptr) continue;
            step->agent = planned.agent;
            step->action = planned.action;
        }
    }

    void apply(const protocol::RunWaiting& waiting)
    {
        run_.waits_for = RunWait{waiting.group, waiting.run_id};
        run_.pid = waiting.pid;
        run_.ended_at.reset();
        run_.error.clear();
        run_.status = WorkflowStatus::running;
    }

    void apply(const protocol::Restarted& restart) { reset_all(restart.steps); }
    void apply(const protocol::SentBack& back) { reset_all(back.steps); }

    void apply(const protocol::StepStarted& start)
    {
        reset(*step_);
        step_->state = StepState::running;
        step_->round = start.round;
        step_->started_at = time_;
        step_->execution_id = start.execution_id;
        step_->worktree = start.worktree;
        step_->child_run = start.child_run;
        const auto& child = start.child_run;
        if (!child.empty() && std::ranges::count(step_->child_runs, child) == 0)
            step_->child_runs.push_back(child);
    }

    void apply(const protocol::StepPrepared& prepared)
    {
        step_->branch = prepared.branch;
        if (!prepared.worktree.empty()) step_->worktree = prepared.worktree;
    }

    void apply(const protocol::StepWaiting& waiting)
    {
        step_->state = StepState::waiting_manual;
        step_->round = waiting.round;
        step_->wait = waiting.wait;
    }

    void apply(const protocol::StepEnded& end)
    {
        const auto& result = end.result;
        add_usage(result);
        // A gate went back to a step before it: it runs again.
        if (end.discarded) return reset(*step_);
        step_->state = result.state;
        step_->round = result.round;
        step_->reason = result.reason;
        step_->attempts = 0;
        if (const auto& execution = result.execution) {
            if (!execution->execution_id.empty()) step_->execution_id = execution->execution_id;
            step_->attempts = execution->attempts;
        }
        if (result.started_at) step_->started_at = result.started_at;
        step_->ended_at = result.ended_at;
        step_->duration_seconds = std::chrono::duration<double>(result.duration).count();
        step_->commit = result.commit;
        step_->cached_from = result.cached_from;
        step_->wait.reset();
        step_->answer = result.answer;
    }

    void apply(const protocol::StepExecuted& executed)
    {
        add_usage(executed.result);
        if (!step_->wait) return;
        step_->state = StepState::running;
        step_->wait.reset();
        step_->answer = executed.result.answer;
    }

    void add_usage(const StepResult& result)
    {
        if (const auto& execution = result.execution; execution && execution->usage)
            step_->usage.insert_or_assign(execution->execution_id, *execution->usage);
    }

    void apply(const protocol::StepPicked&) {}

    void apply(const protocol::StepExpanded& expanded)
    {
        const auto agent = step_->agent;  // `find` may move the steps
        const auto action = step_->action;
        for (std::size_t k = 1; k <= expanded.items.size(); ++k) {
            auto* const part = find(protocol::part_id(expanded.step, k));
            part->agent = agent_for_item(agent, expanded.items[k - 1]);
            part->action = action;
        }
    }

    // A gate that does not pass may fail a step that had completed.
    void apply(const protocol::GateJudged& judged)
    {
        if (!judged.state) return;
        step_->state = *judged.state;
        if (!judged.reason.empty()) step_->reason = judged.reason;
    }

    void apply(const protocol::StepSkipped& skipped)
    {
        reset(*step_);
        step_->state = StepState::skipped;
        step_->round = skipped.round;
        step_->reason = skipped.reason;
        step_->ended_at = time_;
    }

    void apply(const protocol::Merged& merged) { run_.commit = merged.commit; }

    void apply(const protocol::RunEnded& end)
    {
        run_.status = end.status;
        run_.error = end.error;
        run_.ended_at = time_;
    }

    void reset_all(const std::vector<std::string>& ids)
    {
        for (const auto& id : ids)
            if (auto* const step = find(id)) reset(*step);
    }

    /// Makes it pending again. Its identity, its usage and the number of its last round stay.
    static void reset(StepRecord& step)
    {
        StepRecord fresh;
        fresh.id = std::move(step.id);
        fresh.agent = std::move(step.agent);
        fresh.action = std::move(step.action);
        fresh.round = step.round;
        fresh.usage = std::move(step.usage);
        fresh.child_runs = std::move(step.child_runs);
        step = std::move(fresh);
    }

    /// Adds a step that the first line does not name: that line may be lost. Null without an id.
    StepRecord* find(const std::string& id)
    {
        if (id.empty()) return nullptr;
        const auto [at, fresh] = places_.emplace(id, run_.steps.size());
        if (fresh) run_.steps.emplace_back().id = id;
        return &run_.steps[at->second];
    }

    RunEntry run_;
    std::string hash_;
    std::int64_t last_ = 0;                                // its number
    std::unordered_map<std::string, std::size_t> places_;  // a journal may name very many steps
    // Of the transition:
    protocol::EntryTime time_;
    StepRecord* step_ = nullptr;
};

namespace {

bool is_alive(int folder, const std::string& name)
{
    error_code ec;
    const auto fd = records::Folder::open_log(folder, name, ec);
    return fd && is_locked(fd.get());
}

/// A part of it, if it is longer than the limit or incomplete.
std::string first_line(int fd)
{
    constexpr std::size_t chunk = 16 * 1024;
    std::string text;
    for (auto end = text.npos; end == text.npos && text.size() < first_line_limit;) {
        const auto used = text.size();
        text.resize(used + chunk);
        const auto n = ::pread(fd, text.data() + used, chunk, static_cast<off_t>(used));
        text.resize(used + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n <= 0) break;
        end = text.find('\n', used);
        if (end != text.npos) text.resize(end);
    }
    return text;
}

}  // namespace

RunFold::RunFold() : state_(std::make_unique<State>()) {}
RunFold::~RunFold() = default;
RunFold::RunFold(RunFold&&) noexcept = default;
RunFold& RunFold::operator=(RunFold&&) noexcept = default;

std::optional<protocol::JournalEntry> RunFold::add_line(std::string_view line)
{
    return state_->add_line(line);
}

const RunEntry& RunFold::run() const noexcept
{
    return state_->run();
}

const std::string& RunFold::hash() const noexcept
{
    return state_->hash();
}

bool is_newer(const ListedRun& a, const ListedRun& b)
{
    return std::tie(b.started, b.name) < std::tie(a.started, a.name);
}

std::optional<ListedRun> list_run(int folder, const std::string& name)
{
    if (!name.ends_with(journal_suffix)) return std::nullopt;
    error_code ec;
    const auto fd = records::Folder::open_log(folder, name, ec);
    if (!fd) return std::nullopt;
    const auto line = text::read_json_object(first_line(fd.get()));
    std::vector<std::string> ignored;
    const bool valid = line.kind == text::JsonReading::Kind::valid;
    const text::Fields top(valid ? &line.object : nullptr, ignored);
    ListedRun run{top.time("time"), name, top.string("run_id").value_or("")};
    // Truncated, or a copy of another journal: then the id is the file's name, if that can be one.
    if (journal_name(run.run_id) != name)
        run.run_id = name.substr(0, name.size() - journal_suffix.size());
    if (journal_name(run.run_id) != name) return std::nullopt;
    return run;
}

RunRecord parse_journal(std::string_view text)
{
    RunFold fold;
    RunRecord record;
    while (!text.empty()) {
        // Without a newline: its writer was stopped in the middle of it.
        const auto end = text.find('\n');
        auto entry = end == text.npos ? std::nullopt : fold.add_line(text.substr(0, end));
        if (entry)
            record.transitions.push_back(*std::move(entry));
        else
            ++record.skipped_lines;
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    static_cast<RunEntry&>(record) = fold.run();
    record.hash = fold.hash();
    return record;
}

std::optional<RunRecord> read_run(const fs::path& project_root, std::string_view run_id,
                                  std::string& problem)
{
    problem.clear();
    error_code ec;
    const auto folder = state_folder(project_root).open(ec);
    const auto name = journal_name(run_id);
    FoundFile found;
    bool alive = false;
    if (folder) {
        // Checked before reading: otherwise a run that ends in between would look interrupted.
        alive = is_alive(folder.get(), name);
        found = files::read_regular(folder.get(), name, journal_limit, {});
    } else if (ec != boost::system::errc::no_such_file_or_directory) {
        found.state = FoundFile::State::unreadable;
        found.problem = ec.message();
    }
    if (found.state == FoundFile::State::absent) {
        problem = fmt::format("There is no run {}.", text::printable(run_id));
        return std::nullopt;
    }
    if (found.state != FoundFile::State::present) {
        problem = fmt::format("The journal of run {} cannot be read: {}", text::printable(run_id),
                              found.problem);
        return std::nullopt;
    }
    auto run = parse_journal(found.text);
    run.run_id = run_id;
    run.alive = alive;
    if (!alive) run.waits_for.reset();
    return run;
}

std::string run_of_journal(int folder, const std::string& name)
{
    auto run = list_run(folder, name);
    return run ? std::move(run->run_id) : std::string();
}

std::vector<std::string> list_runs(const fs::path& project_root)
{
    error_code ec;
    const auto folder = state_folder(project_root).open(ec);
    if (!folder) return {};
    std::vector<ListedRun> runs;
    for (const auto& name : files::list_folder(folder.get(), max_runs))
        if (auto run = list_run(folder.get(), name)) runs.push_back(std::move(*run));
    std::sort(runs.begin(), runs.end(), is_newer);
    std::vector<std::string> ids;
    ids.reserve(runs.size());
    for (auto& run : runs) ids.push_back(std::move(run.run_id));
    return ids;
}

}  // namespace autoexec::workflow
