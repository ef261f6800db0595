#include "git_files/git_dir.hpp"

#include "files/safe_files.hpp"
#include "git_files/quick_find.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace autoexec::git_files {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t pointer_limit = 8192;  // one path and a few words
constexpr std::size_t max_worktrees = 10'000;

// The kernel knows the answer: three system calls instead of one for each component.
fs::path resolved(const fs::path& path)
{
    if (path.empty()) return {};
    const files::UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!fd && !files::is_resource_shortage(files::last_error())) return {};
    std::string target(PATH_MAX, '\0');
    const auto link = fmt::format("/proc/self/fd/{}", fd.get());
    const auto size = fd ? ::readlink(link.c_str(), target.data(), target.size()) : -1;
    if (size > 0 && static_cast<std::size_t>(size) < target.size()) {
        target.resize(static_cast<std::size_t>(size));
        return target;
    }
    std::error_code ec;  // no descriptor is left, or /proc is not mounted
    fs::path found = fs::canonical(path, ec);
    return ec ? fs::path{} : found;
}

bool is_there(const fs::path& path)
{
    std::error_code ec;
    return fs::exists(path, ec);
}

void record_shortage(error_code ec, error_code& shortage)
{
    if (!shortage && files::is_resource_shortage(ec)) shortage = ec;
}

// The path after `prefix` in a pointer file (`.git`, `gitdir`, `commondir`), resolved relative to
// `folder`. Empty if it is not a pointer file.
fs::path read_pointer(const fs::path& folder, const std::string& name, std::string_view prefix,
                      error_code& shortage)
{
    const std::string text = read_file(folder / name, pointer_limit, shortage);
    std::string_view line = text;
    if (!line.starts_with(prefix)) return {};
    line.remove_prefix(prefix.size());
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.find('\0') != line.npos) return {};
    return folder / fs::path(line);
}

bool trusted_owner(const fs::path& git_dir, uid_t worktree_owner)
{
    struct stat info {};
    return ::stat(git_dir.c_str(), &info) == 0 &&
           (info.st_uid == ::geteuid() || info.st_uid == 0 || info.st_uid == worktree_owner);
}

bool is_linked(const fs::path& git_dir)
{
    return is_there(git_dir / "commondir");
}

bool is_git_dir(const fs::path& dir)
{
    std::error_code ec;
    if (!fs::is_regular_file(dir / "HEAD", ec)) return false;
    return is_linked(dir) || (is_there(dir / "objects") && is_there(dir / "refs"));
}

// The common directory, if it lists this git directory as one of its worktrees.
fs::path common_of_linked(const fs::path& git_dir, error_code& shortage)
{
    fs::path common = resolved(read_pointer(git_dir, "commondir", "", shortage));
    return resolved(common / "worktrees") == git_dir.parent_path() ? common : fs::path{};
}

// The common directory, if `tree/.git` is, or points to, a git directory of this tree.
fs::path common_dir_for(const fs::path& git_dir, const fs::path& tree, error_code& shortage)
{
    if (is_linked(git_dir)) {
        const fs::path back = read_pointer(git_dir, "gitdir", "", shortage);
        const bool is_back = back.filename() == ".git" && resolved(back.parent_path()) == tree;
        return is_back ? common_of_linked(git_dir, shortage) : fs::path{};
    }
    // For submodules and separate git directories. The tree of a directory named `.git` is its
    // parent.
    return git_dir.filename() != ".git" || git_dir.parent_path() == tree ? git_dir : fs::path{};
}

std::optional<GitTree> checked(const fs::path& git_dir, const fs::path& tree, uid_t owner,
                               error_code& shortage)
{
    if (git_dir.empty() || !is_git_dir(git_dir) || !trusted_owner(git_dir, owner))
        return std::nullopt;
    auto common = common_dir_for(git_dir, tree, shortage);
    if (common.empty()) return std::nullopt;
    return GitTree{git_dir, std::move(common), tree};
}

fs::path common_dir_beside(const fs::path& git_dir, error_code& shortage)
{
    if (!is_linked(git_dir)) return git_dir;
    fs::path common = common_of_linked(git_dir, shortage);
    return common.empty() ? git_dir : common;
}

bool lies_in(const fs::path& directory, const fs::path& tree)
{
    const auto [end, ignored] =
        std::mismatch(tree.begin(), tree.end(), directory.begin(), directory.end());
    return end == tree.end();
}

