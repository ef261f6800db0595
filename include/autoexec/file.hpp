#pragma once

#include <autoexec/error.hpp>

#include <cstdint>
#include <string>

/// Types for small files in the library's interfaces.
namespace autoexec::inline v1 {

/// How durable a file is before its writer continues.
enum class Durability {
    none,     ///< Records may wait in memory for up to one second.
    process,  ///< Written: survives kill -9.
    power,    ///< Synced to the disk: survives a power cut.
};

/// The version of a file. If two reads have equal stamps, their content is the same.
struct FileStamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::uint64_t size = 0;

    bool operator==(const FileStamp&) const = default;
};

/// A small file, as read. `text` is set only for `present`.
struct FoundFile {
    /// What was found.
    enum class State {
        absent,
        present,
        unsafe,     ///< Not a regular file, a link, or another user's.
        too_large,  ///< `stamp.size` is its size.
        unreadable,
    };
    State state = State::absent;
    std::string text;
    FileStamp stamp;
    std::string problem;  ///< For a person; empty for `absent` and `present`.
    error_code reason;    ///< Of `unreadable`: the error of the system.
};

}  // namespace autoexec::inline v1
