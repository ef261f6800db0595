#include "view/linked_worktrees.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "view/stamps.hpp"

#include <set>
#include <utility>
#include <vector>

namespace autoexec::view {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_worktrees = 100'000;
constexpr std::size_t gitdir_limit = 16 * 1024;
constexpr int worktrees_of_step = 32;

// The file contains the path of the worktree's `.git`, which newer versions of git may write
// relative to its folder.
std::string read_gitdir(const fs::path& folder, int open_folder, const std::string& name)
{
    const auto found = files::read_regular(open_folder, name + "/gitdir", gitdir_limit, {});
    const auto line = found.text.substr(0, found.text.find('\n'));
    const fs::path git_file(line);
    if (git_file.filename() != ".git" || line.find('\0') != line.npos) return {};
    return fs::path(files::normal_path(folder / name / git_file)).parent_path().string();
}

}  // namespace

void Worktrees::begin_sweep()
{
    name_.clear();
    if (!folder_)
        if (const auto common = git_files::common_dir_of(project_root_))
            folder_ = *common / "worktrees";
    const auto folder = folder_ ? files::open_folder(*folder_) : files::UniqueFd();
    sweeping_ = static_cast<bool>(folder);
    if (folder && !check_.must_read(stamp_of_open(folder.get()), ReadCheck::clock::now())) return;
    const auto names =
        folder ? files::list_folder(folder.get(), max_worktrees) : std::vector<std::string>();
    if (!folder) check_ = {};
    const std::set<std::string> now(names.begin(), names.end());
    for (auto& [name, tree] : known_)
        if (!now.contains(name)) set_path(tree, {});
    (void)keep_only(known_, now);
}

bool Worktrees::step()
{
    const auto folder = sweeping_ ? files::open_folder(*folder_) : files::UniqueFd();
    sweeping_ = static_cast<bool>(folder);
    for (int count = 0; sweeping_ && count < worktrees_of_step; ++count) {
        const auto next = known_.upper_bound(name_);
        sweeping_ = next != known_.end();
        if (!sweeping_) break;
        name_ = next->first;
        const auto stamp = stamp_at(folder.get(), name_ + "/gitdir");
        if (next->second.check.must_read(stamp, ReadCheck::clock::now()))
            set_path(next->second, read_gitdir(*folder_, folder.get(), name_));
    }
    return sweeping_;
}

void Worktrees::set_path(Known& tree, std::string path)
{
    if (tree.path == path) return;
    for (auto* const changed : {&tree.path, &path})
        if (!changed->empty()) changed_.insert(*changed);
    if (!tree.path.empty() && --paths_[tree.path] == 0) paths_.erase(tree.path);
    if (!path.empty()) ++paths_[path];
    tree.path = std::move(path);
}

}  // namespace autoexec::view