std::vector<fs::path> entries_in(const fs::path& folder, error_code& shortage)
{
    std::vector<fs::path> entries;
    std::error_code ec;
    for (fs::directory_iterator at(folder, ec), end; !ec && at != end; at.increment(ec)) {
        if (entries.size() == max_worktrees) break;
        entries.push_back(at->path());
    }
    record_shortage({ec.value(), boost::system::system_category()}, shortage);
    return entries;
}

// The innermost linked worktree of the repository that `directory` lies in.
std::optional<GitTree> registered_tree(const fs::path& common_dir, const fs::path& directory,
                                       error_code& shortage)
{
    std::optional<GitTree> found;
    std::size_t depth = 0;
    for (const auto& git_dir : entries_in(common_dir / "worktrees", shortage)) {
        const auto tree =
            read_pointer(git_dir, "gitdir", "", shortage).lexically_normal().parent_path();
        const auto length = tree.native().size();
        if (length <= depth || !lies_in(directory, tree)) continue;
        found = GitTree{git_dir, common_dir, tree};
        depth = length;
    }
    return found;
}

std::optional<GitTree> search_in(const std::optional<fs::path>& common_dir,
                                 const fs::path& directory, error_code& shortage)
{
    auto found = find_tree(directory, shortage);
    if (common_dir && !shortage) {
        // Both sides point to each other, or it is the main worktree, which has no entry.
        const bool linked_here =
            found && found->git_dir != *common_dir && found->common_dir == *common_dir;
        const auto tree = linked_here ? fs::path{} : resolved(directory);
        if (!linked_here && tree / ".git" != *common_dir)
            if (auto registered = registered_tree(*common_dir, tree, shortage))
                found = std::move(registered);
    }
    return shortage ? std::nullopt : found;
}

}  // namespace

std::string read_file(const fs::path& file, std::size_t limit, error_code& shortage)
{
    const auto folder = file.parent_path();
    const files::UniqueFd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) {
        record_shortage(files::last_error(), shortage);
        return {};
    }
    auto found = files::read_regular(fd.get(), file.filename(), limit, {info.st_uid});
    record_shortage(found.reason, shortage);
    return std::move(found.text);
}

std::optional<GitTree> find_tree(const fs::path& directory, error_code& shortage)
{
    shortage = {};
    const fs::path start = resolved(directory);
    struct stat origin {};
    if (start.empty() || ::stat(start.c_str(), &origin) != 0) return std::nullopt;

    for (fs::path tree = start;; tree = tree.parent_path()) {
        struct stat here {};
        // Like git, stop at a file system boundary.
        if (::stat(tree.c_str(), &here) != 0 || here.st_dev != origin.st_dev) return std::nullopt;

        struct stat info {};
        if (::lstat((tree / ".git").c_str(), &info) == 0) {
            const fs::path found =
                resolved(S_ISREG(info.st_mode) ? read_pointer(tree, ".git", "gitdir: ", shortage)
                                               : tree / ".git");
            // Like git, ignore a folder `.git` that is not a git directory; anything else ends the
            // search.
            if (!S_ISDIR(info.st_mode) || is_git_dir(found))
                return checked(found, tree, origin.st_uid, shortage);
        }
        if (tree == tree.root_path()) return std::nullopt;
    }
}

std::optional<GitTree> find_tree(const fs::path& directory)
{
    error_code ignored;
    return find_tree(directory, ignored);
}

std::optional<fs::path> git_dir_of(const fs::path& directory)
{
    auto found = find_tree(directory);
    return found ? std::optional(std::move(found->git_dir)) : std::nullopt;
}

fs::path git_common_dir(const fs::path& git_dir)
{
    error_code ignored;
    return common_dir_beside(git_dir, ignored);
}

std::optional<fs::path> common_dir_of(const fs::path& directory)
{
    auto found = find_tree(directory);
    return found ? std::optional(std::move(found->common_dir)) : std::nullopt;
}

std::optional<GitTree> find_tree_in(const std::optional<fs::path>& common_dir,
                                    const fs::path& directory, error_code& shortage)
{
    shortage = {};
    auto quick = quick_find(common_dir, directory);
    auto found = quick.known ? std::move(quick.tree) : search_in(common_dir, directory, shortage);
    if (!shortage) remember_found(common_dir, directory, found);
    return found;
}

std::optional<GitTree> find_recent_tree_in(const std::optional<fs::path>& common_dir,
                                           const fs::path& directory, error_code& shortage)
{
    shortage = {};
    if (auto recent = recently_found(common_dir, directory); recent.known)
        return std::move(recent.tree);
    return find_tree_in(common_dir, directory, shortage);
}

}  // namespace autoexec::git_files
