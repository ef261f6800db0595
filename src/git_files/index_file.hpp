#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git_files {

/// An entry of an index. The views are valid during the call that gets it.
struct IndexedFile {
    std::string_view path;  ///< Relative to the tree's top.
    std::string_view id;    ///< Of its object: 20 or 32 bytes.
    unsigned mode = 0;
    unsigned stage = 0;  ///< Of a conflict, 1: the common base, 2: ours, 3: theirs.
    bool assumed_unchanged = false;
};

/// Calls `visit` with each entry of the index in this file. `id_size`: of the repository's object
/// ids, in bytes; the index itself does not state it. Returns false, without a call, if git must be
/// asked: the file is missing, damaged, larger than 64 MiB or of an unknown format, has another
/// file beside it, or omits files on purpose.
bool visit_index(const std::filesystem::path& index, std::size_t id_size,
                 const std::function<void(const IndexedFile&)>& visit);

/// Which of these paths, relative to the tree's top, the index in `git_dir` contains. Reads the
/// file itself, so no configured program is run. Empty if the index is missing, larger than 64 MiB,
/// or of an unknown format; entries of a shared index are not found.
std::vector<std::string> tracked_among(const std::filesystem::path& git_dir,
                                       const std::vector<std::string>& paths);

/// True if the index in this file says that its content is that tree: then `git write-tree` prints
/// the same. False if it does not say, as after each `git add`.
bool index_is_tree(const std::filesystem::path& index, const std::string& tree);

}  // namespace autoexec::git_files
