
#include "files/safe_files.hpp"
#include "git/worktrees.hpp"
#include "git_files/exclude.hpp"
#include "text/text.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <system_error>

namespace autoexec::git {
namespace {

using files::Links;
using files::UniqueFd;

constexpr const char* include_name = ".worktreeinclude";
constexpr std::size_t copy_portion = 1024 * 1024;
constexpr std::size_t max_warnings = 20;

// True if a link in the folder of `path` stays within the tree.
bool stays_inside(const fs::path& path, const fs::path& target)
{
    if (target.is_absolute()) return false;
    const auto end = (path.parent_path() / target).lexically_normal();
    return end.empty() || *end.begin() != "..";
}

class Copier {
public:
    Copier(const fs::path& from, const fs::path& to, IncludeLimits limits)
        : from_(files::open_folder(from)), to_(files::open_folder(to)), limits_(limits)
    {}

    asio::awaitable<Included> run(Words paths)
    {
        const auto ex = co_await asio::this_coro::executor;
        for (const auto& path : paths) {
            if (is_internal(path)) continue;
            if (!(co_await copy(path, ex))) break;
            co_await asio::post(ex, asio::use_awaitable);
        }
        if (omitted_ > 0) result_.warnings.push_back(fmt::format("… and {} more.", omitted_));
        co_return std::move(result_);
    }

private:
    void warn(const std::string& path, std::string_view reason)
    {
        if (result_.warnings.size() == max_warnings)
            ++omitted_;
        else
            result_.warnings.push_back(
                fmt::format("'{}' of .worktreeinclude is not copied: {}.", shown(path), reason));
    }

    // Returns false at the limit.
    asio::awaitable<bool> copy(const std::string& path, const asio::any_io_executor& ex)
    {
        struct stat info {};
        error_code ec;
        const fs::path file = path;
        const auto folder = folder_of(from_, file, ec);
        const bool seen = folder && ::fstatat(folder.get(), file.filename().c_str(), &info,
                                              AT_SYMLINK_NOFOLLOW) == 0;
        if (path.ends_with('/')) {
            warn(path, "it is a separate repository");
        } else if (!seen) {
            warn(path, ec ? ec.message() : files::last_error().message());
        } else if (S_ISLNK(info.st_mode)) {
            copy_link(file, folder);
        } else if (S_ISREG(info.st_mode)) {
            const auto size = static_cast<std::uint64_t>(info.st_size);
            if (result_.paths.size() >= limits_.files || bytes_ + size > limits_.bytes) {
                result_.warnings.push_back(fmt::format(
                    ".worktreeinclude names more than {} files or {} MiB; '{}' and all after it "
                    "are not copied.",
                    limits_.files, limits_.bytes >> 20U, shown(path)));
                co_return false;
            }
            bytes_ += size;
            co_await copy_file(file, folder, info.st_mode & 0777U, ex);
        } else {
            warn(path, "it is not a regular file");
        }
        co_return true;
    }

    static UniqueFd folder_of(const UniqueFd& top, const fs::path& file, error_code& ec)
    {
        const auto folder = file.has_parent_path() ? file.parent_path().string() : ".";
        return files::open_beneath(top.get(), folder, O_RDONLY | O_DIRECTORY, Links::none, ec);
    }

    UniqueFd make_folder_of(const fs::path& file)
    {
        error_code ec;
        auto folder = files::make_folders(to_.get(), file.parent_path(), ec);
        if (!folder) warn(file.string(), ec.message());
        return folder;
    }

    void copy_link(const fs::path& file, const UniqueFd& from)
    {
        std::array<char, PATH_MAX> target{};
        const auto size =
            ::readlinkat(from.get(), file.filename().c_str(), target.data(), target.size() - 1);
        if (size <= 0 || !stays_inside(file, target.data()))
            return warn(file.string(), "it is a link that leads out of the tree");
        const auto to = make_folder_of(file);
        if (!to) return;
        if (::symlinkat(target.data(), to.get(), file.filename().c_str()) == 0)
            result_.paths.push_back(file.string());
        else if (errno != EEXIST)
            warn(file.string(), files::last_error().message());
    }

