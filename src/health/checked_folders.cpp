#include "health/checked_folders.hpp"

#include "agent/work_finder.hpp"

#include <fcntl.h>

#include <algorithm>

namespace autoexec::health {

namespace fs = std::filesystem;
using files::UniqueFd;

std::vector<fs::path> worktrees_of(const HealthOptions& options)
{
    std::vector<fs::path> trees;
    for (const auto& tree : options.worktrees)
        trees.push_back((options.project_root / tree).lexically_normal());
    if (!trees.empty()) return trees;
    trees = agent::git_worktrees(options.project_root);
    std::error_code ec;
    auto root = fs::canonical(options.project_root, ec);
    if (ec) root = options.project_root;
    if (std::find(trees.begin(), trees.end(), root) == trees.end())
        trees.insert(trees.begin(), std::move(root));
    return trees;
}

UniqueFd open_folder(const fs::path& path, error_code& ec)
{
    ec = {};
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) ec = files::last_error();
    return fd;
}

UniqueFd open_nearest(int project, fs::path below, error_code& ec)
{
    for (;; below = below.parent_path()) {
        auto fd = files::open_beneath(project, below.empty() ? "." : below.string(),
                                      O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (fd || below.empty() || ec != boost::system::errc::no_such_file_or_directory) return fd;
    }
}

}  // namespace autoexec::health
