#include "files/safe_files.hpp"
#include "git/artifacts.hpp"
#include "git/index.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <system_error>
#include <utility>

/// Writes kept artifacts into a tree: first to a staging folder, then renamed into place. So no
/// link in the tree redirects them, and no file is ever visible half-written.
namespace autoexec::git {
namespace {

using files::Links;
using files::UniqueFd;

// Git ignores it, and it is on the tree's own file system.
constexpr std::string_view staging_prefix = ".cursor-skill-tmp.artifacts-";
constexpr std::size_t max_names = 10'000;

class ArtifactLayer {
public:
    ArtifactLayer(Repository& repository, Entry entry, bool keep_existing)
        : repository_(repository),
          entry_(std::move(entry)),
          keep_existing_(keep_existing),
          index_(entry_),
          tree_(files::open_folder(entry_.tree)),
          staging_(entry_.tree / std::string(staging_prefix).append(text::new_uuid()))
    {}

    asio::awaitable<Problem> run(std::vector<ArtifactSource> sources)
    {
        for (auto& source : sources)
            if (problem_.empty()) co_await list(std::move(source));
        if (problem_.empty()) co_await leave_out_present();
        if (problem_.empty() && !files_.empty()) co_await stage();
        if (problem_.empty() && !files_.empty()) move_all();
        sweep();
        co_return std::move(problem_);
    }

private:
    void fail(std::string_view reason)
    {
        if (problem_.empty())
            problem_ = fmt::format("The required artifacts cannot be written to {}: {}",
                                   shown(entry_.tree.string()), reason);
    }

    asio::awaitable<void> list(ArtifactSource source)
    {
        const auto problem = co_await list_blobs(repository_, std::move(source), files_);
        if (!problem.empty()) fail(problem);
    }

    // An unchanged file is not rewritten: build tools compare its time.
    asio::awaitable<void> leave_out_present()
    {
        Words regular;
        for (auto at = files_.begin(); at != files_.end();) {
            struct stat info {};
            const bool is_there = ::lstat((entry_.tree / at->first).c_str(), &info) == 0;
            const bool is_program = (info.st_mode & S_IXUSR) != 0;
            if (is_there && S_ISREG(info.st_mode) && is_program == (at->second.mode == "100755"))
                regular.push_back(at->first);
            at = is_there && keep_existing_ ? files_.erase(at) : std::next(at);
        }
        if (keep_existing_ || regular.empty()) co_return;
        const auto ids = co_await hash_files(repository_, entry_.context(), regular, false);
        if (ids.size() != regular.size()) co_return;
        for (std::size_t k = 0; k < regular.size(); ++k)
            if (files_.at(regular[k]).id == ids[k]) files_.erase(regular[k]);
    }

    asio::awaitable<void> stage()
    {
        Words entries;
        for (const auto& [path, blob] : files_) add_entry(entries, blob.mode, blob.id, path);
        if (::mkdirat(tree_.get(), staging_.filename().c_str(), 0700) != 0)
            co_return fail(files::last_error().message());
        const auto context = GitContext(entry_.git_dir, staging_).with_index(index_.file());
        Words add{"update-index", "--add"};
        const auto& git = repository_.git;
        auto done = co_await git.run_in_portions(context, std::move(add), std::move(entries));
        // The staging folder has no attributes; this also excludes the user's global ones.
        Words write{"-c",
                    "core.attributesFile=/dev/null",
                    "-c",
                    "core.autocrlf=false",
                    "checkout-index",
                    "--all",
                    "--force",
                    "--quiet"};
        if (done.ok()) done = co_await git.run(context, std::move(write));
        if (!done.ok()) fail(reason_of(done));
    }

    void move_all()
    {
        for (const auto& [path, blob] : files_) {
            error_code ec;
            const fs::path file = path;
            const auto from = folder_of(file, ec);
            const auto to =
                from ? files::make_folders(tree_.get(), file.parent_path(), ec) : UniqueFd();
            const auto name = file.filename();
            if (from && to && ::renameat(from.get(), name.c_str(), to.get(), name.c_str()) == 0)
                continue;
            return fail(
                fmt::format("'{}': {}", shown(path), (ec ? ec : files::last_error()).message()));
        }
    }

    [[nodiscard]] UniqueFd folder_of(const fs::path& file, error_code& ec) const
    {
        const auto folder = (staging_.filename() / file).parent_path().string();
        return files::open_beneath(tree_.get(), folder, O_RDONLY | O_DIRECTORY, Links::none, ec);
    }

    // Also removes what a killed executor has left.
    void sweep() const
    {
        std::error_code ignored;
        for (const auto& name : files::list_folder(tree_.get(), max_names))
            if (name.starts_with(staging_prefix)) fs::remove_all(entry_.tree / name, ignored);
    }

    Repository& repository_;
    Entry entry_;
    bool keep_existing_;
    TemporaryIndex index_;
    UniqueFd tree_;
    fs::path staging_;
    std::map<std::string, Blob> files_;
    Problem problem_;
};

}  // namespace

asio::awaitable<Problem> lay_artifacts(Repository& repository, fs::path tree,
                                       std::vector<ArtifactSource> sources, bool keep_existing)
{
    Problem problem;
    const auto entry = repository.find_tree(tree, problem);
    if (!entry) co_return problem;
    ArtifactLayer layer(repository, *entry, keep_existing);
    co_return co_await layer.run(std::move(sources));
}

}  // namespace autoexec::git
