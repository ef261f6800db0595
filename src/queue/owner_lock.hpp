#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

/// Runs in the foreground whose commands wait in the queue. Each holds a byte of
/// `queue/owners.lock` locked, until its process ends.
namespace autoexec::queue {

class OwnerLock {
public:
    static std::optional<OwnerLock> create(const std::filesystem::path& project_root,
                                           error_code& ec);

    /// For `protocol::QueuedRequest::owner`.
    [[nodiscard]] const std::string& id() const noexcept { return id_; }

private:
    OwnerLock(files::UniqueFd file, std::string id) : file_(std::move(file)), id_(std::move(id)) {}

    files::UniqueFd file_;
    std::string id_;
};

/// True also if that cannot be checked.
[[nodiscard]] bool is_owner_alive(const std::filesystem::path& project_root,
                                  const std::string& owner);

}  // namespace autoexec::queue
