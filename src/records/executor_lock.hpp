#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Locks of executors, which show whether they live: `running/engines/<executor id>.lock`.
namespace autoexec::records {

enum class ExecutorState {
    dead,
    alive,    ///< Its lock is held, or cannot be checked.
    unknown,  ///< It was started on another host, whose locks are not visible here.
};

struct ExecutorProbe {
    ExecutorState state = ExecutorState::dead;
    std::string host{};  ///< If that is another.
};

/// Probes with a shared lock, so that concurrent probes do not take each other for an executor.
ExecutorProbe probe_executor(const files::UniqueFd& engines, const std::string& id);

/// What an executor has written about itself. Nullopt: its lock is missing.
std::optional<protocol::ExecutorLockFile> read_executor_lock(const files::UniqueFd& engines,
                                                             const std::string& id);

/// The ids of all executors that have locks, also of dead ones.
std::vector<std::string> list_executor_locks(const files::UniqueFd& engines);

/// Held until destruction, which unlocks it explicitly: a child of a fork without an exec may have
/// a copy of the descriptor.
class ExecutorLock {
public:
    static std::optional<ExecutorLock> create(const std::filesystem::path& project_root,
                                              const std::string& id, error_code& ec);

    /// Locks that of a dead executor. Nullopt if it lives or may live, or if another process was
    /// faster.
    static std::optional<ExecutorLock> take_over(const std::filesystem::path& project_root,
                                                 const std::string& id);

    ExecutorLock(ExecutorLock&& other) noexcept = default;
    ExecutorLock& operator=(ExecutorLock&& other) noexcept = default;
    ~ExecutorLock();

    /// Removes the file, and the folder of the locks if it is empty then.
    void remove() const;

private:
    ExecutorLock(files::UniqueFd folder, files::UniqueFd file, std::string name)
        : folder_(std::move(folder)), file_(std::move(file)), name_(std::move(name))
    {}

    files::UniqueFd folder_;
    files::UniqueFd file_;
    std::string name_;
};

/// Removes locks of dead executors that have no folder of records.
void sweep_executor_locks(const std::filesystem::path& project_root, int running);

}  // namespace autoexec::records
