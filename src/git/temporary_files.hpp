#pragma once

#include "autoexec/error.hpp"

#include "git/entry.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::git {

/// Copies an index with its time. Returns false if it cannot be read or is too large for an index.
[[nodiscard]] bool copy_index(const std::filesystem::path& from, const std::filesystem::path& to);

/// A private index beside that of a tree: an agent's index lock does not block it, and the agent's
/// staged content is not changed. Removed on destruction.
class TemporaryIndex {
public:
    /// An empty index; nothing is written yet.
    explicit TemporaryIndex(const Entry& entry);
    TemporaryIndex(TemporaryIndex&& other) noexcept : file_(std::exchange(other.file_, {})) {}
    TemporaryIndex& operator=(TemporaryIndex&& other) noexcept
    {
        file_.swap(other.file_);
        return *this;
    }
    ~TemporaryIndex();

    [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
    /// The problem for an index that cannot be written.
    [[nodiscard]] error_code problem() const noexcept { return problem_; }

    /// Copies another index with its time: git compares that to decide whether a file changed in
    /// the same second must be read again.
    [[nodiscard]] bool copy_from(const std::filesystem::path& index) const
    {
        return copy_index(index, file_);
    }

    /// Replaces the tree's index, under git's lock. Returns false if the lock is taken.
    [[nodiscard]] bool install(const Entry& entry);

private:
    std::filesystem::path file_;
    error_code problem_;
};

/// A file with paths for `--pathspec-from-file`. Removed on destruction.
class PathFile {
public:
    PathFile(const Entry& entry, const std::vector<std::string>& paths);
    ~PathFile();
    PathFile(const PathFile&) = delete;
    PathFile& operator=(const PathFile&) = delete;

    [[nodiscard]] std::string option() const { return "--pathspec-from-file=" + file_.string(); }

private:
    std::filesystem::path file_;
};

/// The paths, each with a NUL after it.
std::string nul_terminated(const std::vector<std::string>& paths);

/// Removes indexes, `NestedView`s and index locks of a killed executor. Call it only while no other
/// executor uses the tree.
void sweep_temporary_indexes(const Entry& entry);

}  // namespace autoexec::git
