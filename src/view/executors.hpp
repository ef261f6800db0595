#pragma once

#include "autoexec/view.hpp"
#include "files/safe_files.hpp"
#include "records/executor_lock.hpp"
#include "view/entries.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::view {

/// Whether an executor lives. One that is dead stays so: it is not probed again, because a probe
/// keeps others from taking over its records for a moment.
class ExecutorLife {
public:
    void probe(const files::UniqueFd& engines, bool engines_known, const std::string& id);

    [[nodiscard]] bool alive() const noexcept
    {
        return found_.state != records::ExecutorState::dead;
    }
    [[nodiscard]] const std::string& other_host() const noexcept { return found_.host; }

private:
    records::ExecutorProbe found_;
    bool is_dead_ = false;
};

/// The executors that have locks or records.
class ExecutorLives {
public:
    explicit ExecutorLives(std::filesystem::path project_root)
        : project_root_(std::move(project_root))
    {}

    /// Finds the locks. Those of `with_records` are executors, too.
    void refresh(const std::set<std::string>& with_records);

    /// Probes the lock of one. True if it lives now, or is dead, and was not before.
    bool look_at(const std::string& id);

    /// All that are known.
    [[nodiscard]] std::vector<std::string> ids() const;

    /// As of its last probe.
    [[nodiscard]] const ExecutorLife& life_of(const std::string& id);

    /// Those that have changed since the last call.
    [[nodiscard]] std::set<std::string> take_changed() { return std::exchange(changed_, {}); }
    /// Null: it has no lock.
    [[nodiscard]] std::shared_ptr<const ExecutorEntry> find(const std::string& id) const;

private:
    struct Known {
        ExecutorLife life;
        std::shared_ptr<const ExecutorEntry> entry;
    };
    bool look_at(const files::UniqueFd& engines, bool engines_known, const std::string& id,
                 Known& known);

    std::filesystem::path project_root_;
    std::map<std::string, Known> known_;
    std::set<std::string> changed_;
};

/// Absent: there has been none.
std::optional<QueueEngineEntry> find_queue_engine(const std::filesystem::path& project_root);

/// Those that live.
EntryList<AgentProcessEntry> find_agent_processes(const std::filesystem::path& project_root);

}  // namespace autoexec::view
