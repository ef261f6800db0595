#include "git/artifacts.hpp"

#include "git/include_file.hpp"
#include "git/repository_impl.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::string_view artifact_refs = "refs/autoexec/artifacts/";
constexpr std::size_t max_files = 100'000;
constexpr std::size_t max_arguments = 500;

/// Keeps the declared files of one tree that git ignores: lists, writes and references them.
class ArtifactKeeper {
public:
    ArtifactKeeper(Repository::Impl& impl, Entry entry, ArtifactRef ref)
        : impl_(impl), entry_(std::move(entry)), ref_(std::move(ref)), index_(entry_)
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
        (void)co_await impl_.git(there, "read-tree", "HEAD");
        Words words{"ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--"};
        const auto listing =
            co_await run_in_portions(impl_.git, there, std::move(words), std::move(declared));
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
        const auto limit = impl_.options.max_file_bytes;
        bytes_ += file.size;
        if (limit != 0 && file.size > limit)
            kept_.problem = fmt::format(
                "{} is declared as an artifact but is {}. Raise the limit or make the file "
                "smaller.",
                listed({file}), limit_text(limit));
        else if (bytes_ > impl_.options.max_artifact_bytes)
            kept_.problem = fmt::format(
                "The declared artifacts that git ignores exceed {} in total, at '{}'. Declare only "
                "files that other steps require.",
                size_text(impl_.options.max_artifact_bytes), shown(file.path));
    }

    asio::awaitable<void> add()
    {
        const auto ids = co_await hash_files(impl_.git, entry_.context(), files_, true);
        if (ids.size() != files_.size()) {
            kept_.problem =
                fmt::format("The artifacts in {} cannot be read.", shown(entry_.tree.string()));
            co_return;
        }
        Words entries;
        for (std::size_t k = 0; k < files_.size(); ++k) {
            entries.emplace_back("--cacheinfo");
            entries.push_back(cache_info(modes_[k], ids[k], files_[k]));
        }
        Words words{"update-index", "--add"};
        auto added = co_await run_in_portions(impl_.git, context(), words, std::move(entries),
                                              words_per_entry);
        // Links are not filtered.
        words.emplace_back("--");
        if (added.ok())
            added = co_await run_in_portions(impl_.git, context(), std::move(words), links_);
        if (!added.ok()) fail(added);
    }

    asio::awaitable<void> commit()
    {
        const auto tree = co_await impl_.git(context(), "write-tree");
        if (!tree.ok()) co_return fail(tree);
        auto message = fmt::format("Artifacts of {}\n\nRun: {}\nStep: {}\nRound: {}\n",
                                   ref_.step_id, ref_.run_id, ref_.step_id, ref_.round);
        auto made = co_await impl_.commit_tree(line_of(tree), Words(), std::move(message));
        kept_.commit = std::move(made.id);
        kept_.problem = std::move(made.problem);
        if (!kept_.problem.empty()) co_return;
        const auto named = co_await impl_.git(impl_.bare, "update-ref", "--no-deref", "-m",
                                              "autoexec", ref_.name(), kept_.commit);
        if (!named.ok()) fail(named);
    }

    Repository::Impl& impl_;
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

asio::awaitable<ProgramOutput> run_in_portions(const Git& git, GitContext context, Words words,
                                               Words arguments, std::size_t together)
{
    ProgramOutput all;
    all.exit.exit_code = 0;
    const auto portion = max_arguments / together * together;
    for (std::size_t at = 0; at < arguments.size(); at += portion) {
        auto call = words;
        const auto end = std::min(arguments.size(), at + portion);
        call.insert(call.end(), arguments.begin() + static_cast<long>(at),
                    arguments.begin() + static_cast<long>(end));
        auto output = co_await git.run(context, std::move(call));
        if (!output.ok()) co_return output;
        all.output += output.output;
        all.cut |= output.cut;
    }
    co_return all;
}

std::string cache_info(std::string_view mode, std::string_view id, std::string_view path)
{
    return fmt::format("{},{},{}", mode, id, path);
}

asio::awaitable<Problem> list_blobs(const Git& git, GitContext context, ArtifactSource source,
                                    std::map<std::string, Blob>& files)
{
    if (!is_object_id(source.commit)) co_return "the commit id is invalid";
    const auto listing = co_await git(context, "--literal-pathspecs", "ls-tree", "-r", "-z",
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

asio::awaitable<Words> hash_files(const Git& git, GitContext context, Words paths, bool write)
{
    Words words{"hash-object", "--no-filters"};
    if (write) words.emplace_back("-w");
    words.emplace_back("--");
    const auto hashed =
        co_await run_in_portions(git, std::move(context), std::move(words), std::move(paths));
    Words ids;
    std::string_view rest = hashed.output;
    while (hashed.ok() && !rest.empty()) {
        const auto end = std::min(rest.find('\n'), rest.size());
        ids.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    co_return ids;
}

std::string ArtifactRef::name() const
{
    return fmt::format("{}{}/{}", artifact_refs, branch_part(run_id), branch_part(step_id));
}

asio::awaitable<KeptArtifacts> Repository::Impl::keep_ignored(std::filesystem::path tree,
                                                              ArtifactRef ref, Words declared)
{
    const auto entry = find_entry(common, tree);
    if (!entry || entry->missing()) {
        KeptArtifacts none;
        none.problem =
            fmt::format("{} is not a worktree of this repository.", shown(tree.string()));
        co_return none;
    }
    co_await ensure_identity();
    ArtifactKeeper keeper(*this, *entry, std::move(ref));
    co_return co_await keeper.run(std::move(declared));
}

asio::awaitable<std::vector<ArtifactInfo>> Repository::Impl::artifacts()
{
    const auto listing = co_await git(
        bare, "for-each-ref", "--format=%(refname)%00%(objectname)%00%(committerdate:unix)%00",
        std::string(artifact_refs));
    std::vector<ArtifactInfo> found;
    const auto parts = split_nul(listing.output);
    for (std::size_t k = 0; k + 2 < parts.size(); k += 3) {
        auto ref = parts[k];
        if (ref.starts_with('\n')) ref.remove_prefix(1);
        const auto step = ref.rfind('/');
        if (!ref.starts_with(artifact_refs) || step < artifact_refs.size()) continue;
        ArtifactInfo info;
        info.ref = ref;
        info.run = ref.substr(artifact_refs.size(), step - artifact_refs.size());
        info.commit = parts[k + 1];
        std::int64_t seconds = 0;
        (void)std::from_chars(parts[k + 2].data(), parts[k + 2].data() + parts[k + 2].size(),
                              seconds);
        info.time = std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
        found.push_back(std::move(info));
    }
    co_return found;
}

}  // namespace autoexec::git
