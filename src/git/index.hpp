#pragma once

#include "async/short_names.hpp"
#include "autoexec/error.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::git {

constexpr std::string_view gitlink_mode = "160000";

struct IndexEntry {
    std::string mode;
    std::string id;
    std::size_t stage = 0;  ///< Of a conflict, 1: the common base, 2: ours, 3: theirs.
    std::string path;
};

/// Properties of an index that decide whether it can be reused.
struct IndexFacts {
    std::string problem = "there is none";  ///< Why it cannot be read.
    bool hides_changes = false;             ///< Some files are marked assume-unchanged.
    std::vector<IndexEntry> gitlinks;       ///< Submodules: a commit at a path.
    std::vector<IndexEntry> unmerged;

    [[nodiscard]] bool readable() const { return problem.empty(); }
    /// True if it can become the index of all files.
    [[nodiscard]] bool sound() const { return readable() && !hides_changes && unmerged.empty(); }
};

/// A `sparse` tree omits some files intentionally. `git` must outlive the operation.
asio::awaitable<IndexFacts> read_index(const Git& git, GitContext context, bool sparse);

/// The same; `visit` is called with each path.
using PathVisitor = std::function<void(std::string_view path)>;
asio::awaitable<IndexFacts> read_index(const Git& git, GitContext context, bool sparse,
                                       PathVisitor visit);
/// The same without git, for one that is not sparse. `id_size`: of the repository's object ids, in
/// bytes. Nullopt: git must be asked.
std::optional<IndexFacts> read_index(const fs::path& index, std::size_t id_size,
                                     const PathVisitor& visit);

/// False if an index certainly has no file `.gitattributes`.
[[nodiscard]] bool may_have_attributes(const fs::path& index, std::size_t id_size);

/// Adds the arguments of `update-index` for an entry.
void add_entry(Words& words, std::string_view mode, std::string_view id, std::string_view path);

/// Copies an index with its time. Returns false if it cannot be read or is too large for an index.
[[nodiscard]] bool copy_index(const fs::path& from, const fs::path& to);

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

    [[nodiscard]] const fs::path& file() const noexcept { return file_; }
    /// The problem for an index that cannot be written.
    [[nodiscard]] error_code problem() const noexcept { return problem_; }

    /// Copies another index with its time: git compares that to decide whether a file changed in
    /// the same second must be read again.
    [[nodiscard]] bool copy_from(const fs::path& index) const { return copy_index(index, file_); }

    /// Replaces the tree's index, under git's lock. Returns false if the lock is taken.
    [[nodiscard]] bool install(const Entry& entry);

private:
    fs::path file_;
    error_code problem_;
};

/// A file with paths for `--pathspec-from-file`. Removed on destruction.
class PathFile {
public:
    PathFile(const Entry& entry, const Words& paths);
    ~PathFile();
    PathFile(const PathFile&) = delete;
    PathFile& operator=(const PathFile&) = delete;

    [[nodiscard]] std::string option() const { return "--pathspec-from-file=" + file_.string(); }

private:
    fs::path file_;
};

/// The paths, each with a NUL after it.
std::string nul_terminated(const Words& paths);

/// Removes indexes, `NestedView`s and index locks of a killed executor. Call it only while no other
/// executor uses the tree.
void sweep_temporary_indexes(const Entry& entry);

}  // namespace autoexec::git
