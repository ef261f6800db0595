#pragma once

#include "autoexec/file.hpp"
#include "git/git_context.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// True if something exists there and can be reached.
bool has_path(const fs::path& path);

/// A linked worktree as the repository records it, read without git. An agent can change the files
/// in the tree, but not this record.
struct Entry {
    fs::path git_dir;  ///< `<common directory>/worktrees/<id>`
    fs::path common_dir;
    fs::path tree;

    [[nodiscard]] std::string name() const { return tree.filename().string(); }
    [[nodiscard]] bool missing() const;
    /// The folder of autoexec's files about the tree; removed with it.
    [[nodiscard]] fs::path records() const { return git_dir / "autoexec"; }
    /// Context for work in the tree or, if that is missing, with git's record of it.
    [[nodiscard]] GitContext context() const;
    /// False for a tree that was never filled.
    [[nodiscard]] bool has_index() const { return has_path(git_dir / "index"); }
    /// True if only a part of the files is checked out.
    [[nodiscard]] bool is_sparse() const { return has_path(git_dir / "info/sparse-checkout"); }
};

/// Writes a file in `entry.records()`. Best effort.
void write_record(const Entry& entry, const std::string& name, std::string_view text,
                  Durability durability = Durability::none);

std::vector<Entry> entries_of(const fs::path& common_dir);

/// The entry of the tree at this path, which need not exist.
std::optional<Entry> find_entry(const fs::path& common_dir, const fs::path& tree);

/// The branch that is checked out; empty if HEAD is detached.
std::string branch_of(const fs::path& git_dir);

/// True when the branch is checked out there, or being rebased.
bool uses_branch(const fs::path& git_dir, std::string_view branch);

/// The run that the tree was created for, from its record; empty if unknown.
std::string run_of(const Entry& entry);
/// Best effort: an unrecorded run is found by names.
void record_run(const Entry& entry, std::string_view run_id);

/// Makes the tree's `.git` point to its entry again. Returns false if `.git` is a folder, which is
/// a separate repository and is kept.
bool link_to_entry(const Entry& entry);

/// Reads a file in a git directory, at most 16 MiB; empty if it does not exist.
std::string read_git_file(const fs::path& file);
/// Its first line.
std::string read_git_line(const fs::path& file);

/// A branch's full name.
std::string branch_ref(std::string_view branch);

}  // namespace autoexec::git
