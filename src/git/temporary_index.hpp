#pragma once

#include "git/entry.hpp"

#include <filesystem>
#include <string>
#include <utility>

namespace autoexec::git {

/// Copies an index with its time. False: it can't be read, or is larger than any index can be.
[[nodiscard]] bool copy_index(const std::filesystem::path& from, const std::filesystem::path& to);

/// An index of our own beside that of a tree: an agent's lock is not in our way, and what the agent
/// has staged stays as it is. Removed when destroyed.
class TemporaryIndex {
public:
    /// An empty one; nothing is written yet.
    explicit TemporaryIndex(const Entry& entry);
    TemporaryIndex(TemporaryIndex&& other) noexcept : file_(std::exchange(other.file_, {})) {}
    TemporaryIndex& operator=(TemporaryIndex&& other) noexcept
    {
        file_.swap(other.file_);
        return *this;
    }
    ~TemporaryIndex();

    [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
    /// That it can't be written.
    [[nodiscard]] error_code problem() const noexcept { return problem_; }

    /// Takes the content of another index, and its time: by that git tells whether a file that was
    /// changed in the same second must be looked at again.
    [[nodiscard]] bool copy_from(const std::filesystem::path& index) const
    {
        return copy_index(index, file_);
    }

    /// Puts it in the place of the tree's index, under git's lock. False: another has that.
    [[nodiscard]] bool install(const Entry& entry);

private:
    std::filesystem::path file_;
    error_code problem_;
};

/// Removes what an engine that was killed has left of such indexes and of `NestedView`s, and its
/// lock. Only while no other engine works with the tree.
void sweep_temporary_indexes(const Entry& entry);

}  // namespace autoexec::git
