#include "git/artifacts.hpp"

#include "git/index.hpp"
#include "git/worktrees.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::string_view artifact_refs = "refs/autoexec/artifacts/";
constexpr std::size_t max_files = 100'000;

/// Keeps the declared files of one tree that git ignores: lists, writes and references them.
class ArtifactKeeper {
public:
    ArtifactKeeper(Repository& repository, Entry entry, ArtifactRef ref)
        : repository_(repository), entry_(std::move(entry)), ref_(std::move(ref)), index_(entry_)
    {}

    asio::awaitable<KeptArtifacts> run(Words declared)
    {
        co_await list(std::move(declared));
        const bool has_some = !files_.empty() || !links_.empty();
        if (kept_.problem.empty() && has_some) co_await add();
        if (kept_.problem.empty() && has_some) co_await commit();
        if (!kept_.problem.empty()) kept_.commit.clear();
        co_return std::move(kept_);
    }

private:
    [[nodiscard]] GitContext context() const { return entry_.context().with_index(index_.file()); }

    void fail(const ProgramOutput& output)
    {
        kept_.problem = fmt::format("The artifacts in {} cannot be kept: {}",
                                    shown(entry_.tree.string()), reason_of(output));
    }

    // Against HEAD: the tree's own index may be broken.
    asio::awaitable<void> list(Words declared)
    {
        for (auto& path : declared) path.insert(0, ":(top,literal)");
        if (declared.empty()) co_return;
        const TemporaryIndex head(entry_);
        const auto there = entry_.context().with_index(head.file());
        // Fails for a branch without a commit; then no file is tracked.
        (void)co_await repository_.git(there, "read-tree", "HEAD");
        Words words{"ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--"};
        const auto listing =
            co_await repository_.git.run_in_portions(there, std::move(words), std::move(declared));
        if (!listing.ok() || listing.cut) co_return fail(listing);
        for (const auto path : split_nul(listing.output)) {
            if (is_internal(path)) continue;
            record(std::string(path));
            if (!kept_.problem.empty()) co_return;
        }
    }

    void record(std::string path)
    {
        struct stat info {};
        if (path.ends_with('/')) {
            kept_.warnings.push_back(
                fmt::format("'{}' is a separate repository; its files are not kept as artifacts.",
                            shown(path)));
            return;
        }
        if (::lstat((entry_.tree / path).c_str(), &info) != 0) return;
        if (S_ISLNK(info.st_mode)) {
            links_.push_back(std::move(path));
        } else if (S_ISREG(info.st_mode)) {
            check_size({path, static_cast<std::uint64_t>(info.st_size)});
            modes_.emplace_back((info.st_mode & S_IXUSR) != 0 ? "100755" : "100644");
            files_.push_back(std::move(path));
        }
        if (files_.size() + links_.size() > max_files)
            kept_.problem = fmt::format(
                "More than {} declared artifacts are ignored by git. Pack them into one archive.",
                max_files);
    }

    void check_size(const LargeFile& file)
    {
        const auto limit = repository_.options.max_file_bytes;
        bytes_ += file.size;
        if (limit != 0 && file.size > limit)
            kept_.problem = fmt::format(
                "{} is declared as an artifact but is {}. Raise the limit or make the file "
                "smaller.",
                listed({file}), limit_text(limit));
        else if (bytes_ > repository_.options.max_artifact_bytes)
            kept_.problem = fmt::format(
                "The declared artifacts that git ignores exceed {} in total, at '{}'. Declare only "
                "files that other steps require.",
                size_text(repository_.options.max_artifact_bytes), shown(file.path));
    }

    asio::awaitable<void> add()
    {
        const auto ids = co_await hash_files(repository_, entry_.context(), files_, true);
        if (ids.size() != files_.size()) {
            kept_.problem =
                fmt::format("The artifacts in {} cannot be read.", shown(entry_.tree.string()));
            co_return;
        }
        Words entries;
        for (std::size_t k = 0; k < files_.size(); ++k)
            add_entry(entries, modes_[k], ids[k], files_[k]);
        const auto& git = repository_.git;
        Words words{"update-index", "--add"};
        auto added = co_await git.run_in_portions(context(), words, std::move(entries));
        // Links are not filtered.
        words.emplace_back("--");
        if (added.ok()) added = co_await git.run_in_portions(context(), std::move(words), links_);
        if (!added.ok()) fail(added);
    }

