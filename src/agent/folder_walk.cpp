#include "agent/folder_walk.hpp"

#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace autoexec::agent {
namespace {

constexpr std::size_t ignore_file_limit = 64 * 1024;

std::string join(const std::string& folder, const std::string& name)
{
    return folder.empty() ? name : folder + '/' + name;
}

bool contains(const std::vector<std::string>& names, std::string_view name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

files::UniqueFd open_folder(const std::filesystem::path& path)
{
    return files::UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

std::string read_ignore_file(int root)
{
    struct stat info {};
    if (root < 0 || ::fstat(root, &info) != 0) return {};
    return files::read_regular(root, ".gitignore", ignore_file_limit, {info.st_uid}).text;
}

bool is_folder(int parent, const std::string& name)
{
    struct stat info {};
    return ::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(info.st_mode);
}

}  // namespace

IgnoreRules::IgnoreRules(std::string_view text)
{
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with('#')) continue;
        const bool ignored = !line.starts_with('!');
        if (!ignored) line.remove_prefix(1);
        if (line.starts_with("**/")) line.remove_prefix(3);
        if (line.starts_with('/')) line.remove_prefix(1);
        if (line.ends_with('/')) line.remove_suffix(1);
        std::string problem;
        if (line.find('/') != line.npos) continue;
        if (auto glob = Glob::compile(line, problem))
            rules_.emplace_back(*std::move(glob), ignored);
    }
}

bool IgnoreRules::ignores(std::string_view name) const
{
    const auto last = std::find_if(rules_.rbegin(), rules_.rend(),
                                   [&](const auto& rule) { return rule.first.matches(name); });
    return last != rules_.rend() && last->second;
}

FolderWalk::FolderWalk(std::filesystem::path root, std::vector<Glob> globs,
                       const WalkLimits& limits)
    : root_path_(std::move(root)),
      root_(open_folder(root_path_)),
      globs_(std::move(globs)),
      ignored_(read_ignore_file(root_.get())),
      entries_left_(limits.entries),
      depth_left_(limits.depth)
{}

WatchedFolders FolderWalk::run()
{
    next_level_ = {""};
    for (; !next_level_.empty() && depth_left_ >= 0; --depth_left_)
        for (const auto& folder : std::exchange(next_level_, {})) visit(folder);
    found_.cut = found_.cut || !next_level_.empty();
    return std::move(found_);
}

void FolderWalk::visit(const std::string& folder)
{
    error_code ec;
    const auto fd = files::open_beneath(root_.get(), folder.empty() ? "." : folder,
                                        O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    if (!fd) return;
    auto names = files::list_folder(fd.get(), entries_left_ + 1);
    if (names.size() > entries_left_) {
        found_.cut = true;
        names.pop_back();
    }
    entries_left_ -= names.size();
    std::sort(names.begin(), names.end());

    if (contains(names, control_files::command) && matches(join(folder, control_files::command)))
        found_.folders.push_back(folder.empty() ? root_path_ : root_path_ / folder);
    // Another repository or worktree is a single location for commands: do not walk into it.
    if (!folder.empty() && contains(names, ".git")) return;
    for (const auto& name : names)
        if (should_visit(folder, name) && is_folder(fd.get(), name))
            next_level_.push_back(join(folder, name));
}

bool FolderWalk::should_visit(const std::string& folder, const std::string& name) const
{
    if (name == ".git" || name == "node_modules") return false;
    if (folder.empty() && name != layout::records && ignored_.ignores(name)) return false;
    if (folder == layout::records && name != "worktrees" && ignored_.ignores(layout::records))
        return false;
    const auto path = join(folder, name);
    return std::any_of(globs_.begin(), globs_.end(),
                       [&](const Glob& glob) { return glob.may_match_below(path); });
}

bool FolderWalk::matches(const std::string& path) const
{
    return std::any_of(globs_.begin(), globs_.end(),
                       [&](const Glob& glob) { return glob.matches(path); });
}

}  // namespace autoexec::agent
