#pragma once

#include "autoexec/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// Locks of open files. No function waits.
namespace autoexec::files {

/// True if a file or folder has lost its last name.
bool is_removed(int fd) noexcept;

/// Locks a file exclusively (`flock`). `EWOULDBLOCK`: another process has locked it. `ENOENT`: it
/// was removed after it was opened, so that its lock excludes no one who opens it later.
error_code lock_unless_removed(int file) noexcept;

/// The same, but `ENOENT` also if another file has its path meanwhile.
error_code lock_if_at(int folder, const std::string& path, int file) noexcept;

/// Locks of bytes, which need not exist (`F_OFD_SETLK`). Each belongs to the open file:
/// closing another descriptor of the same file does not release it, and the kernel releases it at
/// the end of its process.
enum class ByteLock { shared, exclusive, none };

/// Locks or unlocks so many bytes, at least one. `EAGAIN`: another open file has locked one.
error_code set_byte_lock(int file, std::int64_t first, ByteLock kind,
                         std::int64_t count = 1) noexcept;

/// A byte for a name, below 2^60: practically no two names share one.
std::int64_t byte_of(std::string_view name);

/// The first byte from `first` on behind which no other open file has locked one; `first` if that
/// cannot be checked.
std::int64_t end_of_locked_bytes(int file, std::int64_t first) noexcept;

/// True if another open file has locked one of them in any way, and if that cannot be checked.
bool is_byte_locked(int file, std::int64_t first, std::int64_t count = 1) noexcept;

}  // namespace autoexec::files
