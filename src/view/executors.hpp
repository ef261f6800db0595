#pragma once

#include "autoexec/error.hpp"
#include "autoexec/view.hpp"
#include "files/safe_files.hpp"
#include "records/executor_lock.hpp"
#include "view/entries.hpp"

#include <map>
#include <optional>
#include <string>

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

/// The executors that have locks.
class Executors {
public:
    /// Reads again what has changed, and returns all.
    EntryList<ExecutorEntry> refresh(const std::filesystem::path& project_root);

private:
    struct Known {
        ExecutorLife life;
        std::shared_ptr<const ExecutorEntry> entry;
    };
    std::map<std::string, Known> executors_;
};

/// Absent: there has been none.
std::optional<QueueEngineEntry> find_queue_engine(const std::filesystem::path& project_root);

/// Those that live.
EntryList<AgentProcessEntry> find_agent_processes(const std::filesystem::path& project_root);

}  // namespace autoexec::view
