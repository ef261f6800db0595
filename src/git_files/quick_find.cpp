#include "git_files/quick_find.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace autoexec::git_files {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds max_age{1000};
constexpr std::size_t max_pointer = 4096;

/// Forgets what was not used among the last `max_kept` entries or more.
template <class Value, std::size_t max_kept = 1024>
class Kept {
public:
    Value* find(const std::string& key)
    {
        if (const auto found = newer_.find(key); found != newer_.end()) return &found->second;
        auto found = older_.extract(key);
        return found.empty() ? nullptr : &newer_.insert(std::move(found)).position->second;
    }
    void put(const std::string& key, Value value)
    {
        if (newer_.size() >= max_kept) older_ = std::exchange(newer_, {});
        newer_.insert_or_assign(key, std::move(value));
    }

private:
    std::map<std::string, Value> newer_;
    std::map<std::string, Value> older_;
};

/// A worktree and its entry in the repository, which name each other.
struct Link {
    std::string git_dir;  ///< As a path, it would take several times as much.
    FileStamp pointer;    ///< Of `.git` in the worktree.
    FileStamp entry;      ///< Of `gitdir` in `git_dir`.
};

/// What is above a folder.
struct Above {
    steady_clock::time_point checked;
    bool has_repository = true;
};

/// What was found at a directory.
struct Found {
    steady_clock::time_point checked;
    std::optional<fs::path> common_dir;
    std::optional<GitTree> tree;
};

struct Memory {
    std::mutex mutex;
    Kept<Link> links;
    Kept<Above> above;
    Kept<Found, 64> found;  // asked for soon, or not at all
};

Memory& memory()
{
    static auto& all = *new Memory;  // also for what is destroyed at the end of the process
    return all;
}

std::optional<FileStamp> stamp_at(const fs::path& file)
{
    struct stat st {};
    if (::lstat(file.c_str(), &st) != 0) return std::nullopt;
    return files::stamp_of(st);
}

bool is_ours(const struct stat& st)
{
    return st.st_uid == 0 || st.st_uid == ::geteuid();
}

/// The line in a small file of this user or root.
struct Line {
    int error = 0;           ///< Why it could not be opened.
    bool is_direct = false;  ///< No link leads there.
    bool is_folder = false;
    std::string text;  ///< Empty: there is none.
    FileStamp stamp;
};

Line line_of(const fs::path& file)
{
    Line line;
    constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    error_code ec;
    auto fd = files::open_without_links(file, flags, ec);
    line.is_direct = ec.value() != ELOOP;
    if (!line.is_direct) fd = files::UniqueFd(::open(file.c_str(), flags));
    struct stat st {};
    if (!fd) line.error = line.is_direct ? ec.value() : errno;
    if (!fd || ::fstat(fd.get(), &st) != 0) return line;
    line.is_folder = S_ISDIR(st.st_mode) && is_ours(st);
    if (!S_ISREG(st.st_mode) || !is_ours(st)) return line;
    line.stamp = files::stamp_of(st);
    std::string text(max_pointer, '\0');
    const auto size = ::read(fd.get(), text.data(), text.size());
    if (size <= 0 || static_cast<std::uint64_t>(size) != line.stamp.size) return line;
    text.resize(static_cast<std::size_t>(size));
    if (text.back() == '\n') text.pop_back();
    if (text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos) line.text = std::move(text);
    return line;
}

std::optional<Link> remembered_link(const fs::path& directory)
{
    const std::lock_guard lock(memory().mutex);
    const auto* const link = memory().links.find(directory.native());
    return link != nullptr ? std::optional(*link) : std::nullopt;
}

bool is_unchanged(const Link& link, const fs::path& common_dir, const fs::path& directory)
{
    const fs::path git_dir = link.git_dir;
    return git_dir.parent_path().parent_path() == common_dir &&
           stamp_at(directory / ".git") == link.pointer &&
           stamp_at(git_dir / "gitdir") == link.entry;
}

// Both sides name the same paths. The repository decides: its entry counts even if the worktree's
// side changes.
std::optional<Link> read_link(const fs::path& common_dir, const fs::path& directory,
                              const Line& pointer)
{
    constexpr std::string_view prefix = "gitdir: ";
    if (!pointer.text.starts_with(prefix)) return std::nullopt;
    const fs::path git_dir = pointer.text.substr(prefix.size());
    const auto name = git_dir.filename();
    if (git_dir.parent_path() != common_dir / "worktrees" || name.empty() || name == "." ||
        name == "..")
        return std::nullopt;
    const auto back = line_of(git_dir / "gitdir");
    if (back.text != (directory / ".git").native()) return std::nullopt;
    Link link{git_dir.native(), pointer.stamp, back.stamp};
    const std::lock_guard lock(memory().mutex);
    memory().links.put(directory.native(), link);
    return link;
}

bool is_main_tree(const fs::path& common_dir, const fs::path& directory)
{
    struct stat head {};
    return directory / ".git" == common_dir && ::stat((common_dir / "HEAD").c_str(), &head) == 0 &&
           S_ISREG(head.st_mode);
}

template <class Value>
bool is_recent(const Value* known)
{
    return known != nullptr && steady_clock::now() - known->checked < max_age;
}

// `folder` itself included.
bool is_repository_above(const fs::path& folder)
{
    {
        const std::lock_guard lock(memory().mutex);
        const auto* const known = memory().above.find(folder.native());
        if (is_recent(known)) return known->has_repository;
    }
    Above above;
    above.checked = steady_clock::now();
    error_code shortage;
    above.has_repository = find_tree(folder, shortage).has_value() || shortage;
    const std::lock_guard lock(memory().mutex);
    memory().above.put(folder.native(), above);
    return above.has_repository;
}

bool is_folder(const fs::path& path)
{
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// If `directory` is a link, git searches above what that leads to. If it is a mount point, git
// searches nothing above it.
bool is_outside_git(const fs::path& directory, const Line& pointer)
{
    return pointer.error == ENOENT && (pointer.is_direct || is_folder(directory)) &&
           !is_repository_above(directory.parent_path());
}

}  // namespace

QuickResult quick_find(const std::optional<fs::path>& common_dir, const fs::path& directory)
{
    if (!directory.is_absolute() || !directory.has_filename()) return {};
    if (common_dir)
        if (const auto link = remembered_link(directory);
            link && is_unchanged(*link, *common_dir, directory))
            return {true, GitTree{link->git_dir, *common_dir, directory}};
    const auto pointer = line_of(directory / ".git");
    // A worktree of the project may have lost its `.git`: only a search finds its entry.
    if (!common_dir) return {is_outside_git(directory, pointer), std::nullopt};
    if (pointer.is_folder && is_main_tree(*common_dir, directory))
        return {true, GitTree{*common_dir, *common_dir, directory}};
    if (const auto link = read_link(*common_dir, directory, pointer))
        return {true, GitTree{link->git_dir, *common_dir, directory}};
    return {};
}

void remember_found(const std::optional<fs::path>& common_dir, const fs::path& directory,
                    const std::optional<GitTree>& tree)
{
    Found found{steady_clock::now(), common_dir, tree};
    const std::lock_guard lock(memory().mutex);
    memory().found.put(directory.native(), std::move(found));
}

QuickResult recently_found(const std::optional<fs::path>& common_dir, const fs::path& directory)
{
    const std::lock_guard lock(memory().mutex);
    const auto* const known = memory().found.find(directory.native());
    if (!is_recent(known) || known->common_dir != common_dir) return {};
    return {true, known->tree};
}

}  // namespace autoexec::git_files
