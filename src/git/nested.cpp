#include "git/nested.hpp"

#include "files/safe_files.hpp"
#include "git/git.hpp"
#include "git/index.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

namespace autoexec::git {
namespace {

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

constexpr int max_depth = 8;

bool is_repository(const fs::path& folder)
{
    std::error_code ec;
    return has_path(folder / "HEAD") && fs::is_directory(folder / "objects", ec) &&
           fs::is_directory(folder / "refs", ec);
}

// A submodule's name may contain slashes, and submodules can be nested.
void find_repositories(const fs::path& folder, int depth, std::vector<fs::path>& found)
{
    if (depth == 0) return;
    const bool is_one = is_repository(folder);
    if (is_one) found.push_back(folder);
    std::error_code ec;
    const auto inner = is_one ? folder / "modules" : folder;
    for (fs::directory_iterator at(inner, ec), end; !ec && at != end; at.increment(ec))
        if (at->is_directory(ec) && !at->is_symlink(ec))
            find_repositories(at->path(), depth - 1, found);
}

// The index, or HEAD where the index cannot be read.
asio::awaitable<IndexFacts> read_index_or_head(const Git& git, Entry entry)
{
    auto facts = co_await read_index(git, entry.context(), entry.is_sparse());
    if (facts.readable()) co_return facts;
    const TemporaryIndex index(entry);
    const auto context = entry.context().with_index(index.file());
    (void)co_await git(context, "read-tree", "HEAD");
    co_return co_await read_index(git, context, entry.is_sparse());
}

/// Looks for changes in submodules, recursively.
class ChangeFinder {
public:
    ChangeFinder(const Git& git, Entry entry) : git_(git), entry_(std::move(entry)) {}

    asio::awaitable<std::string> search(fs::path tree, std::vector<IndexEntry> gitlinks, int depth)
    {
        for (const auto& link : gitlinks) {
            const auto folder = populated(tree, link.path);
            if (!folder) continue;
            if (depth == 0) co_return unknown(*folder, "they are nested too deeply");
            auto searching = search_in(*folder, depth);
            auto problem = co_await std::move(searching);
            if (!problem.empty()) co_return problem;
        }
        co_return std::string();
    }

private:
    asio::awaitable<std::string> search_in(fs::path folder, int depth)
    {
        const auto git_dir = nested_git_dir(folder);
        if (!git_dir) co_return unknown(folder, "its git directory cannot be found");
        const auto files = read_nested(*git_dir);
        const NestedView view(entry_, files);
        const bool sparse = has_path(files.git_dir / "info/sparse-checkout");
        const auto facts = co_await read_index(git_, view.context(folder), sparse);
        if (!facts.readable() || !view.has_index())
            co_return unknown(folder, "its index cannot be read");
        if (facts.hides_changes) co_return unknown(folder, "its index hides some of its files");
        const auto status = co_await changes_in(git_, view.context(folder));
        if (!status.ok()) co_return unknown(folder, reason_of(status));
        if (!status.output.empty())
            co_return fmt::format(
                "The submodule '{}' in {} has uncommitted changes, which cannot be saved. Commit "
                "and push them, or discard them.",
                name_of(folder), entry_.tree.string());
        auto searching = search(folder, facts.gitlinks, depth - 1);
        co_return co_await std::move(searching);
    }

    [[nodiscard]] std::string name_of(const fs::path& folder) const
    {
        return shown(folder.lexically_relative(entry_.tree).string());
    }

    [[nodiscard]] std::string unknown(const fs::path& folder, std::string_view reason) const
    {
        return fmt::format("Changes in the submodule '{}' in {} cannot be determined: {}.",
                           name_of(folder), entry_.tree.string(), reason);
    }

    const Git& git_;
    Entry entry_;
};

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
    if (!has_path(git_dir / "HEAD")) return std::nullopt;
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

asio::awaitable<std::string> work_in_submodules(const Git& git, Entry entry)
{
    const auto facts = co_await read_index_or_head(git, entry);
    if (!facts.readable())
        co_return fmt::format("Changes in {} cannot be determined: {}", entry.tree.string(),
                              facts.problem);
    ChangeFinder finder(git, entry);
    auto searching = finder.search(entry.tree, facts.gitlinks, max_depth);
    co_return co_await std::move(searching);
}

asio::awaitable<std::string> commits_in_submodules(const Git& git, Entry entry)
{
    if (is_repository(entry.tree / ".git"))
        co_return fmt::format("{} has become a separate repository. Move it away.",
                              entry.tree.string());
    std::vector<fs::path> found;
    const auto facts = co_await read_index(git, entry.context(), entry.is_sparse());
    for (const auto& link : facts.gitlinks) {
        const auto folder = populated(entry.tree, link.path);
        if (folder && is_repository(*folder / ".git")) found.push_back(*folder / ".git");
    }
    find_repositories(entry.git_dir / "modules", max_depth, found);
    for (const auto& folder : found) {
        const NestedView view(entry, read_nested(folder));
        const auto commits = co_await git(view.context(), "rev-list", "--max-count=1", "--all",
                                          "--not", "--remotes");
        if (!commits.ok() || !commits.output.empty())
            co_return fmt::format("A submodule of {} has unpushed commits, in {}. Push them first.",
                                  entry.tree.string(), shown(folder.string()));
    }
    co_return std::string();
}

std::string repository_within(const Entry& entry, std::string_view path)
{
    return fmt::format("'{}' in {} is a separate repository, which cannot be saved. Move it away.",
                       shown(path), entry.tree.string());
}

}  // namespace autoexec::git
