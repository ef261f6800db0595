#include "view/executors.hpp"

#include "queue/engine_lock.hpp"
#include "records/agent_presence.hpp"
#include "records/running_folder.hpp"
#include "view/stamps.hpp"

#include <memory>
#include <set>
#include <utility>

namespace autoexec::view {
namespace {

std::shared_ptr<const ExecutorEntry> make_executor_entry(const files::UniqueFd& engines,
                                                         const std::string& id, bool alive)
{
    const auto lock = records::read_executor_lock(engines, id);
    if (!lock) return nullptr;
    return std::make_shared<const ExecutorEntry>(ExecutorEntry{id, lock->pid, lock->host, alive});
}

}  // namespace

void ExecutorLife::probe(const files::UniqueFd& engines, bool engines_known, const std::string& id)
{
    if (is_dead_) return;
    found_ = records::probe_executor(engines, id);
    is_dead_ = !alive() && engines_known;
}

void ExecutorLives::refresh(const std::set<std::string>& with_records)
{
    error_code problem;
    const auto engines = records::open_engines(project_root_, &problem);
    auto ids = with_records;
    for (auto& id : records::list_executor_locks(engines)) ids.insert(std::move(id));
    for (const auto& [id, known] : known_)
        if (!ids.contains(id)) changed_.insert(id);
    (void)keep_only(known_, ids);
    for (auto& [id, known] : known_) (void)look_at(engines, !problem, id, known);
}

bool ExecutorLives::look_at(const std::string& id)
{
    error_code problem;
    const auto engines = records::open_engines(project_root_, &problem);
    return look_at(engines, !problem, id, known_[id]);
}

bool ExecutorLives::look_at(const files::UniqueFd& engines, bool engines_known,
                            const std::string& id, Known& known)
{
    const bool was_alive = known.life.alive();
    known.life.probe(engines, engines_known, id);
    auto now = make_executor_entry(engines, id, known.life.alive());
    const bool is_same = now && known.entry ? *now == *known.entry : now == known.entry;
    if (!is_same) changed_.insert(id);
    known.entry = std::move(now);
    return known.life.alive() != was_alive;
}

std::vector<std::string> ExecutorLives::ids() const
{
    std::vector<std::string> ids;
    for (const auto& [id, known] : known_) ids.push_back(id);
    return ids;
}

const ExecutorLife& ExecutorLives::life_of(const std::string& id)
{
    if (!known_.contains(id)) (void)look_at(id);
    return known_.at(id).life;
}

std::shared_ptr<const ExecutorEntry> ExecutorLives::find(const std::string& id) const
{
    const auto known = known_.find(id);
    return known == known_.end() ? nullptr : known->second.entry;
}

std::optional<QueueEngineEntry> find_queue_engine(const std::filesystem::path& project_root)
{
    auto probe = queue::look_at_engine(project_root);
    if (!probe.alive && !probe.engine) return std::nullopt;
    QueueEngineEntry entry;
    entry.alive = probe.alive;
    entry.draining = probe.alive && queue::is_draining(project_root);
    if (!probe.engine) return entry;
    entry.pid = probe.engine->pid;
    entry.host = std::move(probe.engine->host);
    entry.version = std::move(probe.engine->version);
    entry.started_at = probe.engine->started_at;
    entry.log = std::move(probe.engine->log);
    return entry;
}

EntryList<AgentProcessEntry> find_agent_processes(const std::filesystem::path& project_root)
{
    EntryList<AgentProcessEntry> entries;
    for (auto& [record, alive] : records::list_agents(project_root))
        if (alive)
            entries.push_back(std::make_shared<const AgentProcessEntry>(
                AgentProcessEntry{record.agent_id, record.pid, std::move(record.host),
                                  record.started_at, std::move(record.agents)}));
    return entries;
}

}  // namespace autoexec::view
