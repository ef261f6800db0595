#pragma once

#include <autoexec/error.hpp>

#include <cstdint>
#include <string>

/// What the library's interfaces say about small files.
namespace autoexec::inline v1 {

/// How durable a file is before its writer continues.
enum class Durability {
    none,     ///< Records may wait in memory for up to one second.
    process,  ///< Written: survives kill -9.
    power,    ///< Synced to the disk: survives a power cut.
};

/// Which version of a file this is. Two looks with equal stamps saw the same content.
struct FileStamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::uint64_t size = 0;

    bool operator==(const FileStamp&) const = default;
};

/// A small file as found. `text` is set only for `present`.
struct FoundFile {
    /// What was found.
    enum class State {
        absent,
        present,
        unsafe,     ///< Not a regular file, a link, or another user's.
        too_large,  ///< `stamp.size` says how large.
        unreadable,
    };
    State state = State::absent;
    std::string text;
    FileStamp stamp;
    std::string problem;  ///< For a person; empty for `absent` and `present`.
    error_code reason;    ///< Of `unreadable`: what the system said.
};

}  // namespace autoexec::inline v1
