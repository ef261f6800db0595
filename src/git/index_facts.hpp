#pragma once

#include "git/entry.hpp"
#include "git/git.hpp"
#include "git/nested_files.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace autoexec::git {

struct UnmergedEntry {
    std::string mode;
    std::string id;
    std::size_t stage = 0;  ///< 1: the common base, 2: ours, 3: theirs.
    std::string path;
};

/// What must be known of an index before it is built upon.
struct IndexFacts {
    bool readable = false;
    bool hides_changes = false;  ///< Of some files git is told to believe that they are unchanged.
    std::vector<Gitlink> gitlinks;
    std::vector<UnmergedEntry> unmerged;

    /// Whether it can become the index of all files.
    [[nodiscard]] bool sound() const { return readable && !hides_changes && unmerged.empty(); }
};

/// From `ls-files -v -s -z`. In a `sparse` tree some files are left out on purpose.
IndexFacts facts_of(const ProgramOutput& listing, bool sparse);

/// Whether only a part of the files is checked out.
bool is_sparse(const Entry& entry);

}  // namespace autoexec::git
