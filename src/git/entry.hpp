#pragma once

#include "git/place.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// A linked worktree as the repository knows it, found without git: what stands in the tree itself
/// is the agent's to change, this is not.
struct Entry {
    std::filesystem::path git_dir;  ///< `<common directory>/worktrees/<id>`
    std::filesystem::path common_dir;
    std::filesystem::path tree;

    [[nodiscard]] std::string name() const { return tree.filename().string(); }
    [[nodiscard]] bool missing() const;
    /// Where our own files about the tree lie; gone with it.
    [[nodiscard]] std::filesystem::path records() const { return git_dir / "autoexec"; }
    /// To work in the tree, or, where that is missing, with what git keeps of it.
    [[nodiscard]] Place place() const;
    /// Whether it has an index. One that was never filled has none.
    [[nodiscard]] bool has_index() const;
};

std::vector<Entry> entries_of(const std::filesystem::path& common_dir);

/// The one of the tree at this path, which need not exist any more.
std::optional<Entry> find_entry(const std::filesystem::path& common_dir,
                                const std::filesystem::path& tree);

/// The branch that is checked out; empty if HEAD is detached.
std::string branch_of(const std::filesystem::path& git_dir);

/// True when the branch is checked out there, or being rebased.
bool uses_branch(const std::filesystem::path& git_dir, std::string_view branch);

/// The run that a tree was made for, as its records say; empty if they don't.
std::string run_of(const Entry& entry);
/// Best effort: what is not recorded is found by names.
void record_run(const Entry& entry, std::string_view run_id);

/// Makes the tree's `.git` lead to its entry again. A folder of that name is a repository of its
/// own and stays: false then.
bool link_to_entry(const Entry& entry);

/// A file that git or we have written into a git directory, of at most 16 MiB; empty if there is
/// none.
std::string read_git_file(const std::filesystem::path& file);

/// A branch's full name.
std::string branch_ref(std::string_view branch);

}  // namespace autoexec::git
