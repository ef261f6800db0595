#include "health/checked_folders.hpp"

#include "agent/work_finder.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace autoexec::health {

namespace fs = std::filesystem;
using files::UniqueFd;

namespace {

constexpr std::size_t block = 4096;  // an empty file can be created on a full disk

Trial write_block(int fd)
{
    Trial trial;
    trial.error = files::write_all(fd, std::string(block, '\0'));
    struct stat st {};
    if (!trial.error && ::fstat(fd, &st) != 0) trial.error = files::last_error();
    const auto since_epoch =
        std::chrono::seconds(st.st_mtim.tv_sec) + std::chrono::nanoseconds(st.st_mtim.tv_nsec);
    trial.time = std::chrono::system_clock::time_point(since_epoch);
    return trial;
}

Trial failed(int error)
{
    Trial trial;
    trial.error = error_code(error, boost::system::system_category());
    return trial;
}

}  // namespace

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

Trial try_to_write(int folder)
{
    const UniqueFd fd(::openat(folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600));
    if (fd) return write_block(fd.get());
    // EISDIR: the kernel does not support the flag.
    const bool unknown = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
    return unknown ? try_to_create(folder) : failed(errno);
}

Trial try_to_create(int folder)
{
    // The next executor removes a file of this name, should this process be killed here.
    const auto name = control_files::temporary_prefix + text::new_uuid();
    const UniqueFd fd(
        ::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return failed(errno);
    if (::unlinkat(folder, name.c_str(), 0) != 0) return failed(errno);
    return write_block(fd.get());
}

}  // namespace autoexec::health
