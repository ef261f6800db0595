#include "agent/work_finder.hpp"

#include "agent/folder_walk.hpp"
#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

namespace autoexec::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_worktrees = 1000;
constexpr std::size_t pointer_limit = 8192;  // one path

fs::path existing_folder(const fs::path& path)
{
    std::error_code ec;
    auto found = fs::canonical(path, ec);
    return !ec && fs::is_directory(found, ec) ? found : fs::path{};
}

void add_once(std::vector<fs::path>& all, fs::path path)
{
    if (!path.empty() && std::find(all.begin(), all.end(), path) == all.end())
        all.push_back(std::move(path));
}

// The tree of an entry of `<common>/worktrees`, if the tree points back to the entry.
fs::path linked_tree(int entries, const fs::path& folder, const std::string& name)
{
    struct stat info {};
    if (::fstat(entries, &info) != 0) return {};
    auto text = files::read_regular(entries, name + "/gitdir", pointer_limit, {info.st_uid}).text;
    text.erase(std::min(text.find_first_of(std::string_view("\r\n\0", 3)), text.size()));
    if (text.empty()) return {};
    auto tree = existing_folder((folder / name / text).parent_path());
    const bool matches = !tree.empty() && git_files::git_dir_of(tree) == folder / name;
    return matches ? tree : fs::path{};
}

}  // namespace

std::vector<fs::path> git_worktrees(const fs::path& project_root)
{
    std::vector<fs::path> trees;
    const auto git_dir = git_files::git_dir_of(project_root);
    if (!git_dir) return trees;
    const auto common = git_files::git_common_dir(*git_dir);
    // A bare repository and a separate git directory do not record a main tree.
    if (common.filename() == ".git" && git_files::git_dir_of(common.parent_path()) == common)
        trees.push_back(common.parent_path());

    const auto folder = common / "worktrees";
    const files::UniqueFd entries(
        ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!entries) return trees;
    auto names = files::list_folder(entries.get(), max_worktrees);
    std::sort(names.begin(), names.end());
    for (const auto& name : names) add_once(trees, linked_tree(entries.get(), folder, name));
    return trees;
}

WatchedFolders watched_folders(const fs::path& project_root,
                               const std::vector<std::string>& watch_paths,
                               const WalkLimits& limits)
{
    std::vector<Glob> globs;
    std::string problem;
    for (const auto& pattern : watch_paths)
        if (auto glob = Glob::compile(pattern, problem)) globs.push_back(*std::move(glob));
    const auto root = existing_folder(project_root);
    if (globs.empty() || root.empty()) return {};
    return FolderWalk(root, std::move(globs), limits).run();
}

WatchedFolders find_worktrees(const WorkLocations& locations)
{
    WatchedFolders all;
    for (const auto& tree : locations.worktrees)
        add_once(all.folders, existing_folder(locations.project_root / tree));
    add_once(all.folders, existing_folder(locations.project_root));
    for (auto& tree : git_worktrees(locations.project_root)) add_once(all.folders, std::move(tree));
    auto watched = watched_folders(locations.project_root, locations.watch_paths);
    for (auto& folder : watched.folders) add_once(all.folders, std::move(folder));
    all.cut = watched.cut;
    return all;
}

}  // namespace autoexec::agent
