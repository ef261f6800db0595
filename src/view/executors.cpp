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

std::shared_ptr<const ExecutorEntry> executor_entry(const files::UniqueFd& engines,
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

EntryList<ExecutorEntry> Executors::refresh(const std::filesystem::path& project_root)
{
    EntryList<ExecutorEntry> entries;
    const auto engines = records::open_engines(project_root);
    std::set<std::string> ids;
    for (auto& id : records::list_executor_locks(engines)) ids.insert(std::move(id));
    (void)keep_only(executors_, ids);
    for (auto& [id, executor] : executors_) {
        executor.life.probe(engines, true, id);
        const bool alive = executor.life.alive();
        if (!executor.entry || executor.entry->alive != alive)
            executor.entry = executor_entry(engines, id, alive);
        if (executor.entry) entries.push_back(executor.entry);
    }
    return entries;
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
