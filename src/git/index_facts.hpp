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

/// Properties of an index that decide whether it can be reused.
struct IndexFacts {
    bool readable = false;
    bool hides_changes = false;  ///< Some files are marked assume-unchanged.
    std::vector<Gitlink> gitlinks;
    std::vector<UnmergedEntry> unmerged;

    /// True if it can become the index of all files.
    [[nodiscard]] bool sound() const { return readable && !hides_changes && unmerged.empty(); }
};

/// Parses `ls-files -v -s -z`. A `sparse` tree omits some files intentionally.
IndexFacts facts_of(const ProgramOutput& listing, bool sparse);

/// True if only a part of the files is checked out.
bool is_sparse(const Entry& entry);

}  // namespace autoexec::git
