#include "view/linked_worktrees.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "view/stamps.hpp"

#include <set>
#include <utility>

namespace autoexec::view {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_worktrees = 100'000;
constexpr std::size_t gitdir_limit = 16 * 1024;

// The file contains the path of the worktree's `.git`, which newer versions of git may write
// relative to its folder.
fs::path read_gitdir(const fs::path& folder, int open_folder, const std::string& name)
{
    const auto found = files::read_regular(open_folder, name + "/gitdir", gitdir_limit, {});
    const auto line = found.text.substr(0, found.text.find('\n'));
    const fs::path git_file(line);
    if (git_file.filename() != ".git" || line.find('\0') != line.npos) return {};
    return files::normal_path(folder / name / git_file).parent_path();
}

}  // namespace

void Worktrees::refresh()
{
    if (!folder_)
        if (const auto common = git_files::common_dir_of(project_root_))
            folder_ = *common / "worktrees";
    const auto folder = folder_ ? files::open_folder(*folder_) : files::UniqueFd();
    if (!folder) {
        known_.clear();
        check_ = {};
        return;
    }
    if (check_.must_read(stamp_of_open(folder.get()), ReadCheck::clock::now())) {
        const auto names = files::list_folder(folder.get(), max_worktrees);
        (void)keep_only(known_, {names.begin(), names.end()});
    }
    for (auto& [name, tree] : known_)
        if (tree.check.must_read(stamp_at(folder.get(), name + "/gitdir"), ReadCheck::clock::now()))
            tree.path = read_gitdir(*folder_, folder.get(), name);
}

EntryList<WorktreeEntry> Worktrees::list(const std::function<std::string(const fs::path&)>& user_of)
{
    EntryList<WorktreeEntry> entries;
    for (auto& [name, tree] : known_) {
        if (tree.path.empty()) continue;
        auto user = user_of(tree.path);
        if (!tree.entry || tree.entry->path != tree.path || tree.entry->execution_id != user)
            tree.entry =
                std::make_shared<const WorktreeEntry>(WorktreeEntry{tree.path, std::move(user)});
        entries.push_back(tree.entry);
    }
    return entries;
}

}  // namespace autoexec::view
