#include "agent/work_finder.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"

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
constexpr std::size_t ignore_file_limit = 64 * 1024;
constexpr std::size_t pointer_limit = 8192;  // one path

fs::path existing_folder(const fs::path& path)
{
    std::error_code ec;
    auto found = fs::canonical(path, ec);
    return !ec && fs::is_directory(found, ec) ? found : fs::path{};
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

std::string join(const std::string& folder, const std::string& name)
{
    return folder.empty() ? name : folder + '/' + name;
}

bool contains(const std::vector<std::string>& names, std::string_view name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string read_ignore_file(int root)
{
    struct stat info {};
    if (::fstat(root, &info) != 0) return {};
    return files::read_regular(root, ".gitignore", ignore_file_limit, {info.st_uid}).text;
}

bool is_folder(int parent, const std::string& name)
{
    struct stat info {};
    return ::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(info.st_mode);
}

/// Searches the project for command files, level by level, so that a limit skips the deepest
/// folders.
class FolderWalk {
public:
    FolderWalk(fs::path root, std::vector<text::Glob> globs, const WalkLimits& limits,
               WalkOptions options)
        : root_path_(std::move(root)),
          root_(::open(root_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
          globs_(std::move(globs)),
          ignored_(read_ignore_file(root_.get())),
          entries_left_(limits.entries),
          max_depth_(limits.depth),
          options_(std::move(options))
    {}

    std::vector<fs::path> run()
    {
        for (const auto& folder : options_.from) {
            auto relative = folder.lexically_relative(root_path_).string();
            next_level_.push_back(relative == "." ? "" : std::move(relative));
        }
        if (next_level_.empty()) next_level_ = {""};
        while (!next_level_.empty())
            for (const auto& folder : std::exchange(next_level_, {})) visit(folder);
        return std::move(found_);
    }

private:
    void visit(const std::string& folder)
    {
        const auto path = folder.empty() ? root_path_ : root_path_ / folder;
        if (options_.enter && !options_.enter(path)) return;
        error_code ec;
        const auto fd = files::open_beneath(root_.get(), folder.empty() ? "." : folder,
                                            O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!fd) return;
        auto names = files::list_folder(fd.get(), entries_left_);
        entries_left_ -= names.size();
        std::sort(names.begin(), names.end());

        if (contains(names, control_files::command) &&
            matches(join(folder, control_files::command)))
            found_.push_back(path);
        // Another repository or worktree is a single location for commands: do not walk into it.
        if (!folder.empty() && contains(names, ".git")) return;
        for (const auto& name : names)
            if (should_visit(folder, name) && is_folder(fd.get(), name))
                next_level_.push_back(join(folder, name));
    }

    [[nodiscard]] bool should_visit(const std::string& folder, const std::string& name) const
    {
        if (name == ".git" || name == "node_modules") return false;
        if (folder.empty() && name != layout::records && ignored_.ignores(name)) return false;
        if (folder == layout::records && name != "worktrees" && ignored_.ignores(layout::records))
            return false;
        const auto path = join(folder, name);
        if (std::count(path.begin(), path.end(), '/') >= max_depth_) return false;
        return std::any_of(globs_.begin(), globs_.end(),
                           [&](const text::Glob& glob) { return glob.may_match_below(path); });
    }

    [[nodiscard]] bool matches(const std::string& path) const
    {
        return std::any_of(globs_.begin(), globs_.end(),
                           [&](const text::Glob& glob) { return glob.matches(path); });
    }

    fs::path root_path_;
    files::UniqueFd root_;
    std::vector<text::Glob> globs_;
    IgnoreRules ignored_;
    std::size_t entries_left_;
    std::vector<std::string> next_level_;  // paths relative to the root
    std::vector<fs::path> found_;
    int max_depth_;
    WalkOptions options_;
};

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
        if (auto glob = text::Glob::compile(line, problem))
            rules_.emplace_back(*std::move(glob), ignored);
    }
}

bool IgnoreRules::ignores(std::string_view name) const
{
    const auto last = std::find_if(rules_.rbegin(), rules_.rend(),
                                   [&](const auto& rule) { return rule.first.matches(name); });
    return last != rules_.rend() && last->second;
}

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
    for (const auto& name : names)
        if (auto tree = linked_tree(entries.get(), folder, name);
            !tree.empty() && std::find(trees.begin(), trees.end(), tree) == trees.end())
            trees.push_back(std::move(tree));
    return trees;
}

std::vector<fs::path> watched_folders(const fs::path& project_root,
                                      const std::vector<std::string>& watch_paths,
                                      const WalkLimits& limits, WalkOptions options)
{
    std::vector<text::Glob> globs;
    std::string problem;
    for (const auto& pattern : watch_paths)
        if (auto glob = text::Glob::compile(pattern, problem)) globs.push_back(*std::move(glob));
    const auto root = existing_folder(project_root);
    if (globs.empty() || root.empty()) return {};
    return FolderWalk(root, std::move(globs), limits, std::move(options)).run();
}

}  // namespace autoexec::agent
