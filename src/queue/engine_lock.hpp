#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/queue_file.hpp"

#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

/// Which process is the engine of a project's queue: `queue/engine.lock`. Its file stays when it is
/// unlocked, so that all processes lock the same one.
namespace autoexec::queue {

/// Held until destruction, which unlocks it explicitly: a child of a fork without an exec may have
/// a copy of the descriptor.
class EngineLock {
public:
    /// Nullopt without an error: another process has it. Waits at most 100 ms for processes that
    /// only look who has it.
    static std::optional<EngineLock> acquire(const std::filesystem::path& project_root,
                                             const protocol::QueueEngineFile& content,
                                             error_code& ec);

    EngineLock(EngineLock&&) noexcept = default;
    EngineLock& operator=(EngineLock&&) noexcept = default;
    ~EngineLock();

private:
    explicit EngineLock(files::UniqueFd file) : file_(std::move(file)) {}

    files::UniqueFd file_;
};

struct EngineProbe {
    bool alive = false;
    /// The last one that was alive. Absent: it has just begun, or there has been none.
    std::optional<protocol::QueueEngineFile> engine;
};

/// As of now.
EngineProbe look_at_engine(const std::filesystem::path& project_root);

/// Waits at most 100 ms for what a new engine writes about itself.
EngineProbe probe_engine(const std::filesystem::path& project_root);

/// From then on the engine starts nothing more, and ends when its commands have ended. Remains
/// until the next engine begins.
error_code request_drain(const std::filesystem::path& project_root);
/// The same, and the engine cancels its commands. An engine of an older version only drains.
error_code request_stop(const std::filesystem::path& project_root);
/// After either request.
[[nodiscard]] bool is_draining(const std::filesystem::path& project_root);
[[nodiscard]] bool is_stopping(const std::filesystem::path& project_root);
/// Withdraws both. For an engine that begins.
void end_drain(const std::filesystem::path& project_root);

/// Compares `1.2.3`, number by number.
[[nodiscard]] bool is_older_version(std::string_view version, std::string_view other);

}  // namespace autoexec::queue
