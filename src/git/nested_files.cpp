#include "git/nested_files.hpp"

#include "files/safe_files.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view gitlink_mode = "160000 ";
constexpr std::string_view pointer_prefix = "gitdir: ";
constexpr std::string_view symbolic_prefix = "ref: ";
constexpr std::size_t max_loose_refs = 100'000;
constexpr int max_symbolic = 5;  // as git

std::string_view first_line(std::string_view text)
{
    return text.substr(0, std::min(text.find_first_of("\r\n"), text.size()));
}

void read_packed(const fs::path& common_dir, std::map<std::string, std::string>& refs)
{
    const auto text = read_git_file(common_dir / "packed-refs");
    for (std::string_view rest = text; !rest.empty();) {
        const auto line = first_line(rest);
        const auto space = std::min(line.find(' '), line.size());
        if (is_object_id(line.substr(0, space)) && space < line.size())
            refs.insert_or_assign(std::string(line.substr(space + 1)),
                                  std::string(line.substr(0, space)));
        rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
    }
}

void read_loose(const fs::path& git_dir, std::map<std::string, std::string>& refs)
{
    std::error_code ec;
    std::size_t count = 0;
    for (fs::recursive_directory_iterator at(git_dir / "refs", ec), end; !ec && at != end;
         at.increment(ec)) {
        if (++count > max_loose_refs) return;
        const auto text = read_git_file(at->path());
        const auto id = first_line(text);
        if (is_object_id(id))
            refs.insert_or_assign(at->path().lexically_relative(git_dir).string(), std::string(id));
    }
}

std::string head_of(const NestedFiles& files)
{
    auto text = read_git_file(files.git_dir / "HEAD");
    for (int depth = 0; depth < max_symbolic; ++depth) {
        const auto line = first_line(text);
        if (is_object_id(line)) return std::string(line);
        if (!line.starts_with(symbolic_prefix)) return {};
        const std::string name(line.substr(symbolic_prefix.size()));
        const auto found = files.refs.find(name);
        if (found != files.refs.end()) return found->second;
        const auto path = fs::path(name).lexically_normal();
        if (path.empty() || path.is_absolute() || *path.begin() == "..") return {};
        text = read_git_file(files.common_dir / path);
    }
    return {};
}

}  // namespace

std::vector<Gitlink> gitlinks_in(std::string_view listing)
{
    std::vector<Gitlink> found;
    for (auto line : split_nul(listing)) {
        const auto tab = line.find('\t');
        if (!line.starts_with(gitlink_mode) || tab == line.npos) continue;
        const auto id = line.substr(gitlink_mode.size(),
                                    line.find(' ', gitlink_mode.size()) - gitlink_mode.size());
        found.push_back({std::string(line.substr(tab + 1)), std::string(id)});
    }
    return found;
}

std::optional<fs::path> populated(const fs::path& tree, const std::string& path)
{
    const files::UniqueFd top(::open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) return std::nullopt;
    error_code ec;
    const auto folder =
        files::open_beneath(top.get(), path, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    struct stat info {};
    if (!folder || ::fstatat(folder.get(), ".git", &info, AT_SYMLINK_NOFOLLOW) != 0)
        return std::nullopt;
    return tree / path;
}

std::optional<fs::path> nested_git_dir(const fs::path& folder)
{
    auto git_dir = folder / ".git";
    std::error_code ec;
    if (fs::is_regular_file(fs::symlink_status(git_dir, ec))) {
        const auto text = read_git_file(git_dir);
        const auto line = first_line(text);
        if (!line.starts_with(pointer_prefix)) return std::nullopt;
        git_dir = (folder / line.substr(pointer_prefix.size())).lexically_normal();
    }
    if (!fs::exists(git_dir / "HEAD", ec)) return std::nullopt;
    return git_dir;
}

NestedFiles read_nested(fs::path git_dir)
{
    NestedFiles files;
    const auto pointer = read_git_file(git_dir / "commondir");
    const auto common = first_line(pointer);
    files.common_dir = common.empty() ? git_dir : (git_dir / common).lexically_normal();
    files.git_dir = std::move(git_dir);
    read_packed(files.common_dir, files.refs);
    read_loose(files.common_dir, files.refs);
    files.head = head_of(files);
    return files;
}

bool is_repository(const fs::path& folder)
{
    std::error_code ec;
    return fs::exists(folder / "HEAD", ec) && fs::is_directory(folder / "objects", ec) &&
           fs::is_directory(folder / "refs", ec);
}

}  // namespace autoexec::git
