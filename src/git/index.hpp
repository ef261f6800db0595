#pragma once

#include "async/short_names.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <string>
#include <string_view>
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

/// Adds the arguments of `update-index` for an entry.
void add_entry(Words& words, std::string_view mode, std::string_view id, std::string_view path);

}  // namespace autoexec::git