    asio::awaitable<void> copy_file(const fs::path& file, const UniqueFd& from, unsigned mode,
                                    const asio::any_io_executor& ex)
    {
        error_code ec;
        const auto name = file.filename().string();
        const auto source = files::open_beneath(from.get(), name, O_RDONLY, Links::none, ec);
        if (!source) co_return warn(file.string(), ec.message());
        const auto to = make_folder_of(file);
        if (!to) co_return;
        const UniqueFd target(::openat(to.get(), name.c_str(),
                                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!target && errno == EEXIST) co_return;
        if (!target) co_return warn(file.string(), files::last_error().message());

        if (::ioctl(target.get(), FICLONE, source.get()) != 0)
            co_await copy_content(source.get(), target.get(), ec, ex);
        if (!ec && ::fchmod(target.get(), mode) != 0) ec = files::last_error();
        if (ec) {
            ::unlinkat(to.get(), name.c_str(), 0);
            co_return warn(file.string(), ec.message());
        }
        result_.paths.push_back(file.string());
    }

    static asio::awaitable<void> copy_content(int source, int target, error_code& ec,
                                              const asio::any_io_executor& ex)
    {
        for (;;) {
            const auto size = ::sendfile(target, source, nullptr, copy_portion);
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) ec = files::last_error();
            if (size <= 0) co_return;
            if (static_cast<std::size_t>(size) == copy_portion)
                co_await asio::post(ex, asio::use_awaitable);
        }
    }

    UniqueFd from_;
    UniqueFd to_;
    IncludeLimits limits_;
    std::uint64_t bytes_ = 0;
    std::size_t omitted_ = 0;
    Included result_;
};

void record_included(const Entry& entry, const Words& paths)
{
    auto all = included_paths(entry);
    all.insert(all.end(), paths.begin(), paths.end());
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    write_record(entry, included_file, nul_terminated(all), Durability::process);
}

asio::awaitable<Words> not_ignored(Repository& repository, Entry entry, Words paths)
{
    const auto listing = co_await repository.git(entry.context(), "ls-files", "-z", "--others",
                                                 "--exclude-standard");
    std::ranges::sort(paths);
    Words found;
    for (const auto path : split_nul(listing.output))
        if (std::binary_search(paths.begin(), paths.end(), path)) found.emplace_back(path);
    co_return found;
}

}  // namespace

asio::awaitable<Included> copy_included(fs::path from, fs::path to, Words paths,
                                        IncludeLimits limits)
{
    Copier copier(from, to, limits);
    co_return co_await copier.run(std::move(paths));
}

bool is_internal(std::string_view path)
{
    return path.starts_with(".tapps-agents/") || path.find("/.tapps-agents/") != path.npos ||
           path.starts_with(".cursor-skill-") || path.find("/.cursor-skill-") != path.npos;
}

asio::awaitable<Words> bring_included(Repository& repository, Entry entry)
{
    std::error_code ignored;
    const auto& top = repository.project.work_tree;
    if (!fs::is_regular_file(top / include_name, ignored)) co_return Words();
    // All untracked files, ignored or not.
    const auto listing =
        co_await repository.git(repository.project, "ls-files", "-z", "--others", "--ignored",
                                "--exclude-from=" + (top / include_name).string());
    Words warnings;
    if (!listing.ok()) {
        warnings.push_back(
            fmt::format("{} cannot be followed: {}", include_name, reason_of(listing)));
        co_return warnings;
    }
    const auto paths = split_nul(listing.output);
    const IncludeLimits limits;
    auto included =
        co_await copy_included(top, entry.tree, Words(paths.begin(), paths.end()), limits);
    warnings = std::move(included.warnings);
    if (included.paths.empty()) co_return warnings;
    record_included(entry, included.paths);
    const auto open = co_await not_ignored(repository, entry, std::move(included.paths));
    if (open.empty()) co_return warnings;

    Words patterns;
    for (const auto& path : open)
        if (text::printable(path) == path) patterns.push_back(git_files::exclude_pattern(path));
    const auto* const done = git_files::exclude(repository.common, patterns)
                                 ? "they are now listed in .git/info/exclude"
                                 : "an agent could commit them";
    warnings.push_back(
        fmt::format("{} files named by {} are not ignored by git, for example '{}': {}.",
                    open.size(), include_name, shown(open.front()), done));
    co_return warnings;
}

}  // namespace autoexec::git