    asio::awaitable<void> commit()
    {
        const auto tree = co_await repository_.git(context(), "write-tree");
        if (!tree.ok()) co_return fail(tree);
        auto message = fmt::format("Artifacts of {}\n\nRun: {}\nStep: {}\nRound: {}\n",
                                   ref_.step_id, ref_.run_id, ref_.step_id, ref_.round);
        auto made = co_await repository_.commit_tree(line_of(tree), Words(), std::move(message));
        kept_.commit = std::move(made.id);
        kept_.problem = std::move(made.problem);
        if (!kept_.problem.empty()) co_return;
        const auto named = co_await repository_.run("update-ref", "--no-deref", "-m", "autoexec",
                                                    ref_.name(), kept_.commit);
        if (!named.ok()) fail(named);
    }

    Repository& repository_;
    Entry entry_;
    ArtifactRef ref_;
    TemporaryIndex index_;
    Words files_;
    Words modes_;  ///< Of `files_`.
    Words links_;
    std::uint64_t bytes_ = 0;
    KeptArtifacts kept_;
};

}  // namespace

asio::awaitable<Problem> list_blobs(Repository& repository, ArtifactSource source,
                                    std::map<std::string, Blob>& files)
{
    if (!is_object_id(source.commit)) co_return "the commit id is invalid";
    const auto listing = co_await repository.run("--literal-pathspecs", "ls-tree", "-r", "-z",
                                                 "--full-tree", source.commit, "--", source.path);
    if (!listing.ok() || listing.cut) co_return reason_of(listing);
    // `100644 blob <id><tab>path`
    constexpr std::string_view type = " blob ";
    for (const auto line : split_nul(listing.output)) {
        const auto tab = line.find('\t');
        const auto at = line.find(type);
        if (tab == std::string_view::npos || at == std::string_view::npos || at > tab) continue;
        const auto id = at + type.size();
        files.insert_or_assign(
            std::string(line.substr(tab + 1)),
            Blob{std::string(line.substr(0, at)), std::string(line.substr(id, tab - id))});
    }
    co_return Problem();
}

asio::awaitable<Words> hash_files(Repository& repository, GitContext context, Words paths,
                                  bool write)
{
    Words words{"hash-object", "--no-filters"};
    if (write) words.emplace_back("-w");
    words.emplace_back("--");
    const auto hashed = co_await repository.git.run_in_portions(std::move(context),
                                                                std::move(words), std::move(paths));
    if (!hashed.ok()) co_return Words();
    const auto ids = split_at('\n', hashed.output);
    co_return Words(ids.begin(), ids.end());
}

std::string ArtifactRef::name() const
{
    return fmt::format("{}{}/{}", artifact_refs, branch_part(run_id), branch_part(step_id));
}

asio::awaitable<KeptArtifacts> keep_ignored(Repository& repository, fs::path tree, ArtifactRef ref,
                                            Words declared)
{
    KeptArtifacts none;
    const auto entry = repository.find_tree(tree, none.problem);
    if (!entry) co_return none;
    ArtifactKeeper keeper(repository, *entry, std::move(ref));
    co_return co_await keeper.run(std::move(declared));
}

asio::awaitable<std::vector<ArtifactInfo>> list_artifacts(Repository& repository)
{
    const auto refs = co_await repository.refs(std::string(artifact_refs), "%(committerdate:unix)");
    std::vector<ArtifactInfo> found;
    for (const auto& ref : refs) {
        const auto step = ref.name.rfind('/');
        if (step < artifact_refs.size()) continue;
        ArtifactInfo info;
        info.ref = ref.name;
        info.run = ref.name.substr(artifact_refs.size(), step - artifact_refs.size());
        info.commit = ref.commit;
        info.time = std::chrono::system_clock::from_time_t(std::atoll(ref.detail.c_str()));
        found.push_back(std::move(info));
    }
    co_return found;
}

}  // namespace autoexec::git
