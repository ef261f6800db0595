#include "git/nested_repository.hpp"

#include "files/safe_files.hpp"
#include "git/git.hpp"
#include "git/temporary_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view pointer_prefix = "gitdir: ";
constexpr std::string_view symbolic_prefix = "ref: ";
constexpr std::size_t max_loose_refs = 100'000;
constexpr int max_symbolic = 5;  // as git

void read_packed(const fs::path& common_dir, std::map<std::string, std::string>& refs)
{
    const auto text = read_git_file(common_dir / "packed-refs");
    for (const auto line : split_at('\n', text)) {
        const auto space = std::min(line.find(' '), line.size());
        if (is_object_id(line.substr(0, space)) && space < line.size())
            refs.insert_or_assign(std::string(line.substr(space + 1)),
                                  std::string(line.substr(0, space)));
    }
}

void read_loose(const fs::path& git_dir, std::map<std::string, std::string>& refs)
{
    std::error_code ec;
    std::size_t count = 0;
    for (fs::recursive_directory_iterator at(git_dir / "refs", ec), end; !ec && at != end;
         at.increment(ec)) {
        if (++count > max_loose_refs) return;
        auto id = read_git_line(at->path());
        if (is_object_id(id))
            refs.insert_or_assign(at->path().lexically_relative(git_dir).string(), std::move(id));
    }
}

std::string head_of(const NestedFiles& files)
{
    auto line = read_git_line(files.git_dir / "HEAD");
    for (int depth = 0; depth < max_symbolic; ++depth) {
        if (is_object_id(line)) return line;
        if (!line.starts_with(symbolic_prefix)) return {};
        const auto name = line.substr(symbolic_prefix.size());
        const auto found = files.refs.find(name);
        if (found != files.refs.end()) return found->second;
        const auto path = fs::path(name).lexically_normal();
        if (path.empty() || path.is_absolute() || *path.begin() == "..") return {};
        line = read_git_line(files.common_dir / path);
    }
    return {};
}

constexpr std::string_view remotes = "refs/remotes/";
constexpr std::size_t sha256_size = 64;

std::string config_for(const NestedFiles& files)
{
    const bool sha256 = files.head.size() == sha256_size ||
                        (!files.refs.empty() && files.refs.begin()->second.size() == sha256_size);
    return sha256 ? "[core]\n\trepositoryformatversion = 1\n\tbare = false\n"
                    "[extensions]\n\tobjectFormat = sha256\n"
                  : "[core]\n\trepositoryformatversion = 0\n\tbare = false\n";
}

// Under generated names: the repository's own may be anything.
std::string refs_of(const NestedFiles& files)
{
    std::string lines;
    std::size_t count = 0;
    for (const bool remote : {false, true})
        for (const auto& [name, id] : files.refs)
            if (name.starts_with(remotes) == remote)
                lines +=
                    fmt::format("{} refs/{}/n{:09}\n", id, remote ? "remotes/r" : "heads", count++);
    return lines;
}

}  // namespace

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
        const auto line = read_git_line(git_dir);
        if (!line.starts_with(pointer_prefix)) return std::nullopt;
        git_dir = (folder / line.substr(pointer_prefix.size())).lexically_normal();
    }
    if (!fs::exists(git_dir / "HEAD", ec)) return std::nullopt;
    return git_dir;
}

NestedFiles read_nested(fs::path git_dir)
{
    NestedFiles files;
    const auto common = read_git_line(git_dir / "commondir");
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

NestedView::NestedView(const Entry& entry, const NestedFiles& files)
    : folder_(entry.records() / std::string(prefix).append(text::new_uuid())),
      objects_(files.common_dir / "objects")
{
    error_code ec;
    const auto folder = files::make_folders(folder_, ec);
    if (!folder) return;
    (void)files::make_folders(folder_ / "refs", ec);
    const auto info = files::make_folders(folder_ / "info", ec);
    const auto write = [](int where, const char* name, const std::string& text) {
        (void)files::replace_file(where, name, text, 0600, Durability::none);
    };
    write(folder.get(), "config", config_for(files));
    write(folder.get(), "packed-refs", refs_of(files));
    write(folder.get(), "HEAD", files.head.empty() ? "ref: refs/heads/none\n" : files.head + "\n");
    const auto shallow = read_git_file(files.common_dir / "shallow");
    if (!shallow.empty()) write(folder.get(), "shallow", shallow);
    if (info) write(info.get(), "exclude", read_git_file(files.common_dir / "info" / "exclude"));
    has_index_ = copy_index(files.git_dir / "index", folder_ / "index");
}

NestedView::~NestedView()
{
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

GitContext NestedView::context(fs::path tree) const
{
    GitContext context(folder_, std::move(tree));
    context.objects = objects_;
    return context;
}

}  // namespace autoexec::git
